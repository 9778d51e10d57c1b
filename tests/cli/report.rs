//! The human report: what was spared and why, what was reaped and how.

use serde_json::json;

use crate::cast::{gateway_of, pid, worker, worker_called, worker_match};
use crate::gateway::{Answer, Gateway, orphan, orphan_with, table, with};
use crate::place::Place;
use crate::support::family::Step;
use crate::told::Names;

#[test]
fn every_verdict_and_outcome_of_a_session() {
    let gateway = Gateway::start();
    let row = |id: &str| with(orphan(id), "close_on_disconnect", json!(true));
    gateway.publish(&table(
        None,
        &[
            with(row("watched"), "transport", json!("attached")),
            with(row("busy"), "turn", json!("running")),
            with(row("asking"), "turn", json!("waiting")),
            with(row("young"), "turn", json!("starting")),
            with(row("held"), "holds", json!(["delegation", "approval"])),
            with(row("odd"), "transport", json!("sideways")),
            json!({ "id": "silent", "transport": "detached" }),
            with(row("init"), "worker", json!({ "pid": 1 })),
            orphan("patient"),
            row("closes"),
            row("went"),
            row("came-back"),
            row("restarted"),
            row("broken"),
            row("mute"),
            row("z-deferred"),
        ],
    ));
    gateway.on_reap("closes", Answer::reaped());
    gateway.on_reap("came-back", Answer::kept("attached"));
    gateway.on_reap("restarted", Answer::Says(412, r#"{"outcome":"kept","reason":"instance"}"#.into()));
    gateway.on_reap("broken", Answer::Says(500, "oh no".into()));
    gateway.on_reap("mute", Answer::Nothing);
    let place = Place::with(&format!(
        "[policy]\ngrace = \"1h\"\nmax_reaps = 6\nclose_timeout = \"1s\"\n{}",
        gateway.section("desk")
    ));
    let names = Names::of(&place).call(format!(":{}", gateway.port()), ":port");
    let status = place.status([]);
    insta::assert_snapshot!("sessions_status", names.all(&status));
    assert!(!place.path("state").exists(), "status remembers nothing");
    insta::assert_snapshot!("sessions_dry_run", names.all(&place.once(["--dry-run"])));
    assert_eq!(gateway.reaps().len(), 0);
    insta::assert_snapshot!("sessions_once", names.all(&place.once([])));
    // Without the memory that its gateway said before that it closed a session, and lists it again.
    place.forget();
    insta::assert_snapshot!("sessions_once_quiet", names.all(&place.once(["-q"])));
}

#[test]
fn every_kind_of_worker() {
    let family = gateway_of([worker("owned"), worker("lost"), worker_called("old", "k2")])
        .then(Step::Pause(50))
        .child(worker_called("new", "k2"))
        .start(&["gateway", "owned", "lost", "old", "new"]);
    let gateway = Gateway::start();
    let owned = with(orphan_with("s1", pid(&family, "owned")), "key", json!("owned"));
    let renewed = with(
        with(orphan_with("s2", pid(&family, "new")), "key", json!("k2")),
        "transport",
        json!("attached"),
    );
    gateway.publish(&table(Some(pid(&family, "gateway")), &[owned, renewed]));
    let place = Place::with(&format!(
        "[policy]\ngrace = \"0s\"\nworker_grace = \"0s\"\nclose_timeout = \"0s\"\n{}{}",
        gateway.section("desk"),
        worker_match()
    ));
    gateway.on_reap("s1", Answer::reaped());
    let names = ["gateway", "owned", "lost", "old", "new"]
        .into_iter()
        .fold(Names::of(&place), |names, tag| names.call(pid(&family, tag), tag));
    insta::assert_snapshot!("workers_dry_run", names.all(&place.once(["--dry-run"])));
    insta::assert_snapshot!("workers_once", names.all(&place.once([])));
    for tag in ["owned", "lost", "old"] {
        assert!(family.has_ended(tag), "{tag}");
    }
    assert!(!family.has_ended("gateway") && !family.has_ended("new"));
}

#[test]
fn nothing_there_is_said_in_one_line_and_quietly_not_at_all() {
    let gateway = Gateway::start();
    let place = Place::with(&gateway.section("desk"));
    insta::assert_snapshot!(Names::of(&place).all(&place.once([])), @r"
    exit 0
    --- stdout
    desk: 0 sessions
    nothing there
    --- stderr
    ");
    let quiet = place.once(["-q"]);
    assert_eq!((quiet.out.as_str(), quiet.err.as_str(), quiet.code), ("", "", Some(0)));
}
