//! Every file that isn't what it should be is refused, with its owner, its mode and the remedy.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::PathBuf;
use std::sync::mpsc::channel;
use std::time::Duration;

use tempfile::TempDir;

use super::*;

const STRANGER: u32 = 61_234;

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, mode: u32) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "content").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    }

    fn folder(&self, name: &str, mode: u32) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    }

    /// What is said of a file, with the folder's name taken out.
    fn said(&self, path: &Path, trust: &Trust) -> String {
        match read(path, 100, trust) {
            Ok(bytes) => String::from_utf8(bytes).unwrap(),
            Err(refusal) => refusal.to_string().replace(&self.0.path().display().to_string(), "HERE"),
        }
    }
}

fn own() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn is_root(test: &str) -> bool {
    if own() != 0 {
        eprintln!("NOT RUN: {test} needs root");
    }
    own() == 0
}

#[test]
fn a_file_of_ones_own_that_nobody_else_may_write_is_read() {
    let place = Place::new();
    for mode in [0o600, 0o644, 0o400, 0o755] {
        assert_eq!(place.said(&place.file("f", mode), &Trust::named()), "content", "{mode:o}");
        assert_eq!(place.said(&place.file("f", mode), &Trust::found()), "content", "{mode:o}");
        fs::remove_file(place.path("f")).unwrap();
    }
    assert_eq!(
        String::from_utf8(read(Path::new("/etc/passwd"), 1 << 20, &Trust::named()).unwrap()).unwrap(),
        fs::read_to_string("/etc/passwd").unwrap()
    );
}

#[test]
fn what_others_may_write_is_refused_with_owner_mode_and_remedy() {
    let place = Place::new();
    let owner = crate::users::Shown(own());
    for (mode, by, remedy) in [
        (0o602, "every user", "chmod go-w"),
        (0o666, "every user", "chmod go-w"),
        (0o646, "every user", "chmod go-w"),
    ] {
        assert_eq!(
            place.said(&place.file("f", mode), &Trust::named()),
            format!(
                "can be written by {by} ({owner}, mode {mode:o}): {remedy} it, after a look at what is in it"
            )
        );
    }
    if is_root("a group that isn't private") {
        let path = place.file("g", 0o660);
        chown(&path, None, Some(STRANGER)).unwrap();
        assert_eq!(
            place.said(&path, &Trust::named()),
            "can be written by its group (user root (0), mode 660): chmod g-w it, after a look at what is in it"
        );
    }
}

#[test]
fn a_folder_that_others_may_write_is_refused_unless_it_is_like_tmp_and_somebody_named_the_file() {
    let place = Place::new();
    let path = place.file("open/f", 0o600);
    let owner = crate::users::Shown(own());
    place.folder("open", 0o777);
    let refused = |mode: &str| {
        format!(
            "its folder HERE/open can be written by every user ({owner}, mode {mode}): chmod go-w it, or use a folder that is yours or \
             root's"
        )
    };
    for trust in [Trust::named(), Trust::found()] {
        assert_eq!(place.said(&path, &trust), refused("777"));
    }
    place.folder("open", 0o1777);
    assert_eq!(place.said(&path, &Trust::named()), "content");
    assert_eq!(place.said(&path, &Trust::found()), refused("1777"));
}

#[test]
fn what_belongs_to_a_stranger_is_refused_and_so_is_what_lies_in_a_strangers_folder() {
    if !is_root("a stranger") {
        return;
    }
    let place = Place::new();
    let path = place.file("theirs", 0o644);
    chown(&path, Some(STRANGER), None).unwrap();
    assert_eq!(
        place.said(&path, &Trust::named()),
        "belongs to user 61234, mode 644, and is not read for user root (0): chown it, if what is in it is to be trusted, or \
         name another"
    );
    assert_eq!(place.said(&path, &Trust::named().and([STRANGER])), "content");

    let path = place.file("folder/below/f", 0o600);
    chown(place.path("folder"), Some(STRANGER), None).unwrap();
    let refused = "its folder HERE/folder belongs to user 61234, mode 755, who can exchange what is in it: use a folder \
                   that is yours or root's";
    for trust in [Trust::named(), Trust::found()] {
        assert_eq!(place.said(&path, &trust), refused);
    }
    assert!(check_folder(&place.path("folder/below"), &Trust::named()).is_err());
    assert!(check_folder(&place.path("folder/below"), &Trust::named().and([STRANGER])).is_ok());
}

#[test]
fn a_link_is_as_good_as_who_made_it_and_the_folders_it_leads_through() {
    let place = Place::new();
    let path = place.file("real/f", 0o600);
    symlink("real", place.path("by-folder")).unwrap();
    symlink(&path, place.path("absolute")).unwrap();
    symlink("../real/./f", place.folder("a", 0o755).join("relative")).unwrap();
    for link in ["by-folder/f", "absolute", "a/relative", "a/../absolute"] {
        assert_eq!(place.said(&place.path(link), &Trust::named()), "content", "{link}");
    }
    symlink("loop", place.path("loop")).unwrap();
    assert_eq!(place.said(&place.path("loop"), &Trust::named()), "can't be read");
    symlink("nowhere", place.path("dangling")).unwrap();
    let Err(Refusal::Unreadable(error)) = read(&place.path("dangling"), 1, &Trust::named()) else { panic!() };
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);

    if !is_root("a stranger's link") {
        return;
    }
    // In a folder of theirs, and in one like /tmp.
    symlink(&path, place.folder("theirs", 0o755).join("link")).unwrap();
    chown(place.path("theirs"), Some(STRANGER), None).unwrap();
    assert!(
        place.said(&place.path("theirs/link"), &Trust::named()).contains("HERE/theirs belongs to user 61234")
    );
    let link = place.folder("shared", 0o1777).join("link");
    symlink(&path, &link).unwrap();
    assert_eq!(place.said(&link, &Trust::named()), "content");
    std::os::unix::fs::lchown(&link, Some(STRANGER), None).unwrap();
    assert_eq!(
        place.said(&link, &Trust::named()),
        "leads through the link HERE/shared/link, which belongs to user 61234: name the file itself"
    );
}

#[test]
fn what_is_no_regular_file_is_refused_at_once() {
    let place = Place::new();
    let pipe = place.path("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
    let socket = place.path("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let (tell, told) = channel();
    std::thread::spawn(move || {
        let said = |path: &Path| read(path, 100, &Trust::named()).unwrap_err().to_string();
        tell.send([&pipe, &socket, Path::new("/dev/zero"), Path::new("/")].map(said)).unwrap();
    });
    let said = told.recv_timeout(Duration::from_secs(20)).expect("it waits for the other end of a pipe");
    let expected = ["a pipe", "a socket", "a device", "a directory"]
        .map(|kind| format!("is {kind}; expected a regular file"));
    assert_eq!(said, expected);
}

#[test]
fn no_more_is_read_than_the_limit() {
    let place = Place::new();
    let path = place.file("f", 0o600);
    assert_eq!(read(&path, 7, &Trust::named()).unwrap(), b"content");
    assert!(matches!(read(&path, 6, &Trust::named()), Err(Refusal::TooLarge { limit: 6 })));
    assert_eq!(fs::metadata(&path).unwrap().uid(), own());
}

#[test]
fn another_reader_trusts_root_and_not_the_owner() {
    let place = Place::new();
    let path = place.file("f", 0o600);
    if own() != 0 {
        assert!(place.said(&path, &Trust::found().with_reader(STRANGER)).contains("belongs to"));
        return;
    }
    assert_eq!(place.said(&path, &Trust::found().with_reader(STRANGER)), "content");
}
