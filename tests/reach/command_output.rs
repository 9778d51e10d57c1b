//! `kind = "command"`: a program that prints too much, or doesn't end, is ended with its whole session.

use std::fs;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use crate::command::{configure, detached, prints};
use crate::place::{Place, Ran};
use crate::running::eventually;

/// What a script starts that nothing but the end of its session stops; each writes its PID into a file of its own.
fn family(place: &Place) -> String {
    let pids = place.path("pids");
    fs::create_dir(&pids).unwrap();
    let note = |name: &str| format!("echo $$ > {}/{name}", pids.display());
    format!(
        "(trap '' TERM HUP; sh -c '{}; exec sleep 600' & sh -c '{}; sleep 600; true' &)\n\
         setsid sh -c '{}; exec sleep 600' &\n\
         while [ $(ls {} | wc -l) -lt 3 ]; do sleep 0.01; done",
        note("daemon"),
        note("other"),
        note("own-session"),
        pids.display(),
    )
}

fn nothing_is_left(place: &Place) {
    let read = |entry: fs::DirEntry| fs::read_to_string(entry.path()).unwrap().trim().to_owned();
    let pids: Vec<String> =
        fs::read_dir(place.path("pids")).unwrap().map(|entry| read(entry.unwrap())).collect();
    assert_eq!(pids.len(), 3);
    let lives = |pid: &String| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The PID may be another process' by now.
        let argv = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        argv.contains("sleep\u{0}600") && !stat.contains(") Z ")
    };
    eventually("all that it started has ended", || !pids.iter().any(lives), || format!("{pids:?}"));
}

fn refused(ran: &Ran, words: &str) {
    assert_eq!(ran.code, Some(3), "{ran:#?}");
    let gateway = &ran.json()["gateways"][0];
    assert_eq!(gateway["table"], "refused");
    let error = gateway["error"].as_str().unwrap();
    assert!(error.contains(words), "{words:?} in {error:?}");
}

#[test]
fn at_its_timeout_a_program_is_ended_with_its_whole_session() {
    let place = Place::new();
    let table =
        format!("{}\necho asking the server >&2\n{}\nsleep 600", family(&place), prints(&detached(&["a"])));
    configure(&place, &table, None, "timeout = \"3s\"\n");
    let ran = place.once(["--json"]);
    refused(&ran, "after 3s, and was ended with its whole session");
    refused(&ran, "its last words: asking the server");
    nothing_is_left(&place);
}

/// A process that left the session, and whose parent has ended, is of nobody any more.
#[test]
fn a_program_that_ended_and_left_its_output_open_has_not_answered() {
    let place = Place::new();
    let family = family(&place).replace("setsid ", "");
    let table = format!("{family}\n{}", prints(&detached(&["a"])));
    configure(&place, &table, None, "timeout = \"3s\"\n");
    refused(&place.once(["--json"]), "after 3s");
    nothing_is_left(&place);
}

#[test]
fn a_program_that_prints_too_much_is_ended_while_it_prints() {
    let place = Place::new();
    let table = format!("{}\nyes", family(&place));
    configure(&place, &table, None, "timeout = \"10m\"\nmax_table_bytes = 65536\n");
    refused(&place.once(["--json"]), "printed more than 65536 bytes");
    nothing_is_left(&place);
}

#[test]
fn a_program_that_closes_a_session_is_ended_at_its_time_too() {
    let place = Place::new();
    let reap = format!("{}\necho '{{\"outcome\":\"reaped\"}}'\nsleep 600", family(&place));
    configure(&place, &prints(&detached(&["a"])), Some(&reap), "timeout = \"3s\"\nclose_timeout = \"1s\"\n");
    let ran = place.once(["--json"]);
    let subject = ran.subject("a");
    assert_eq!((ran.code, &subject["outcome"]), (Some(1), &json!("failed")), "{ran:#?}");
    nothing_is_left(&place);
}

#[test]
fn a_program_is_ended_with_a_reaper_that_is_told_to_end() {
    let place = Place::new();
    let table = format!("{}\nsleep 600", family(&place));
    configure(&place, &table, None, "timeout = \"10m\"\n");
    let running = place.reaper(["watch"]).start();
    let begun = || fs::read_dir(place.path("pids")).is_ok_and(|pids| pids.count() == 3);
    running.eventually("the program runs", begun);
    running.signal(Signal::TERM);
    running.end();
    nothing_is_left(&place);
}

#[test]
fn a_flood_on_stderr_is_no_hindrance_and_no_secret_of_the_environment_is_repeated() {
    let place = Place::new();
    let table = "head -c 3000000 /dev/zero >&2\necho >&2\necho \"bad token $KEY\" >&2\nexit 7";
    configure(&place, table, None, "environment = [\"KEY\"]\n");
    let ran = place.reaper(["--json", "once"]).env("KEY", "s3cret-t0ken").run();
    refused(&ran, "its last words: bad token …)");
    refused(&ran, "exited with 7");
    assert!(!format!("{ran:?}").contains("s3cret"), "{ran:?}");
}
