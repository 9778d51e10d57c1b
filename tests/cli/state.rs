//! A state directory of every bad sort. What can't be used is said and nothing is done; what can't be believed starts the clocks again.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::time::Duration;

use serde_json::json;

use crate::cast::{gateway_of, pid, worker, worker_match};
use crate::gateway::{Answer, Gateway, orphan, orphan_with, table, with};
use crate::place::{Place, Ran};
use crate::privileges::{after_mounting, has_root, powerless};
use crate::support::family::part;
use crate::told::Names;

fn desk(grace: &str) -> (Gateway, Place) {
    let gateway = Gateway::start();
    gateway.publish(&table(None, &[orphan("a")]));
    gateway.on_reap("a", Answer::reaped());
    let place = Place::with(&format!("[policy]\ngrace = \"{grace}\"\n{}", gateway.section("desk")));
    (gateway, place)
}

fn set_mode(place: &Place, name: &str, mode: u32) {
    fs::set_permissions(place.path(name), Permissions::from_mode(mode)).unwrap();
}

fn mode(place: &Place, name: &str) -> u32 {
    fs::metadata(place.path(name)).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_missing_one_is_made_for_its_user_alone() {
    let (_gateway, place) = desk("0s");
    let ran = place.reaper(["once"]).env("STATE_DIRECTORY", place.path("deep/down")).run();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(mode(&place, "deep/down"), 0o700);
    for name in ["ledger.json", "lock", "audit.jsonl"] {
        assert_eq!(mode(&place, &format!("deep/down/{name}")), 0o600, "{name}");
    }
}

#[test]
fn what_can_t_be_used_is_said_with_exit_code_2_and_nothing_is_done() {
    let mut said = String::new();
    let mut tell = |what: &str, (gateway, place): &(Gateway, Place), ran: Ran| {
        assert_eq!((ran.out.as_str(), ran.code), ("", Some(2)), "{what}: {ran:?}");
        assert_eq!(gateway.asked().len(), 0, "{what}");
        said += &format!("# {what}\n{}", Names::of(place).plain(&ran.err));
    };

    let desk_1 = desk("0s");
    desk_1.1.write("state", "");
    tell("not a directory", &desk_1, desk_1.1.once([]));

    let desk_2 = desk("0s");
    desk_2.1.write("file", "");
    tell(
        "below a file",
        &desk_2,
        desk_2.1.reaper(["once"]).env("STATE_DIRECTORY", desk_2.1.path("file/state")).run(),
    );

    let desk_3 = desk("0s");
    fs::create_dir(desk_3.1.path("closed")).unwrap();
    set_mode(&desk_3.1, "closed", 0o500);
    tell(
        "where nothing can be made",
        &desk_3,
        powerless(&desk_3.1, ["once"]).env("STATE_DIRECTORY", desk_3.1.path("closed/state")).run(),
    );
    tell(
        "that can't be written",
        &desk_3,
        powerless(&desk_3.1, ["once"]).env("STATE_DIRECTORY", desk_3.1.path("closed")).run(),
    );

    for open in [0o777, 0o1777, 0o770] {
        let desk = desk("0s");
        fs::create_dir(desk.1.path("state")).unwrap();
        set_mode(&desk.1, "state", open);
        tell(&format!("that others can write, mode {open:o}"), &desk, desk.1.once([]));
    }

    for name in ["lock", "ledger.json", "in-hand.jsonl"] {
        let desk = desk("0s");
        fs::create_dir(desk.1.path("state")).unwrap();
        set_mode(&desk.1, "state", 0o700);
        symlink(desk.1.path("precious"), desk.1.state(name)).unwrap();
        desk.1.write("precious", "precious");
        tell(&format!("with a link at {name}"), &desk, desk.1.once([]));
        assert_eq!(desk.1.read("precious"), "precious");
    }
    insta::assert_snapshot!(said);
}

#[test]
fn one_that_belongs_to_somebody_else_is_not_used() {
    if !has_root("one_that_belongs_to_somebody_else_is_not_used") {
        return;
    }
    let (gateway, place) = desk("0s");
    fs::create_dir(place.path("state")).unwrap();
    set_mode(&place, "state", 0o700);
    chown(place.path("state"), Some(65534), None).unwrap();
    let ran = place.once([]);
    assert_eq!(
        ran.err,
        format!(
            "gateway-reaper: the state directory {} belongs to user 65534, not to 0; nothing was done\n",
            place.path("state").display()
        )
    );
    assert_eq!((ran.code, gateway.asked().len()), (Some(2), 0));
}

#[test]
fn links_in_the_place_of_new_files_are_not_followed() {
    for name in ["ledger.new", "in-hand.new", "audit.jsonl"] {
        let (gateway, place) = desk("0s");
        assert_eq!(place.once(["--dry-run"]).code, Some(0));
        place.write("precious", "precious");
        symlink(place.path("precious"), place.state(name)).unwrap();
        let ran = place.once([]);
        assert_eq!(place.read("precious"), "precious", "{name}: {ran:?}");
        if name == "audit.jsonl" {
            assert_eq!((ran.code, gateway.reaps().len()), (Some(1), 0), "{ran:?}");
        }
    }
}

/// Lets a grace of 300 ms pass between two runs, in between spoils the memory, and returns what the second run told.
fn spoiled(what: &str, spoil: impl FnOnce(&Place)) -> String {
    let (gateway, place) = desk("300ms");
    assert_eq!(place.once([]).code, Some(0));
    spoil(&place);
    std::thread::sleep(Duration::from_millis(350));
    let ran = place.once([]);
    assert_eq!((ran.code, gateway.reaps().len()), (Some(0), 0), "{what}: {ran:?}");
    assert!(ran.out.contains("wait"), "{what}: {ran:?}");
    std::thread::sleep(Duration::from_millis(350));
    assert_eq!(place.once([]).code, Some(0));
    assert_eq!(gateway.reaps().len(), 1, "{what}: it goes on from there");
    format!("# {what}\n{}", Names::of(&place).plain(&ran.err))
}

#[test]
fn a_memory_that_is_of_no_use_starts_the_clocks_again_and_that_is_said() {
    let edit = |change: fn(&mut serde_json::Value)| {
        move |place: &Place| {
            let mut ledger = serde_json::from_str(&place.read("state/ledger.json")).unwrap();
            change(&mut ledger);
            place.write("state/ledger.json", ledger.to_string());
        }
    };
    let mut said = String::new();
    said += &spoiled("garbage", |place| drop(place.write("state/ledger.json", "\0\0\0\0")));
    said += &spoiled("empty", |place| drop(place.write("state/ledger.json", "")));
    said += &spoiled("half of it", |place| {
        let text = place.read("state/ledger.json");
        place.write("state/ledger.json", &text[..40]);
    });
    said += &spoiled("another version", edit(|ledger| ledger["version"] = json!(2)));
    said += &spoiled(
        "of another boot",
        edit(|ledger| ledger["ledger"]["boot"] = json!("00000000-0000-0000-0000-000000000000")),
    );
    said += &spoiled(
        "from the future",
        edit(|ledger| ledger["ledger"]["gateways"]["desk"]["sessions"]["a"]["since"] = json!(u64::MAX)),
    );
    said += &spoiled("missing", |place| fs::remove_file(place.state("ledger.json")).unwrap());
    said += &spoiled("without its lock", |place| fs::remove_file(place.state("lock")).unwrap());
    said += &spoiled("with a damaged lock", |place| drop(place.write("state/lock", "x")));
    insta::assert_snapshot!(said);
}

#[test]
fn a_ledger_put_back_from_a_copy_is_not_believed() {
    let (gateway, place) = desk("300ms");
    place.once([]);
    let copy = place.read("state/ledger.json");
    // Its client came back meanwhile, and the grace started again.
    gateway.publish(&table(None, &[with(orphan("a"), "transport", json!("attached"))]));
    place.once([]);
    gateway.publish(&table(None, &[orphan("a")]));
    place.write("state/ledger.json", copy);
    std::thread::sleep(Duration::from_millis(350));
    let ran = place.once([]);
    assert!(ran.err.contains("it is not the one that was written last"), "{ran:?}");
    assert_eq!((ran.code, gateway.reaps().len()), (Some(0), 0));
}

#[test]
fn a_damaged_journal_of_trees_in_hand_is_said_and_not_believed() {
    let (_gateway, place) = desk("1h");
    place.once([]);
    place.write("state/in-hand.jsonl", "{\"take\":{\"gateway\":\"desk\"");
    let ran = place.once([]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.err.contains("in-hand.jsonl"), "{ran:?}");
}

#[test]
fn a_full_disk_means_that_nothing_is_done() {
    if !has_root("a_full_disk_means_that_nothing_is_done") {
        return;
    }
    let (gateway, place) = desk("0s");
    fs::create_dir(place.path("state")).unwrap();
    let full = "mount -t tmpfs -o size=16k,mode=700 tmpfs state; head -c 1m /dev/zero > state/filler || true";
    let ran = after_mounting(&place, full, ["once"]).run();
    let names = Names::of(&place);
    let err = ran.err.lines().filter(|line| !line.starts_with("head:")).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(names.plain(&err));
    assert_eq!((ran.out.as_str(), ran.code, gateway.reaps().len()), ("", Some(1), 0));

    // With room for the memory and none for the log of acts.
    let full = "mount -t tmpfs -o size=16k,mode=700 tmpfs state; \"$0\" once --dry-run -q > /dev/null; head -c 1m /dev/zero > state/filler || true; \
                truncate -s -4096 state/filler";
    let ran = after_mounting(&place, full, ["once", "--json"]).run();
    assert!(
        ran.code == Some(1) && gateway.reaps().is_empty()
            || ran.code == Some(0) && gateway.reaps().len() == 1,
        "{ran:?}"
    );
}

/// The last run that could be written down may not be the last one.
#[test]
fn doctor_says_on_a_full_file_system_that_no_later_run_can_have_been_written_down() {
    if !has_root("doctor_says_on_a_full_file_system_that_no_later_run_can_have_been_written_down") {
        return;
    }
    let (_gateway, place) = desk("0s");
    place.once(["--dry-run"]);
    let full = "mount -t tmpfs -o size=64k,mode=700 tmpfs state; \"$0\" once -q > /dev/null; head -c 1m /dev/zero > state/filler || true";
    let ran = after_mounting(&place, full, ["doctor"]).run();
    assert!(ran.code == Some(1) && ran.out.contains("is on a full file system"), "{ran:?}");
    assert!(
        ran.out.contains("nothing failed in it; how a later one ended can't have been written down"),
        "{ran:?}"
    );
}

#[test]
fn a_file_system_that_is_read_only_means_that_nothing_is_done() {
    if !has_root("a_file_system_that_is_read_only_means_that_nothing_is_done") {
        return;
    }
    let (gateway, place) = desk("0s");
    place.once(["--dry-run"]);
    let looks = gateway.looks();
    let ran =
        after_mounting(&place, "mount --bind state state; mount -o remount,ro,bind state", ["once"]).run();
    assert_eq!((ran.out.as_str(), ran.code), ("", Some(2)), "{ran:?}");
    assert!(ran.err.contains("Read-only file system"), "{ran:?}");
    assert_eq!((gateway.looks(), gateway.reaps().len()), (looks, 0));
}

#[test]
fn pipes_and_devices_in_the_place_of_files_do_not_hold_a_run_up() {
    for name in ["ledger.json", "in-hand.jsonl", "lock", "audit.jsonl", "ledger.new", "in-hand.new"] {
        let (gateway, place) = desk("0s");
        place.once(["--dry-run"]);
        let _missing = fs::remove_file(place.state(name));
        rustix::fs::mkfifoat(rustix::fs::CWD, place.state(name), rustix::fs::Mode::from(0o600)).unwrap();
        let running = place.reaper(["once"]).start();
        let ran = running.end();
        assert!(ran.code.is_some_and(|code| code <= 2), "{name}: {ran:?}");
        assert!(name != "audit.jsonl" || gateway.reaps().is_empty());
    }
}

#[test]
fn status_leaves_no_trace_wherever_the_memory_is() {
    let (gateway, place) = desk("300ms");
    assert_eq!(place.status([]).code, Some(0));
    assert!(!place.path("state").exists());
    place.once([]);
    let before = (place.read("state/ledger.json"), place.read("state/lock"));
    std::thread::sleep(Duration::from_millis(350));
    assert_eq!(place.status(["--json"]).subject("a")["verdict"], "reap");
    assert_eq!((place.read("state/ledger.json"), place.read("state/lock")), before);
    assert_eq!((gateway.reaps().len(), place.audit().len()), (0, 0));
    place.write("state/ledger.json", "damaged");
    let ran = place.status(["--json"]);
    assert_eq!((ran.subject("a")["verdict"].as_str(), ran.code), (Some("wait"), Some(0)));
    assert!(ran.err.contains("every grace starts again"), "{ran:?}");
}

/// One look could not be written down: what it saw is not known, so every grace starts again. What was seen below workers stays known.
#[test]
fn a_look_that_could_not_be_written_down_starts_the_graces_again_and_nothing_else_is_forgotten() {
    let family = gateway_of([worker("k").child(part("helper"))]).start(&["gateway", "k", "helper"]);
    let gateway = Gateway::start();
    let attached = with(orphan_with("s", pid(&family, "k")), "transport", json!("attached"));
    let row = |transport| with(orphan("a"), "transport", json!(transport));
    gateway.on_reap("a", Answer::reaped());
    let place =
        Place::with(&format!("[policy]\ngrace = \"1s\"\n{}{}", gateway.section("desk"), worker_match()));
    gateway.publish(&table(Some(pid(&family, "gateway")), &[attached, row("detached")]));
    assert_eq!(place.once([]).code, Some(0));
    let families = |place: &Place| {
        let ledger: serde_json::Value = serde_json::from_str(&place.read("state/ledger.json")).unwrap();
        ledger["ledger"]["gateways"]["desk"]["families"].clone()
    };
    let known = families(&place);
    assert_eq!(known[0]["members"][0]["pid"], pid(&family, "helper"), "{known}");

    // At the one look that isn't written down the client is back, and the other session is closed and its worker gone. No new ledger can be
    // made where a directory has its name.
    fs::create_dir(place.state("ledger.new")).unwrap();
    family.kill("k");
    gateway.publish(&table(Some(pid(&family, "gateway")), &[row("attached")]));
    let ran = place.once([]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("the state directory can't be written"), "{ran:?}");
    fs::remove_dir(place.state("ledger.new")).unwrap();

    std::thread::sleep(Duration::from_millis(1100));
    gateway.publish(&table(Some(pid(&family, "gateway")), &[row("detached")]));
    let ran = place.once(["--json"]);
    assert_eq!((ran.code, &ran.subject("a")["verdict"]), (Some(0), &json!("wait")), "{ran:?}");
    let said = "the last look could not be written down; every grace starts again";
    assert!(ran.err.contains(said), "{ran:?}");
    assert_eq!(families(&place), known, "what was below its worker");
    let ran = place.once(["--json"]);
    assert!(!ran.err.contains(said), "it is said once: {ran:?}");
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(place.once(["--json"]).subject("a")["outcome"], "reaped", "it goes on from there");
}

/// Two lines of cron, each with a configuration and gateways of its own, and both with the state directory that is the default.
#[test]
fn two_configurations_that_share_a_state_directory_lose_nothing_of_each_others_memory() {
    let gateways = [Gateway::start(), Gateway::start()];
    let place = Place::new();
    let configs = [("one", &gateways[0]), ("two", &gateways[1])].map(|(name, gateway)| {
        gateway.publish(&table(None, &[orphan(name)]));
        gateway.on_reap(name, Answer::reaped());
        let text = format!("[policy]\ngrace = \"700ms\"\n{}", gateway.section(name));
        place.write(&format!("{name}.toml"), text)
    });
    let run = |config: &std::path::Path, command: &'static str| {
        place.reaper(["--config", config.to_str().unwrap(), "--json", command]).run()
    };
    for config in &configs {
        assert_eq!(run(config, "once").code, Some(0));
    }
    std::thread::sleep(Duration::from_millis(800));
    for (config, name) in configs.iter().zip(["one", "two"]) {
        assert_eq!(run(config, "status").subject(name)["verdict"], "reap");
        let ran = run(config, "once");
        assert_eq!(ran.subject(name)["outcome"], "reaped", "{ran:?}");
    }
}
