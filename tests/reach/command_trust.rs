//! `kind = "command"`: only a program is run that nobody else could have written.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};

use crate::command::{configure, detached, prints, program};
use crate::place::Place;
use crate::privileges::has_root;

const STRANGER: u32 = 61_234;

/// Nothing runs, and the refusal says what is wrong.
fn refuses(place: &Place, words: &[&str]) {
    let ran = place.once(["--json"]);
    assert_eq!(ran.code, Some(2), "{ran:#?}");
    for words in words {
        assert!(ran.err.contains(words), "{words:?} in {}", ran.err);
    }
    let doctor = place.reaper(["doctor"]).run();
    assert_eq!(doctor.code, Some(1));
    assert!(doctor.out.contains(words[0]), "{}", doctor.out);
}

fn good() -> Place {
    let place = Place::new();
    configure(&place, &prints(&detached(&[])), Some("true"), "");
    assert_eq!(place.once([]).code, Some(0));
    place
}

fn mode(place: &Place, name: &str, mode: u32) {
    fs::set_permissions(place.path(name), fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_program_that_others_can_write_is_not_run() {
    for name in ["bin/table", "bin/reap"] {
        let place = good();
        mode(&place, name, 0o757);
        refuses(&place, &["can be written by every user", "mode 757", "chmod"]);
    }
}

#[test]
fn a_program_in_a_folder_that_others_can_write_is_not_run() {
    for folder_mode in [0o777, 0o1777] {
        let place = good();
        mode(&place, "bin", folder_mode);
        refuses(&place, &["can be written by every user", "its folder"]);
    }
}

#[test]
fn a_program_of_another_user_is_not_run() {
    if !has_root("a_program_of_another_user_is_not_run") {
        return;
    }
    let place = good();
    chown(place.path("bin/table"), Some(STRANGER), None).unwrap();
    refuses(&place, &["belongs to", "61234", "chown"]);
    let place = good();
    chown(place.path("bin"), Some(STRANGER), None).unwrap();
    refuses(&place, &["its folder", "61234"]);
}

#[test]
fn what_is_no_program_is_not_run() {
    let place = good();
    fs::remove_file(place.path("bin/table")).unwrap();
    refuses(&place, &["can't be read"]);
    fs::create_dir(place.path("bin/table")).unwrap();
    refuses(&place, &["a directory"]);
    fs::remove_dir(place.path("bin/table")).unwrap();
    program(&place, "table", "true");
    mode(&place, "bin/table", 0o644);
    refuses(&place, &["chmod +x"]);
}

#[test]
fn a_link_to_a_good_program_is_as_good() {
    let place = good();
    fs::rename(place.path("bin/table"), place.path("bin/real")).unwrap();
    symlink("real", place.path("bin/table")).unwrap();
    assert_eq!(place.once([]).code, Some(0));
}

#[test]
fn a_program_that_became_anothers_under_watch_is_not_run_any_more() {
    let place = good();
    let running = place.reaper(["watch", "--interval", "100ms"]).start();
    running.eventually("it has looked", || !running.out().is_empty());
    mode(&place, "bin/table", 0o757);
    running.eventually("it says so", || {
        (running.out() + &running.err()).contains("can be written by every user")
    });
}
