//! `kind = "command"`: what a program is asked with, and what its answers do.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::place::{Place, Ran};
use crate::program::write_program;
use crate::running::eventually;

/// A program of this test: a shell script that only its owner can write.
pub(crate) fn program(place: &Place, name: &str, script: &str) -> PathBuf {
    let path = place.path(&format!("bin/{name}"));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::set_permissions(path.parent().unwrap(), fs::Permissions::from_mode(0o755)).unwrap();
    write_program(&path, format!("#!/bin/sh\n{script}\n"));
    path
}

/// One gateway, for which these two programs speak.
pub(crate) fn configure(place: &Place, table: &str, reap: Option<&str>, more: &str) {
    let table = program(place, "table", table);
    let reap = reap.map(|script| program(place, "reap", script));
    let reap = reap.map(|reap| format!("reap = [{reap:?}]\n")).unwrap_or_default();
    let text = format!(
        "[policy]\ngrace = \"0s\"\nworker_grace = \"0s\"\n[[gateway]]\nname = \"desk\"\nkind = \"command\"\n\
         table = [{table:?}, \"--sessions\", \"a b\"]\n{reap}{more}"
    );
    place.write("reaper.toml", text);
}

pub(crate) fn prints(document: &Value) -> String {
    format!("cat <<'END'\n{document}\nEND")
}

pub(crate) fn detached(ids: &[&str]) -> Value {
    let rows: Vec<Value> = ids
        .iter()
        .map(|id| json!({ "id": id, "transport": "detached", "turn": "idle", "activity": format!("act {id}") }))
        .collect();
    json!({ "version": 1, "gateway": { "instance": "run 1" }, "sessions": rows })
}

fn failed_with(ran: &Ran, words: &str) {
    assert_eq!(ran.code, Some(3), "{ran:#?}");
    let gateway = &ran.json()["gateways"][0];
    assert_eq!((&gateway["table"], &gateway["subjects"]), (&json!("refused"), &json!([])), "{gateway:#}");
    let error = gateway["error"].as_str().unwrap();
    assert!(error.contains(words), "{words:?} in {error:?}");
}

#[test]
fn a_due_session_is_closed_by_the_program_with_its_id_run_and_activity() {
    let place = Place::new();
    let told = place.path("told");
    let reap = format!(
        "printf '%s\\n' \"$#\" \"$1\" \"$GATEWAY_REAPER_INSTANCE\" \"$GATEWAY_REAPER_ACTIVITY\" > {}\n\
         echo '{{\"outcome\":\"reaped\"}}'",
        told.display()
    );
    let mut table = detached(&["$(touch owned); -rf *"]);
    table["sessions"].as_array_mut().unwrap().push(json!({ "id": "b", "transport": "attached" }));
    configure(&place, &prints(&table), Some(&reap), "");
    let ran = place.once(["--json"]);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    assert_eq!(ran.subject("$(touch owned); -rf *")["outcome"], "reaped", "{ran:#?}");
    assert_eq!(ran.subject("b")["reason"], "attached");
    assert_eq!(
        fs::read_to_string(told).unwrap(),
        "1\n$(touch owned); -rf *\nrun 1\nact $(touch owned); -rf *\n",
        "no shell reads it"
    );
}

#[test]
fn the_answer_is_the_contracts_and_nothing_else_counts() {
    for (reap, outcome, words) in [
        (r#"echo '{"outcome":"gone"}'"#, "gone", ""),
        (r#"echo '{"outcome":"kept","reason":"attached"}'"#, "kept", "attached"),
        (r#"echo '{"outcome":"kept","reason":"instance"}'"#, "kept", "instance"),
        (r#"echo '{"outcome":"reaped"}'; echo no such session >&2; exit 1"#, "failed", "no such session"),
        (r#"echo '["reaped"]'"#, "failed", "nothing is assumed"),
        ("true", "failed", "nothing is assumed"),
        ("kill -9 $$", "failed", "signal 9"),
    ] {
        let place = Place::new();
        configure(&place, &prints(&detached(&["a"])), Some(reap), "");
        let ran = place.once(["--json"]);
        let subject = ran.subject("a");
        assert_eq!(subject["outcome"], outcome, "{reap}: {subject:#}");
        assert!(subject.to_string().contains(words), "{reap}: {subject:#}");
        assert_eq!(ran.code, Some(i32::from(outcome == "failed")), "{reap}");
    }
}

#[test]
fn without_a_program_that_closes_sessions_they_are_only_told_of() {
    let place = Place::new();
    configure(&place, &prints(&detached(&["a"])), None, "");
    for _ in 0..2 {
        let ran = place.once(["--json"]);
        assert_eq!(ran.code, Some(0), "{ran:#?}");
        let subject = ran.subject("a");
        assert_eq!((&subject["verdict"], &subject["outcome"]), (&json!("reap"), &json!("would-reap")));
    }
    assert_eq!(place.audit(), Vec::<Value>::new());
    let doctor = place.reaper(["doctor"]).run();
    assert!(doctor.out.contains("desk: no program closes its sessions"), "{}", doctor.out);
}

#[test]
fn it_is_run_in_a_session_of_its_own_with_little_of_the_reapers() {
    let place = Place::new();
    let saw = place.path("saw");
    let table = format!(
        "{{ env; pwd; printf '%s\\n' \"$@\"; cat; cut -d' ' -f1,6 /proc/$$/stat; ls -l /proc/$$/fd; }} > {}\n{}",
        saw.display(),
        prints(&detached(&[]))
    );
    configure(&place, &table, None, "environment = [\"LETTERS\", \"UNSET\"]\n");
    let reaper =
        place.reaper(["once"]).env("LETTERS", "a=b c").env("SECRET", "s3cret").env("LANG", "C.UTF-8");
    let ran = reaper.run();
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    let saw = fs::read_to_string(saw).unwrap();
    let lines: Vec<&str> = saw.lines().collect();
    let variables: Vec<&str> =
        lines.iter().filter(|line| line.contains('=')).map(|line| line.split('=').next().unwrap()).collect();
    // PWD, OLDPWD, SHLVL and _ are a shell's own.
    let given: Vec<&str> =
        variables.into_iter().filter(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name)).collect();
    let mut sorted = given.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, ["HOME", "LANG", "LETTERS", "PATH"], "{saw}");
    assert!(lines.contains(&"LETTERS=a=b c"), "{saw}");
    let at = lines.iter().position(|line| *line == "--sessions").unwrap();
    assert_eq!((lines[at - 1], lines[at + 1]), ("/", "a b"), "its folder, and an argument as it is: {saw}");
    let (pid, session) = lines[at + 2].split_once(' ').unwrap();
    assert_eq!(pid, session, "it leads a session: {saw}");
    assert!(saw.contains("0 -> /dev/null"), "{saw}");
    for of_the_reaper in ["/state", "socket:", "anon_inode:"] {
        let is_open = lines.iter().any(|line| line.contains(" -> ") && line.contains(of_the_reaper));
        assert!(!is_open, "{of_the_reaper} is open: {saw}");
    }
}

#[test]
fn a_program_that_fails_is_no_empty_table() {
    let table = prints(&detached(&[]));
    for (script, words) in [
        (format!("{table}\necho 'error connecting: no such file' >&2\nexit 1"), "exited with 1"),
        (format!("{table}\necho 'error connecting: no such file' >&2\nexit 1"), "no such file"),
        (format!("{table}\nkill -TERM $$"), "signal 15"),
        ("true".to_owned(), "not a session table"),
        ("echo '{\"version\":1,\"sessions\":['".to_owned(), "not a session table"),
        (format!("{table}\necho tail"), "not a session table"),
        ("echo sorry >&2; echo '{\"version\":2,\"sessions\":[]}'".to_owned(), "its last words: sorry"),
        ("exec /no/such/interpreter".to_owned(), "exited with 127"),
    ] {
        let place = Place::new();
        configure(&place, &script, None, "");
        failed_with(&place.once(["--json"]), words);
    }
}

#[test]
fn other_gateways_are_served_while_a_program_fails() {
    let place = Place::new();
    let good = program(&place, "good", &prints(&detached(&["a"])));
    let reap = program(&place, "close", "echo '{\"outcome\":\"reaped\"}'");
    let more =
        format!("[[gateway]]\nname = \"good\"\nkind = \"command\"\ntable = [{good:?}]\nreap = [{reap:?}]\n");
    configure(&place, "exit 1", None, &more);
    let ran = place.once(["--json"]);
    assert_eq!((ran.code, &ran.subject("a")["outcome"]), (Some(3), &json!("reaped")), "{ran:#?}");
}

#[test]
fn no_more_closes_are_under_way_than_are_allowed() {
    let place = Place::new();
    let marks = place.path("under-way");
    fs::create_dir(&marks).unwrap();
    let reap = format!(
        "cd {}\ntouch \"$1\"; ls | wc -l >> ../counts; sleep 0.2; rm \"$1\"; echo '{{\"outcome\":\"reaped\"}}'",
        marks.display()
    );
    let ids: Vec<String> = (0..9).map(|number| format!("s{number}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    configure(&place, &prints(&detached(&ids)), Some(&reap), "closes_at_once = 3\n");
    let ran = place.once(["--json"]);
    assert_eq!((ran.code, &ran.json()["totals"]["reaped"]), (Some(0), &json!(9)), "{ran:#?}");
    let counts = place.read("counts");
    let most = counts.lines().map(|line| line.trim().parse::<usize>().unwrap()).max();
    assert!(most <= Some(3), "{counts}");
}

#[test]
fn check_and_doctor_know_the_kind() {
    let place = Place::new();
    configure(&place, &prints(&detached(&["a"])), Some("true"), "environment = [\"TMUX_TMPDIR\"]\n");
    let check = place.reaper(["check"]).run();
    assert_eq!(check.code, Some(0), "{check:#?}");
    for words in ["\"command\"", "bin/table", "bin/reap", "[\"TMUX_TMPDIR\"]"] {
        assert!(check.out.contains(words), "{words} in {}", check.out);
    }
    let doctor = place.reaper(["doctor"]).run();
    assert!(doctor.out.contains("desk (command) answers: 1 session"), "{}", doctor.out);
    assert!(doctor.out.contains("program     desk: "), "{}", doctor.out);
}
