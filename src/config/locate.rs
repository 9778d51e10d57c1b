//! Which file is the configuration: a named one or nothing else, otherwise the first that is there.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::errors::{ConfigError, NamedBy};
use crate::named_file::Refusal;

/// The machine's own configuration, looked for last.
const SYSTEM: &str = "/etc/gateway-reaper/reaper.toml";

/// The part of the environment that decides which file is read. An empty variable counts as unset.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// `$GATEWAY_REAPER_CONFIG`.
    pub gateway_reaper_config: Option<OsString>,
    /// `$XDG_CONFIG_HOME`.
    pub xdg_config_home: Option<OsString>,
    /// `$HOME`.
    pub home: Option<OsString>,
    /// The working directory, where it can be told.
    pub working_directory: Option<PathBuf>,
}

/// A configuration file, and how it was come by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// The file.
    pub path: PathBuf,
    /// Why this one.
    pub by: LocatedBy,
}

/// Why a file is the configuration. Who runs a command in a folder needn't know of what lies there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocatedBy {
    /// It was named, or lies in a place that is for nothing else.
    Name,
    /// It lies where the command was run.
    WorkingDirectory,
}

impl Located {
    /// A file that was named.
    pub fn named(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), by: LocatedBy::Name }
    }
}

/// Finds the configuration file.
///
/// # Errors
/// A named file is missing; or none was named and none is there; or a place can't be looked into.
pub fn locate(explicit: Option<&Path>, environment: &Environment) -> Result<Located, ConfigError> {
    if let Some(path) = explicit {
        return named(path, NamedBy::Option);
    }
    if let Some(path) = non_empty(environment.gateway_reaper_config.as_ref()) {
        return named(path, NamedBy::Variable);
    }
    let here = environment.working_directory.as_ref().map(|directory| directory.join("reaper.toml"));
    let path = first_of(candidates(environment))?;
    let by = if Some(&path) == here.as_ref() { LocatedBy::WorkingDirectory } else { LocatedBy::Name };
    Ok(Located { path, by })
}

fn named(path: &Path, named_by: NamedBy) -> Result<Located, ConfigError> {
    if is_there(path)? {
        Ok(Located::named(path))
    } else {
        Err(ConfigError::NamedFileMissing { path: path.to_owned(), named_by })
    }
}

fn candidates(environment: &Environment) -> Vec<PathBuf> {
    let here = environment.working_directory.as_ref().map(|directory| directory.join("reaper.toml"));
    // The XDG specification: a relative path is invalid and to be ignored.
    let config_home = non_empty(environment.xdg_config_home.as_ref())
        .filter(|path| path.is_absolute())
        .map(Path::to_owned)
        .or_else(|| non_empty(environment.home.as_ref()).map(|home| home.join(".config")));
    let user = config_home.map(|directory| directory.join("gateway-reaper/reaper.toml"));
    here.into_iter().chain(user).chain([PathBuf::from(SYSTEM)]).collect()
}

fn first_of(candidates: Vec<PathBuf>) -> Result<PathBuf, ConfigError> {
    for path in &candidates {
        if is_there(path)? {
            return Ok(path.clone());
        }
    }
    Err(ConfigError::NotFound { looked_for: candidates })
}

/// A dangling link counts as a file: without it, the command would run on another configuration than the one that was put there.
fn is_there(path: &Path) -> Result<bool, ConfigError> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(false),
        Err(error) => Err(ConfigError::File { path: path.to_owned(), refusal: Refusal::Unreadable(error) }),
    }
}

fn non_empty(variable: Option<&OsString>) -> Option<&Path> {
    variable.filter(|value| !value.is_empty()).map(Path::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    fn environment(config: &str, xdg: &str, home: &str) -> Environment {
        Environment {
            gateway_reaper_config: Some(config.into()),
            xdg_config_home: Some(xdg.into()),
            home: Some(home.into()),
            working_directory: Some("/here".into()),
        }
    }

    fn names(environment: &Environment) -> Vec<String> {
        candidates(environment).iter().map(|path| path.display().to_string()).collect()
    }

    #[test]
    fn the_working_directory_comes_before_the_user_and_the_user_before_the_machine() {
        assert_eq!(
            names(&environment("", "/xdg", "/home/a")),
            ["/here/reaper.toml", "/xdg/gateway-reaper/reaper.toml", "/etc/gateway-reaper/reaper.toml"],
        );
    }

    #[test]
    fn without_a_usable_xdg_config_home_the_user_is_looked_up_under_home() {
        for xdg in ["", "relative"] {
            assert_eq!(
                names(&environment("", xdg, "/home/a"))[1],
                "/home/a/.config/gateway-reaper/reaper.toml"
            );
        }
        assert_eq!(names(&environment("", "", "")), ["/here/reaper.toml", "/etc/gateway-reaper/reaper.toml"]);
    }

    #[test]
    fn the_option_wins_over_the_variable_and_the_variable_over_the_usual_places() {
        let folder = tempfile::tempdir().unwrap();
        let [option, variable, here] = ["option.toml", "variable.toml", "reaper.toml"].map(|name| {
            let path = folder.path().join(name);
            fs::write(&path, "").unwrap();
            path
        });
        let mut environment = Environment {
            gateway_reaper_config: Some(variable.clone().into()),
            working_directory: Some(folder.path().to_owned()),
            ..Environment::default()
        };
        assert_eq!(locate(Some(&option), &environment).unwrap(), Located::named(option));
        assert_eq!(locate(None, &environment).unwrap(), Located::named(variable));
        environment.gateway_reaper_config = None;
        let found = Located { path: here, by: LocatedBy::WorkingDirectory };
        assert_eq!(locate(None, &environment).unwrap(), found);
    }

    #[test]
    fn a_named_file_that_is_missing_is_an_error_even_if_another_is_there() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("reaper.toml"), "").unwrap();
        let mut environment =
            Environment { working_directory: Some(folder.path().to_owned()), ..Environment::default() };
        assert_eq!(
            locate(Some(Path::new("/nowhere/r.toml")), &environment).unwrap_err().to_string(),
            "/nowhere/r.toml: no such file, although --config names it; correct the path or create the file"
        );
        environment.gateway_reaper_config = Some("/nowhere/r.toml".into());
        assert_eq!(
            locate(None, &environment).unwrap_err().to_string(),
            "/nowhere/r.toml: no such file, although $GATEWAY_REAPER_CONFIG names it; correct the path or create the file"
        );
    }

    #[test]
    fn a_dangling_link_is_not_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("reaper.toml");
        std::os::unix::fs::symlink("/nowhere/at/all", &link).unwrap();
        assert_eq!(first_of(vec![link.clone(), "/etc/passwd".into()]).unwrap(), link);
    }

    #[test]
    fn a_file_below_a_file_is_not_there() {
        assert!(!is_there(Path::new("/etc/passwd/reaper.toml")).unwrap());
    }

    #[test]
    fn nothing_found_says_where_it_looked_and_shows_a_file_that_works() {
        let message =
            first_of(vec!["/nowhere/a.toml".into(), "/nowhere/b.toml".into()]).unwrap_err().to_string();
        assert_eq!(
            message,
            "no reaper.toml found; looked for
  /nowhere/a.toml
  /nowhere/b.toml
`gateway-reaper default-config` prints one to put there, annotated; this is the smallest that works:
  [[gateway]]
  name = \"dashboard\"
  kind = \"hermes\"
  url = \"http://127.0.0.1:9119\"
or name another place with --config FILE or $GATEWAY_REAPER_CONFIG"
        );
        parse(super::super::errors::SMALLEST, Path::new("reaper.toml")).unwrap();
    }
}
