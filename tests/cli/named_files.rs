//! Files that aren't what they should be: each is refused at once, with its owner, its mode and the remedy, and nothing is sent anywhere.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;

use crate::gateway::{Gateway, table};
use crate::place::{Place, Ran};
use crate::privileges::{has_root, is_root};

const STRANGER: u32 = 61_234;

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn pipe(path: &Path) {
    rustix::fs::mkfifoat(rustix::fs::CWD, path, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
}

/// Runs both commands that ask gateways; neither may.
fn refused(place: &Place, gateway: &Gateway, args: &[&str], says: &[&str]) {
    for command in ["once", "status"] {
        let ran: Ran = place.reaper([command].into_iter().chain(args.iter().copied())).run();
        assert_eq!((ran.out.as_str(), ran.code), ("", Some(2)), "{ran:?}");
        for says in says {
            assert!(ran.err.contains(says), "{says} in {ran:?}");
        }
    }
    assert_eq!(gateway.looks(), 0, "nothing may be asked");
}

#[test]
fn a_configuration_that_others_may_write_is_refused() {
    let gateway = Gateway::start();
    let place = Place::new();
    let path = place.write("named.toml", gateway.section("a"));
    for (bits, remedy) in [(0o666, "mode 666): chmod go-w it"), (0o602, "mode 602): chmod go-w it")] {
        mode(&path, bits);
        refused(
            &place,
            &gateway,
            &["--config", "named.toml"],
            &["named.toml: can be written by every user", remedy],
        );
    }
    mode(&path, 0o644);
    mode(place.dir(), 0o777);
    refused(
        &place,
        &gateway,
        &["--config", "named.toml"],
        &["its folder", "can be written by every user", "mode 777"],
    );
    mode(place.dir(), 0o755);
    assert_eq!(place.status(["--config", "named.toml"]).code, Some(0));
}

#[test]
fn a_reaper_toml_in_a_strangers_folder_is_not_read() {
    if !has_root("a stranger's folder") {
        return;
    }
    let gateway = Gateway::start();
    let place = Place::with(&gateway.section("a"));
    chown(place.path("reaper.toml"), Some(STRANGER), None).unwrap();
    let unnamed = "reaper.toml, which was found, not named (--config names one): belongs to user 61234";
    refused(&place, &gateway, &[], &[unnamed, "mode 644"]);
    chown(place.path("reaper.toml"), Some(0), None).unwrap();
    chown(place.dir(), Some(STRANGER), None).unwrap();
    refused(&place, &gateway, &[], &["not named", "its folder", "belongs to user 61234"]);
    chown(place.dir(), Some(0), None).unwrap();
    mode(place.dir(), 0o1777);
    refused(&place, &gateway, &[], &["not named", "can be written by every user", "mode 1777"]);
    // Under sudo a named file may be the caller's, and one that was not named may not.
    mode(place.dir(), 0o755);
    chown(place.path("reaper.toml"), Some(STRANGER), None).unwrap();
    let sudo = |args: &[&str]| place.reaper(args.iter().copied()).env("SUDO_UID", STRANGER.to_string()).run();
    assert_eq!(sudo(&["status"]).code, Some(2));
    assert_eq!(sudo(&["status", "--config", "reaper.toml"]).code, Some(0));
}

#[test]
fn what_is_no_regular_file_neither_hangs_a_run_nor_fills_the_memory() {
    let gateway = Gateway::start();
    let place = Place::new();
    pipe(&place.path("pipe"));
    refused(&place, &gateway, &["--config", "pipe"], &["pipe: is a pipe; expected a regular file"]);
    place.write("reaper.toml", format!("{}token_file = \"pipe\"\n", gateway.section("a")));
    refused(&place, &gateway, &[], &["token file", "pipe: is a pipe; expected a regular file"]);

    gateway.publish(&table(None, &[]));
    for (file, says) in [
        ("pipe", "pipe: is a pipe"),
        ("/dev/zero", "pid_file /dev/zero: is a device"),
        ("missing", "missing: can't be read: No such file"),
        ("two", "two: expected one process id and nothing else"),
        ("stale", "stale names process 999999999, which isn't there"),
    ] {
        place.write("two", "1\n2\n");
        place.write("stale", "999999999\n");
        let section = gateway.section("a");
        place.write("reaper.toml", format!("{section}[gateway.process]\npid_file = \"{file}\"\n"));
        let ran = place.once([]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert_eq!(ran.err.matches(says).count(), 1, "{says} in {ran:?}");
    }
}

#[test]
fn a_token_is_not_read_through_a_strangers_link_nor_from_a_file_that_others_may_write() {
    let gateway = Gateway::start();
    let place = Place::with(&format!("{}token_file = \"token\"\n", gateway.section("a")));
    let token = place.write("token", "s3cr3t");
    mode(&token, 0o602);
    refused(&place, &gateway, &[], &["token: can be written by every user", "mode 602): chmod go-w"]);
    mode(&token, 0o600);
    if !has_root("a stranger's link") {
        return;
    }
    chown(&token, None, Some(STRANGER)).unwrap();
    mode(&token, 0o660);
    refused(&place, &gateway, &[], &["token: can be written by its group", "mode 660): chmod g-w"]);
    fs::create_dir(place.path("theirs")).unwrap();
    symlink("/etc/shadow", place.path("theirs/token")).unwrap();
    chown(place.path("theirs"), Some(STRANGER), None).unwrap();
    place.write("reaper.toml", format!("{}token_file = \"theirs/token\"\n", gateway.section("a")));
    refused(
        &place,
        &gateway,
        &[],
        &["its folder", "theirs belongs to user 61234, mode 755", "yours or root's"],
    );
}

#[test]
fn a_state_directory_in_a_strangers_folder_is_refused() {
    if !is_root() {
        return;
    }
    let gateway = Gateway::start();
    let place = Place::with(&format!("[state]\ndir = \"theirs/state\"\n{}", gateway.section("a")));
    fs::create_dir(place.path("theirs")).unwrap();
    chown(place.path("theirs"), Some(STRANGER), None).unwrap();
    let ran = place.once([]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(
        ran.err.contains("can be exchanged for another") && ran.err.contains("belongs to user 61234"),
        "{ran:?}"
    );
    assert_eq!(gateway.looks(), 0);
}
