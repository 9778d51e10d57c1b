//! Tables that lie. Whatever they say, what the interface protects is never signalled.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::cast::{gateway_of, pid, worker, worker_match, worker_program};
use crate::gateway::{Answer, Gateway, orphan, orphan_with, table, with};
use crate::place::{EXE, Place};
use crate::support::family::part;

fn config(gateways: &[(&Gateway, &str)]) -> String {
    let sections: Vec<String> =
        gateways.iter().map(|(gateway, name)| gateway.section(name) + &worker_match()).collect();
    let policy =
        "[policy]\ngrace = \"0s\"\nworker_grace = \"0s\"\nclose_timeout = \"0s\"\nterm_timeout = \"100ms\"\n";
    policy.to_owned() + &sections.join("")
}

#[test]
fn a_row_that_names_what_is_protected_is_kept_whole() {
    let family = gateway_of([worker("mine"), part("child")]).start(&["gateway", "mine", "child"]);
    let stranger = part("stranger").child(worker("theirs")).start(&["stranger", "theirs"]);
    let gateway = Gateway::start();
    gateway.when_reaping(|_| Answer::reaped());
    let place = Place::with(&config(&[(&gateway, "desk")]));
    let lies = [
        ("init", 1, "process 1 is init"),
        ("the reaper's parent", std::process::id(), "is the reaper itself or an ancestor of it"),
        ("the gateway", pid(&family, "gateway"), "is a gateway"),
        ("a kernel thread, or nobody", 2, ""),
        ("a stranger", pid(&stranger, "stranger"), "doesn't match worker.match"),
        ("a child of the gateway that is no worker", pid(&family, "child"), "doesn't match worker.match"),
        ("another gateway's worker", pid(&stranger, "theirs"), "isn't under its gateway"),
    ];
    for (what, lie, why) in lies {
        let mine = with(
            with(orphan_with("mine", pid(&family, "mine")), "key", json!("mine")),
            "transport",
            json!("attached"),
        );
        gateway.publish(&table(Some(pid(&family, "gateway")), &[orphan_with("liar", lie), mine]));
        let ran = place.once(["--json"]);
        let subject = ran.subject("liar");
        if why.is_empty() {
            assert!(
                subject["steps"] == json!([]) || subject["steps"] == json!(["close"]),
                "{what}: {subject}"
            );
        } else {
            assert_eq!(
                (subject["verdict"].as_str(), subject["reason"].as_str()),
                (Some("keep"), Some("protected")),
                "{what}: {subject}"
            );
            assert!(subject["detail"].as_str().unwrap().contains(why), "{what}: {subject}");
        }
        assert_eq!(ran.code, Some(0), "{what}");
        for (family, tag) in [
            (&family, "gateway"),
            (&family, "mine"),
            (&family, "child"),
            (&stranger, "stranger"),
            (&stranger, "theirs"),
        ] {
            assert!(!family.has_ended(tag), "{what}: {tag} is gone");
        }
    }
}

#[test]
fn a_row_that_names_the_reaper_itself_is_kept() {
    let family = gateway_of([]).start(&["gateway"]);
    let gateway = Gateway::start();
    let place = Place::with(&config(&[(&gateway, "desk")]));
    // A shell that becomes the reaper, and keeps its PID. Its argv would pass for a worker's, too.
    let script = "echo $$; read go; exec \"$0\" once --json";
    let mut shell = place.program("sh", ["-c", script, EXE]);
    let mut child = shell.command.stdin(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    let reaper: u32 = line.trim().parse().unwrap();
    gateway.publish(&table(Some(pid(&family, "gateway")), &[orphan_with("liar", reaper)]));
    writeln!(child.stdin.take().unwrap(), "go").unwrap();
    line.clear();
    out.read_line(&mut line).unwrap();
    let report: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(report["gateways"][0]["subjects"][0]["reason"], "protected", "{report}");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn two_rows_that_name_one_worker_are_both_kept() {
    let family = gateway_of([worker("w")]).start(&["gateway", "w"]);
    let gateway = Gateway::start();
    let row = |id: &str| with(orphan_with(id, pid(&family, "w")), "key", json!("w"));
    gateway.publish(&table(
        Some(pid(&family, "gateway")),
        &[row("one"), with(row("two"), "turn", json!("running"))],
    ));
    let place = Place::with(&config(&[(&gateway, "desk")]));
    let ran = place.once(["--json"]);
    assert_eq!(ran.subject("one")["reason"], "protected", "the other may be in the middle of a turn");
    assert_eq!(ran.subject("two")["reason"], "mid-turn");
    assert_eq!(ran.json()["totals"]["workers"], 1);
    assert!(gateway.reaps().is_empty() && !family.has_ended("w"));
}

#[test]
fn two_gateways_that_name_one_worker_or_one_gateway_take_nothing_from_each_other() {
    let family = gateway_of([worker("w"), worker("x")]).start(&["gateway", "w", "x"]);
    let (honest, liar) = (Gateway::start(), Gateway::start());
    liar.when_reaping(|_| Answer::reaped());
    let rows = |id: &str, tag: &str| with(orphan_with(id, pid(&family, tag)), "key", json!(tag));
    let attached = |row: Value| with(row, "transport", json!("attached"));
    honest.publish(&table(
        Some(pid(&family, "gateway")),
        &[attached(rows("one", "w")), attached(rows("two", "x"))],
    ));
    let place = Place::with(&config(&[(&honest, "honest"), (&liar, "liar")]));
    // Names the other's worker.
    liar.publish(&table(None, &[rows("mine", "w")]));
    place.once([]);
    // Names the other's gateway as its own, and none of its workers.
    liar.publish(&table(Some(pid(&family, "gateway")), &[]));
    place.once([]);
    place.once([]);
    // Both.
    liar.publish(&table(Some(pid(&family, "gateway")), &[rows("mine", "x")]));
    let ran = place.once(["--json"]);
    assert_eq!(ran.subject("mine")["reason"], "protected", "{}", ran.out);
    assert!(!family.has_ended("w") && !family.has_ended("x") && !family.has_ended("gateway"));
}

#[test]
fn a_stranger_named_as_the_gateway_loses_none_of_its_own() {
    let stranger = part("stranger").child(part("child")).child(part("tail").argv([
        "tail",
        "-f",
        &worker_program(),
        "--session-key",
        "k",
    ]));
    let stranger = stranger.start(&["stranger", "child", "tail"]);
    let gateway = Gateway::start();
    let place = Place::with(&config(&[(&gateway, "desk")]));
    for named in [pid(&stranger, "stranger"), 1, std::process::id()] {
        gateway.publish(&table(Some(named), &[]));
        let ran = place.once(["--json"]);
        assert_eq!((ran.subjects(), ran.code), (0, Some(0)), "{}", ran.out);
    }
    for tag in ["stranger", "child", "tail"] {
        assert!(!stranger.has_ended(tag), "{tag}");
    }
}

#[test]
fn look_alikes_are_no_workers() {
    let name = worker_program();
    let looks = [
        format!("vim {name} --session-key k"),
        format!("tail -f /var/log/{name} --session-key k"),
        format!("sh -c {name} --session-key k"),
        format!("{name}-2 --session-key k"),
        format!("C{} --session-key k", &name[1..]),
    ];
    let tags = ["l0", "l1", "l2", "l3", "l4"];
    let parts = tags.iter().zip(&looks).map(|(tag, argv)| part(tag).argv([argv.as_str()]));
    let family =
        gateway_of(parts.chain([worker("w")])).start(&["gateway", "w", "l0", "l1", "l2", "l3", "l4"]);
    let gateway = Gateway::start();
    gateway.publish(&table(Some(pid(&family, "gateway")), &[]));
    let place = Place::with(&config(&[(&gateway, "desk")]));
    let ran = place.once(["--json"]);
    assert_eq!((ran.subjects(), ran.code), (1, Some(0)), "{}", ran.out);
    assert!(family.has_ended("w"));
    for tag in tags {
        assert!(!family.has_ended(tag), "{tag}");
    }
}

#[test]
fn a_reap_answer_that_makes_no_sense_is_a_failure_and_nothing_is_assumed() {
    let family = gateway_of([worker("w")]).start(&["gateway", "w"]);
    let gateway = Gateway::start();
    gateway.publish(&table(
        Some(pid(&family, "gateway")),
        &[with(orphan_with("a", pid(&family, "w")), "key", json!("w"))],
    ));
    let place = Place::with(&config(&[(&gateway, "desk")]).replace("\"2s\"", "\"4s\""));
    let nonsense = [
        Answer::Says(200, String::new()),
        Answer::Says(200, r#"{"outcome":"kept"}"#.into()),
        Answer::Says(200, r#"{"outcome":"REAPED"}"#.into()),
        Answer::Says(200, "<html>reaped</html>".into()),
        Answer::Says(204, String::new()),
        Answer::Says(302, String::new()),
        Answer::Says(404, "<html>no such page</html>".into()),
        Answer::Says(404, r#"{"outcome":"reaped"}"#.into()),
        Answer::Says(500, r#"{"outcome":"reaped"}"#.into()),
        Answer::Says(401, String::new()),
        Answer::Raw(b"HTTP/1.1 200 -\r\ncontent-length: 20\r\n\r\n{\"outcome\":".to_vec()),
        Answer::Hangs,
        Answer::Nothing,
    ];
    for answer in nonsense {
        gateway.on_reap("a", answer.clone());
        let ran = place.once(["--json"]);
        assert_eq!(ran.subject("a")["outcome"], "failed", "{answer:?}: {}", ran.out);
        assert_eq!(ran.subject("a")["steps"], json!(["close"]), "{answer:?}");
        assert_eq!(ran.code, Some(1));
        assert!(!family.has_ended("w"), "{answer:?}");
    }
    // A reaper that gave up on an answer may be gone before the gateway has read the question.
    crate::running::eventually(
        "all were asked",
        || gateway.reaps().len() >= 13,
        || format!("{}", gateway.reaps().len()),
    );
    assert_eq!(gateway.reaps().len(), 13, "once a run, and never again in it");
    gateway.publish(&table(
        Some(pid(&family, "gateway")),
        &[with(orphan_with("a", pid(&family, "w")), "turn", json!("running"))],
    ));
    place.once([]);
    assert!(!family.has_ended("w"), "what is in hand is not taken once it is wanted again");
    let ids = orphan("x y/../..?#");
    gateway.publish(&table(None, &[ids]));
    gateway.when_reaping(|_| Answer::reaped());
    let ran = place.once(["--json"]);
    assert_eq!(ran.subject("x y/../..?#")["outcome"], "reaped", "{:?}", gateway.reaps());
}

#[test]
fn no_word_of_a_gateway_steers_a_terminal_and_json_says_exactly_the_same() {
    let odd = "a\u{1b}[2J\u{7f}\u{9b}\u{202e}\u{200b}\u{2028}\u{feff}z";
    let gateway = Gateway::start();
    gateway.publish(&table(None, &[orphan(odd)]));
    gateway.on_reap(odd, Answer::kept(odd));
    let place = Place::with(&format!("[policy]\ngrace = \"0s\"\n{}", gateway.section("desk")));
    let harmless = |text: &str| {
        text.chars()
            .all(|char| char == '\n' || matches!(char, '"' | '\'' | '\\') || char.escape_debug().len() == 1)
    };
    let ran = place.once(["-v"]);
    assert!(harmless(&ran.out) && ran.out.contains(r"a\u{1b}[2J\u{7f}\u{9b}"), "{ran:?}");
    let ran = place.once(["--json"]);
    assert!(harmless(&ran.out), "{ran:?}");
    assert_eq!(ran.subject(odd)["id"], odd);
    for file in ["audit.jsonl", "last_run.json", "seen.json", "events.jsonl"] {
        assert!(
            harmless(&place.read(&format!("state/{file}"))),
            "{file}: {}",
            place.read(&format!("state/{file}"))
        );
    }
    assert!(place.audit().iter().any(|line| line.to_string().contains("2J")), "it was written down");
}

#[test]
fn a_token_that_a_gateway_uses_as_a_sessions_id_is_shown_nowhere() {
    let token = "s3cr3t-t0ken-0f-some-length";
    for row in [
        orphan(token),
        with(orphan("a"), "key", json!(format!("x{token}"))),
        with(orphan("a"), "holds", json!([token])),
    ] {
        let gateway = Gateway::start();
        gateway.publish(&table(None, &[row]));
        let section =
            format!("[policy]\ngrace = \"0s\"\n{}token_env = \"DESK_TOKEN\"\n", gateway.section("desk"));
        let place = Place::with(&section);
        for args in [&["once", "-vv"][..], &["once", "--json"], &["status"]] {
            let ran = place.reaper(args.iter().copied()).env("DESK_TOKEN", token).run();
            assert_eq!(ran.code, Some(3), "{ran:?}");
            assert!(ran.out.contains("published its own token"), "{ran:?}");
            assert!(!ran.out.contains(token) && !ran.err.contains(token), "{ran:?}");
        }
        assert_eq!(gateway.reaps().len(), 0);
        for file in std::fs::read_dir(place.path("state")).unwrap() {
            let path = file.unwrap().path();
            assert!(!std::fs::read_to_string(&path).unwrap().contains(token), "{}", path.display());
        }
    }
}

#[test]
fn a_table_of_a_million_rows_is_refused_in_little_memory_and_one_of_a_hundred_thousand_is_read() {
    let gateway = Gateway::start();
    let place = Place::with(&gateway.section("desk").replace("\"2s\"", "\"60s\""));
    let rows = |number: usize| {
        let rows: Vec<String> = (0..number).map(|n| format!("{{\"id\":\"{n:x}\"}}")).collect();
        format!("{{\"version\":1,\"sessions\":[{}]}}", rows.join(","))
    };
    for (number, code) in [(1_000_000, 3), (100_000, 0)] {
        let table = rows(number);
        assert!(table.len() < 16 << 20);
        gateway.answer(Answer::Says(200, table));
        // The kernel gives it no more memory of its own than this.
        let ran = place.program("prlimit", ["--data=268435456", EXE, "status", "--json"]).run();
        assert_eq!(ran.code, Some(code), "{number} rows: {}", ran.err);
        assert_eq!(ran.out.contains("more than 104857 sessions"), code == 3, "{number} rows");
    }
}

/// Of several processes behind one address another one may answer the close than lists the sessions.
#[test]
fn a_gateway_that_says_gone_and_keeps_the_row_is_believed_once_and_its_worker_is_not_signalled() {
    let family = gateway_of([worker("mine")]).start(&["gateway", "mine"]);
    let gateway = Gateway::start();
    gateway.when_reaping(|_| Answer::Says(404, json!({ "outcome": "gone" }).to_string()));
    let row = with(orphan_with("s", pid(&family, "mine")), "key", json!("mine"));
    gateway.publish(&table(Some(pid(&family, "gateway")), &[row]));
    let place = Place::with(&config(&[(&gateway, "desk")]));
    let ended = [(0, "gone", 0), (1, "failed", 1), (1, "failed", 2)];
    for (code, outcome, before) in ended {
        let ran = place.once(["--json"]);
        let subject = ran.subject("s");
        assert_eq!((ran.code, subject["outcome"].as_str()), (Some(code), Some(outcome)), "{ran:?}");
        assert_eq!(subject["closes_without_effect"].as_u64().unwrap_or(0), before, "{subject}");
        assert_eq!(subject["steps"], json!(["close"]));
    }
    assert!(!family.has_ended("mine"));
    gateway.publish(&table(Some(pid(&family, "gateway")), &[]));
    assert_eq!(place.once(["--json"]).code, Some(0));
}
