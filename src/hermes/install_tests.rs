//! Homes as they are found, and what installing and uninstalling make of them.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::config_yaml::NotEdited;
use super::plugin::{FILES, MANIFEST};
use super::*;

struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["cron", "logs", "memories", "sessions"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        Self { dir }
    }

    fn with_config(text: &str) -> Self {
        let place = Self::new();
        fs::write(place.config(), text).unwrap();
        place
    }

    fn config(&self) -> PathBuf {
        self.dir.path().join("config.yaml")
    }

    fn config_text(&self) -> String {
        fs::read_to_string(self.config()).unwrap()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.plugin().join("dashboard").join(name)
    }

    fn plugin(&self) -> PathBuf {
        self.dir.path().join("plugins/gateway-reaper")
    }

    fn home(&self) -> Home {
        Home::open(self.dir.path(), rustix::process::geteuid().as_raw()).unwrap()
    }

    fn install(&self) -> Installed {
        install(&self.home()).unwrap()
    }

    fn uninstall(&self) -> Uninstalled {
        uninstall(&self.home()).unwrap()
    }

    /// Everything in it, with its content.
    fn everything(&self) -> Vec<(PathBuf, String)> {
        fn walk(dir: &Path, found: &mut Vec<(PathBuf, String)>) {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    found.push((path.clone(), String::new()));
                    walk(&path, found);
                } else {
                    found.push((path.clone(), fs::read_to_string(&path).unwrap()));
                }
            }
        }
        let mut found = Vec::new();
        walk(self.dir.path(), &mut found);
        found.sort();
        found
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn installing_and_uninstalling_leave_a_home_as_it_was() {
    for place in
        [Place::new(), Place::with_config(""), Place::with_config("a: 1 # x\r\nplugins: {enabled: [web]}")]
    {
        let before = place.everything();
        place.install();
        assert_ne!(place.everything(), before);
        let undone = place.uninstall();
        assert!(undone.was_there && undone.left.is_empty());
        assert_eq!(place.everything(), before);
    }
}

#[test]
fn an_installation_is_private_and_complete() {
    let place = Place::new();
    let installed = place.install();
    assert_eq!((installed.plugin, installed.config), (PluginChange::New, ConfigChange::Created));
    for file in FILES {
        assert_eq!(fs::read_to_string(place.file(file.name)).unwrap(), file.content);
        assert_eq!(mode(&place.file(file.name)), 0o600);
    }
    assert_eq!(mode(&place.plugin()), 0o700);
    assert_eq!(mode(&place.config()), 0o600);
    assert_eq!(place.config_text(), "plugins:\n  enabled:\n    - gateway-reaper\n");
}

#[test]
fn a_second_installation_changes_nothing() {
    let place = Place::with_config("model: x\n");
    place.install();
    let before = place.everything();
    let again = place.install();
    assert_eq!((again.plugin, again.config), (PluginChange::UpToDate, ConfigChange::UpToDate));
    assert_eq!(place.everything(), before);
    place.uninstall();
    assert_eq!(place.config_text(), "model: x\n");
}

#[test]
fn a_configuration_keeps_its_mode_and_its_place() {
    let place = Place::new();
    let elsewhere = tempfile::tempdir().unwrap();
    let real = elsewhere.path().join("hermes.yaml");
    fs::write(&real, "a: 1\n").unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    symlink(&real, place.config()).unwrap();
    place.install();
    assert!(fs::symlink_metadata(place.config()).unwrap().is_symlink());
    assert_eq!(mode(&real), 0o640);
    assert!(fs::read_to_string(&real).unwrap().ends_with("- gateway-reaper\n"));
    place.uninstall();
    assert_eq!(fs::read_to_string(&real).unwrap(), "a: 1\n");
}

#[test]
fn an_older_plugin_is_upgraded_in_silence() {
    let place = Place::new();
    place.install();
    let record = place.plugin().join("installed.json");
    let old = fs::read_to_string(&record).unwrap().replace(plugin::VERSION, "0.9.0");
    // As its installation recorded it.
    let mut old: serde_json::Value = serde_json::from_str(&old).unwrap();
    fs::write(place.file("plugin_api.py"), "old").unwrap();
    old["files"]["plugin_api.py"] = "1a0fad1921d08076-3".into();
    fs::write(&record, old.to_string()).unwrap();
    let again = place.install();
    assert_eq!(again.plugin, PluginChange::UpgradedFrom("0.9.0".into()));
    assert!(again.kept.is_empty(), "{:?}", again.kept);
    assert!(fs::read_to_string(&record).unwrap().contains(plugin::VERSION));
    place.uninstall();
    assert!(!place.config().exists(), "it was made by the first installation");
}

#[test]
fn a_newer_plugin_stays() {
    let place = Place::new();
    place.install();
    let record = place.plugin().join("installed.json");
    let newer = fs::read_to_string(&record).unwrap().replace(plugin::VERSION, "99.0.0");
    fs::write(&record, newer).unwrap();
    let error = install(&place.home()).unwrap_err().to_string();
    assert!(error.contains("a newer gateway-reaper installed its plugin 99.0.0"), "{error}");
}

#[test]
fn a_file_that_somebody_changed_is_kept_beside_it() {
    let place = Place::new();
    place.install();
    fs::write(place.file("plugin_api.py"), "mine").unwrap();
    let again = place.install();
    assert_eq!(again.plugin, PluginChange::Repaired);
    let kept = place.plugin().join("plugin_api.py.kept-1");
    assert_eq!(again.kept, [fs::canonicalize(&kept).unwrap()]);
    assert_eq!(fs::read_to_string(kept).unwrap(), "mine");
    fs::write(place.file("plugin_api.py"), "mine again").unwrap();
    let undone = place.uninstall();
    assert_eq!(undone.left.len(), 2, "{:?}", undone.left);
    assert!(!place.file("plugin_api.py").exists() && !place.file(MANIFEST).exists());

    // And then from the start.
    assert_eq!(status(&place.home()).unwrap().plugin, PluginState::NotThere);
    assert_eq!(place.install().plugin, PluginChange::New);
    assert_eq!(place.uninstall().left.len(), 2);
    fs::write(place.plugin().join("notes.txt"), "mine").unwrap();
    let error = install(&place.home()).unwrap_err().to_string();
    assert!(error.contains("was not put there by gateway-reaper"), "{error}");
}

#[test]
fn the_status_says_what_is_there_and_what_is_left_to_do() {
    let place = Place::with_config("a: 1\n");
    let seen = || status(&place.home()).unwrap();
    assert_eq!(
        (seen().plugin, seen().enabled, seen().is_complete()),
        (PluginState::NotThere, Ok(false), false)
    );
    place.install();
    let installed = |changed| PluginState::Installed { version: Some(plugin::VERSION.to_owned()), changed };
    assert_eq!((seen().plugin, seen().enabled), (installed(Vec::new()), Ok(true)));
    assert!(seen().is_complete() && seen().running.is_none());
    fs::write(place.file("plugin_api.py"), "mine").unwrap();
    let changed = fs::canonicalize(place.file("plugin_api.py")).unwrap();
    assert_eq!(seen().plugin, installed(vec![changed]));
    place.install();
    fs::write(place.config(), "a: 1\n").unwrap();
    assert_eq!((seen().enabled, seen().is_complete()), (Ok(false), false));
    let record = place.plugin().join("installed.json");
    let old = fs::read_to_string(&record).unwrap().replace(plugin::VERSION, "0.9.0");
    fs::write(&record, old).unwrap();
    assert_eq!(seen().plugin, PluginState::Installed { version: Some("0.9.0".into()), changed: Vec::new() });
}

#[test]
fn as_before_to_the_byte_is_said_only_of_what_is() {
    let place = Place::with_config("a: 1\n");
    place.install();
    let text = place.config_text();
    fs::write(place.config(), text.clone() + "b: 2\n").unwrap();
    assert_eq!(place.uninstall().config, ConfigRemoval::TakenOut);
    assert_eq!(place.config_text(), "a: 1\nb: 2\n");
    place.install();
    assert_eq!(place.uninstall().config, ConfigRemoval::AsBefore);
    assert_eq!(place.config_text(), "a: 1\nb: 2\n");
}

#[test]
fn a_plugin_that_was_copied_by_hand_is_taken_for_what_it_is() {
    let place = Place::with_config("plugins:\n  enabled: [gateway-reaper]\n");
    fs::create_dir_all(place.plugin().join("dashboard")).unwrap();
    for file in FILES {
        fs::write(place.file(file.name), file.content).unwrap();
    }
    let installed = place.install();
    assert_eq!((installed.plugin, installed.config), (PluginChange::UpToDate, ConfigChange::UpToDate));
    assert_eq!(place.uninstall().config, ConfigRemoval::TakenOut);
    assert_eq!(place.config_text(), "plugins:\n  enabled: []\n");
}

#[test]
fn what_is_not_ours_stays() {
    let place = Place::new();
    fs::create_dir_all(place.plugin()).unwrap();
    fs::write(place.plugin().join("plugin.yaml"), "name: other\n").unwrap();
    let before = place.everything();
    for error in [install(&place.home()).unwrap_err(), uninstall(&place.home()).unwrap_err()] {
        assert!(error.to_string().contains("was not put there by gateway-reaper"), "{error}");
    }
    assert_eq!(place.everything(), before);

    let place = Place::new();
    fs::create_dir(place.dir.path().join("plugins")).unwrap();
    symlink("/tmp", place.plugin()).unwrap();
    assert!(install(&place.home()).unwrap_err().to_string().contains("is a link to somewhere else"));
}

#[test]
fn python_s_own_traces_of_the_plugin_go_with_it() {
    let place = Place::new();
    place.install();
    fs::create_dir(place.file("__pycache__")).unwrap();
    fs::write(place.file("__pycache__/plugin_api.cpython-311.pyc"), "x").unwrap();
    assert!(place.uninstall().left.is_empty());
    assert!(!place.plugin().exists());
}

#[test]
fn a_configuration_that_cannot_be_edited_is_left_to_the_person() {
    let text = "plugins: &all {}\nmore: *all\n";
    let place = Place::with_config(text);
    let installed = place.install();
    let what = "has an anchor, an alias or a tag";
    assert_eq!(
        installed.config,
        ConfigChange::ByHand(ByHand::NotEdited(NotEdited::Unsure { line: 1, what }))
    );
    assert_eq!(place.config_text(), text);
    assert!(place.file(MANIFEST).exists(), "0.13 and 0.16 ask for no more");

    let place = Place::new();
    fs::write(place.config(), b"a: \xff\n").unwrap();
    assert_eq!(place.install().config, ConfigChange::ByHand(ByHand::NotUtf8));

    let place = Place::with_config("a: 1\n");
    fs::write(place.dir.path().join(".managed"), "").unwrap();
    assert_eq!(place.install().config, ConfigChange::ByHand(ByHand::Managed));
}

#[test]
fn a_list_that_hermes_would_fill_by_itself_is_not_begun() {
    let other = |text: &str| {
        let place = Place::with_config(text);
        fs::create_dir_all(place.dir.path().join("plugins/web")).unwrap();
        fs::write(place.dir.path().join("plugins/web/plugin.yaml"), "name: web\n").unwrap();
        place.install().config
    };
    let would_forget = ConfigChange::ByHand(ByHand::WouldForget(vec!["web".into()]));
    assert_eq!(other("_config_version: 20\n"), would_forget);
    assert_eq!(other("model: x\n"), would_forget);
    assert_eq!(other("_config_version: 21\n"), ConfigChange::Added);
    assert_eq!(other("plugins:\n  enabled: []\n"), ConfigChange::Added);
}

#[test]
fn other_changes_of_the_configuration_survive_an_uninstallation() {
    let place = Place::with_config("plugins:\n  enabled:\n  - web\n");
    place.install();
    fs::write(place.config(), "# new\nplugins:\n  enabled:\n  - gateway-reaper\n  - web\n  - more\n")
        .unwrap();
    assert_eq!(place.uninstall().config, ConfigRemoval::TakenOut);
    assert_eq!(place.config_text(), "# new\nplugins:\n  enabled:\n  - web\n  - more\n");
}

#[test]
fn what_is_no_hermes_home_is_refused_with_the_remedy() {
    let own = rustix::process::geteuid().as_raw();
    let dir = tempfile::tempdir().unwrap();
    let error = Home::open(&dir.path().join("nowhere"), own).unwrap_err().to_string();
    assert!(error.contains("no Hermes home at") && error.contains("--home DIR"), "{error}");
    let error = Home::open(dir.path(), own).unwrap_err().to_string();
    assert!(error.contains("Hermes has never used") && error.contains("hermes config show"), "{error}");
    fs::create_dir(dir.path().join("logs")).unwrap();
    let error = Home::open(dir.path(), own).unwrap_err().to_string();
    assert!(error.contains("is not a Hermes home, which has cron, memories, sessions"), "{error}");
    let place = Place::new();
    let error = Home::open(place.dir.path(), own + 1).unwrap_err().to_string();
    assert!(error.contains("run this as that user"), "{error}");
}

#[test]
fn the_home_is_the_named_one_else_where_hermes_looks() {
    let choose = |option: Option<&str>, hermes: Option<&str>, user: Option<&str>| {
        choose(option.map(Path::new), hermes.map(Into::into), user.map(Into::into)).ok()
    };
    assert_eq!(choose(Some("/a"), Some("/b"), Some("/c")), Some(("/a".into(), Named::Explicitly)));
    assert_eq!(choose(None, Some("/b"), Some("/c")), Some(("/b".into(), Named::Explicitly)));
    assert_eq!(choose(None, None, Some("/c")), Some(("/c/.hermes".into(), Named::ByDefault)));
    assert_eq!(choose(None, None, None), None);
}

#[test]
fn another_profile_that_hermes_uses_by_itself_is_found() {
    let place = Place::new();
    assert_eq!(place.home().other_profile(), None);
    fs::create_dir_all(place.dir.path().join("profiles/work")).unwrap();
    fs::write(place.dir.path().join("active_profile"), "work\n").unwrap();
    assert!(place.home().other_profile().unwrap().ends_with("profiles/work"));
    fs::write(place.dir.path().join("active_profile"), "../..\n").unwrap();
    assert_eq!(place.home().other_profile(), None);
}
