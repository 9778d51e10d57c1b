//! What is found by which name, and how it is told.

use std::time::{Duration, UNIX_EPOCH};

use super::*;
use crate::operate::events::State;
use crate::report::json::Gateway;
use crate::report::layout;

fn act(id: &str, key: &str, pid: u32) -> Act {
    Act {
        time: "1970-01-01T00:10:00Z".into(),
        run: "r1".into(),
        gateway: "desk".into(),
        kind: "session".into(),
        id: id.into(),
        key: Some(key.into()),
        worker_pid: Some(pid),
        orphan_kind: "detached-session".into(),
        waited_s: 21.3,
        looks: Some(3),
        steps: vec!["close".into(), "SIGTERM".into()],
        outcome: "reaped".into(),
        memory_bytes: Some(55_812_096),
        reclaimed_bytes: 55_812_096,
        times: 1,
        ..Act::default()
    }
}

fn sources(acts: Vec<Act>) -> Sources<'static> {
    let state = |verdict: &str, reason: &str| {
        Some(State { verdict: verdict.into(), reason: reason.into(), detail: None })
    };
    let event = Event {
        time: "1970-01-01T00:09:00Z".into(),
        gateway: "desk".into(),
        subject: "session 360e0f95".into(),
        from: state("keep", "attached"),
        since: Some("1970-01-01T00:00:00Z".into()),
        to: state("wait", "orphaned"),
        ..Event::default()
    };
    let entry = Entry {
        detail: Some("a client is attached".into()),
        clients: Some(2),
        last_active_ago_s: Some(250.0),
        grace: Some(Duration::from_secs(20)),
        ..Entry::plain("session", "still-there", "keep", "attached")
    };
    let gateway = Gateway {
        name: "desk",
        table: "ok",
        error: None,
        beside: None,
        pid: None,
        release: None,
        plugin: None,
        subjects: vec![entry],
    };
    let now = Some(Document::plain("r9", vec![gateway]));
    Sources { now, seen: Seen::default(), events: vec![event], acts, acting: Some("r1".into()), along: &[] }
}

#[test]
fn an_id_its_beginning_its_key_and_its_pid_all_find_it() {
    for named in ["360e0f95", "360", "talk-1", "talk", "24126"] {
        let found = sources(vec![act("360e0f95", "talk-1", 24126)]).find(named, None).unwrap();
        assert_eq!((found.len(), found[0].id.as_str()), (1, "360e0f95"), "{named}");
    }
}

#[test]
fn the_beginning_of_several_is_refused_with_their_names_and_an_unknown_one_with_where_to_look() {
    let two = || sources(vec![act("abc-1", "k", 1), act("abc-2", "l", 2)]);
    let refused = two().find("abc", None).unwrap_err().to_string();
    assert_eq!(
        refused,
        "\"abc\" begins several names: session abc-1 (k), session abc-2 (l); write more of the one that is meant"
    );
    assert!(two().find("zzz", None).unwrap_err().to_string().starts_with("nothing is known of \"zzz\""));
}

#[test]
fn where_several_gateways_have_one_of_that_name_the_message_says_how_to_tell_them_apart() {
    let of_pane = Act { gateway: "pane".into(), ..act("abc-2", "l", 2) };
    let two = || sources(vec![act("abc-1", "k", 1), of_pane.clone()]);
    assert_eq!(
        two().find("abc", None).unwrap_err().to_string(),
        "\"abc\" begins several names: session abc-1 (k) of desk, session abc-2 (l) of pane; write more of the one that is meant, or name its \
         gateway: --gateway NAME"
    );
    let found = two().find("abc", Some(&"pane".into())).unwrap();
    assert_eq!((found.len(), found[0].id.as_str()), (1, "abc-2"));
}

#[test]
fn what_failed_again_and_again_is_one_line_with_what_it_left_alive() {
    let failed = |minute: u32| Act {
        time: format!("1970-01-01T00:{minute}:00Z"),
        outcome: "failed".into(),
        why: Some("no answer".into()),
        reclaimed_bytes: 0,
        survivors: vec![serde_json::json!({ "pid": 24126, "start_ticks": 1, "why": "its teardown failed" })],
        ..act("360e0f95", "talk-1", 24126)
    };
    let found = sources((10..50).map(failed).collect()).find("360", None).unwrap();
    let told =
        anstream::adapter::strip_str(&found[0].render(UNIX_EPOCH + Duration::from_secs(3600))).to_string();
    let expected =
        "-> FAILED: no answer; left alive: 24126, its teardown failed (x40 until 11m ago) (run r1)";
    assert!(told.matches("FAILED").count() == 1 && told.contains(expected), "{told}");
}

#[test]
fn it_tells_the_evidence_the_steps_and_what_came_back() {
    let now = UNIX_EPOCH + Duration::from_secs(4 * 3600);
    let told = |named: &str| {
        let found = sources(vec![act("360e0f95", "talk-1", 24126)]).find(named, None).unwrap();
        anstream::adapter::strip_str(&found[0].render(now)).to_string()
    };
    insta::assert_snapshot!(told("360") + &told("still"));
    let shown = |width| layout::wrap(&(told("360") + &told("still")), width);
    for width in [80, 40] {
        assert!(shown(width).lines().all(|line| line.chars().count() <= width));
    }
    insta::assert_snapshot!("it_fits_80_and_40_columns", format!("{}\n{}", shown(80), shown(40)));
}
