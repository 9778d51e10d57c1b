//! Real process families through the whole program, on the demo gateway: the orphan and all its descendants gone, the gateway and a
//! bystander alive throughout.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gateway_reaper::demo::client::Client;
use gateway_reaper::demo::flavour::{Flavour, Leads};
use gateway_reaper::demo::gateway::{AtEnd, Exited, Options};
use gateway_reaper::demo::launch::worker_match;
use gateway_reaper::demo::pinned::Pinned;
use gateway_reaper::demo::protocol::{
    AdminRequest, AtEndOfInput, CloseManner, NewSession, WorkerReady, WorkerSpec,
};
use gateway_reaper::domain::ids::WorkerKey;
use rustix::process::Signal;
use serde_json::json;

use crate::cast::{gateway_of, pid, species, worker};
use crate::demo_gateway::{Family, TestGateway, gone, pin, session_with, stat};
use crate::gateway::{Answer, Gateway, orphan_with, table, with};
use crate::place::{EXE, Place};
use crate::support::family::{Step, part};

/// Every one but daemons, whose last tie to their worker is cut before any look, and those that fork and exit in one instant: to take
/// them would be a guess.
const FLAVOURS: [Flavour; 7] = [
    Flavour::Plain,
    Flavour::Parent,
    Flavour::Family,
    Flavour::Stubborn,
    Flavour::StubbornFamily,
    Flavour::Stopped,
    Flavour::DoubleForks,
];

fn place_of(gateway: &TestGateway) -> Place {
    let url = gateway.process.table_url();
    // Other tests have workers of the same program at the same time.
    let pattern =
        worker_match(Path::new(EXE)).replace("(?P<session>", &format!("(?P<session>{}-", species()));
    Place::with(&format!(
        "[policy]\ngrace = \"0s\"\nworker_grace = \"0s\"\nclose_timeout = \"200ms\"\nterm_timeout = \"300ms\"\n[[gateway]]\nname = \"demo\"\n\
         kind = \"http\"\nurl = \"{url}\"\n[gateway.worker]\nmatch = '{pattern}'\n"
    ))
}

/// Outlives the end of its gateway, as the workers of leaky gateways do.
fn lives_on(flavour: Flavour) -> NewSession {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let key = format!("{}-{}", species(), NEXT.fetch_add(1, Ordering::Relaxed));
    // What was forked twice stays in the worker's session, where it has one of its own.
    let leads = if flavour == Flavour::DoubleForks { Leads::Session } else { Leads::Nothing };
    let worker =
        WorkerSpec { flavour, leads, at_end_of_input: AtEndOfInput::LiveOn, ..WorkerSpec::default() };
    NewSession { key: Some(WorkerKey::from(key.as_str())), ..session_with(worker) }
}

async fn one_of_each(gateway: &TestGateway) -> (Client, Vec<Family>) {
    let mut client = gateway.client().await;
    let mut families = Vec::new();
    for flavour in FLAVOURS {
        families.push(Family::pin(client.create(lives_on(flavour)).await.unwrap()));
    }
    (client, families)
}

async fn detach(gateway: &TestGateway, client: Client, families: &[Family]) {
    drop(client);
    for family in families {
        gateway.row_where(family.id(), |row| row["transport"] == "detached").await;
    }
}

fn alive(family: &Family) -> bool {
    family.processes().all(Pinned::alive)
}

/// Nothing of the family is left, not even what it forked on its way out.
async fn all_gone(family: &Family, flavour: Flavour) {
    for process in family.processes() {
        gone(process).await;
    }
    let key = family.created.key.as_str();
    let of_it = |pid: &u32| {
        let argv = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        !argv.is_empty()
            && String::from_utf8_lossy(&argv).split('\0').any(|word| word == key)
            && stat(*pid, 3) != "Z"
    };
    let pids = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    let left: Vec<u32> = pids.filter(of_it).collect();
    assert!(left.is_empty(), "{flavour:?}: left {left:?}");
}

#[tokio::test]
async fn detached_sessions_go_with_all_that_came_from_their_workers_and_nobody_else_does() {
    let closes = [(CloseManner::Ends, Exited::Collect), (CloseManner::Lazy, Exited::StayZombies)];
    for (close, exited) in closes {
        let gateway = TestGateway::start(Options { close, exited, ..Options::default() });
        let (_present, bystander) = gateway.attached(lives_on(Flavour::Family)).await;
        let (client, families) = one_of_each(&gateway).await;
        assert_eq!(
            stat(bystander.worker.pid(), 5),
            stat(gateway.process.pid(), 5),
            "workers share the gateway's process group"
        );
        detach(&gateway, client, &families).await;
        let place = place_of(&gateway);
        let ran = place.once(["--json"]);
        assert_eq!(ran.code, Some(0), "{close:?}: {ran:#?}");
        assert_eq!(ran.json()["totals"]["reaped"], FLAVOURS.len(), "{close:?}");
        for (family, flavour) in families.iter().zip(FLAVOURS) {
            assert_eq!(ran.subject(family.id())["outcome"], "reaped", "{flavour:?}");
            all_gone(family, flavour).await;
        }
        assert_eq!(ran.subject(bystander.id())["reason"], "attached");
        assert!(alive(&bystander) && Pinned::new(gateway.process.pid()).is_ok());
        assert_eq!(place.in_hand(), "");
    }
}

#[tokio::test]
async fn ownerless_and_superseded_workers_go_and_the_worker_in_use_stays() {
    let gateway = TestGateway::start(Options::default());
    let (client, families) = one_of_each(&gateway).await;
    for family in &families {
        gateway.admin(AdminRequest::Orphan { session: family.created.session.clone() }).await;
    }
    let (_present, session) = gateway.attached(lives_on(Flavour::Family)).await;
    tokio::time::sleep(Duration::from_millis(30)).await;
    let order =
        AdminRequest::Supersede { session: session.created.session.clone(), worker: WorkerSpec::default() };
    let ready: WorkerReady = serde_json::from_value(gateway.admin(order).await).unwrap();
    let (in_use, _) = pin(&ready);
    let place = place_of(&gateway);
    let ran = place.once(["--json"]);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    for (family, flavour) in families.iter().zip(FLAVOURS) {
        let subject = ran.subject(&family.worker.pid().to_string());
        assert_eq!(
            (subject["orphan_kind"].as_str(), subject["outcome"].as_str()),
            (Some("ownerless-worker"), Some("reaped")),
            "{flavour:?}"
        );
        all_gone(family, flavour).await;
    }
    let subject = ran.subject(&session.worker.pid().to_string());
    assert_eq!(
        (subject["orphan_kind"].as_str(), subject["outcome"].as_str()),
        (Some("superseded-worker"), Some("reaped"))
    );
    for process in session.processes() {
        gone(process).await;
    }
    assert!(in_use.alive() && Pinned::new(gateway.process.pid()).is_ok());
    drop(client);
}

#[tokio::test]
async fn the_workers_of_a_gateway_that_crashed_go_once_they_were_seen_reparented() {
    let gateway = TestGateway::start(Options { at_end: AtEnd::LeaveWorkers, ..Options::default() });
    let bystander = TestGateway::start(Options::default());
    let (_present, stays) = bystander.attached(lives_on(Flavour::Family)).await;
    let (_client, families) = one_of_each(&gateway).await;
    let place = place_of(&gateway);
    assert_eq!(place.once([]).code, Some(0));
    let itself = Pinned::new(gateway.process.pid()).unwrap();
    itself.signal(Signal::KILL).unwrap();
    gone(&itself).await;
    let ran = place.once(["--json"]);
    assert_eq!(
        ran.code,
        Some(3),
        "its table can't be read, and what doesn't depend on it is reaped: {ran:#?}"
    );
    for (family, flavour) in families.iter().zip(FLAVOURS) {
        let subject = ran.subject(&family.worker.pid().to_string());
        assert_eq!(
            (subject["orphan_kind"].as_str(), subject["outcome"].as_str()),
            (Some("parentless-worker"), Some("reaped")),
            "{flavour:?}: {subject}"
        );
        all_gone(family, flavour).await;
    }
    assert!(alive(&stays), "another gateway's");
}

#[tokio::test]
async fn the_workers_of_a_gateway_that_is_stopped_stay() {
    let gateway = TestGateway::start(Options::default());
    let (client, families) = one_of_each(&gateway).await;
    detach(&gateway, client, &families).await;
    let place = place_of(&gateway);
    let config = place.read("reaper.toml");
    place.write("reaper.toml", config.replace("grace = \"0s\"", "grace = \"1h\""));
    assert_eq!(place.once([]).code, Some(0));
    let itself = Pinned::new(gateway.process.pid()).unwrap();
    itself.signal(Signal::STOP).unwrap();
    place.write("reaper.toml", config.replace("kind =", "timeout = \"300ms\"\nkind ="));
    let ran = place.once(["--json"]);
    assert_eq!(ran.code, Some(3));
    assert_eq!(ran.json()["totals"]["reap"], 0, "{}", ran.out);
    assert!(families.iter().all(alive));
    itself.signal(Signal::CONT).unwrap();
}

/// The worker's heir is in the gateway's process group and session, and its mother is gone: nothing leads to it but having seen it in time.
#[test]
fn what_a_worker_forks_while_it_is_dying_goes_with_it() {
    let dying = |tag: &str, heir: &str| {
        worker(tag)
            .then(Step::ForkWhileDying(part(heir).argv([format!("{}-{heir}", species()).as_str()]), 400))
    };
    let mut family =
        gateway_of([dying("lost", "heir-of-lost"), dying("closed", "heir-of-closed"), worker("used")]);
    family = family.child(part("child"));
    let family = Arc::new(family.start(&["gateway", "lost", "closed", "used", "child"]));
    let scripted = Gateway::start();
    let row = |tag: &str| with(orphan_with(tag, pid(&family, tag)), "key", json!(tag));
    let used = with(row("used"), "transport", json!("attached"));
    scripted.publish(&table(Some(pid(&family, "gateway")), &[row("closed"), used]));
    let closing = Arc::clone(&family);
    scripted.when_reaping(move |_| {
        closing.signal("closed", Signal::TERM);
        Answer::reaped()
    });
    let place = Place::with(&format!(
        "[policy]\ngrace = \"0s\"\nworker_grace = \"0s\"\nclose_timeout = \"5s\"\nterm_timeout = \"5s\"\n{}{}",
        scripted.section("desk"),
        crate::cast::worker_match()
    ));
    let ran = place.once(["--json"]);
    assert_eq!((ran.code, &ran.json()["totals"]["reaped"]), (Some(0), &json!(2)), "{ran:?}");
    assert!(family.has_ended("lost") && family.has_ended("closed"));
    for tag in ["gateway", "used", "child"] {
        assert!(!family.has_ended(tag), "{tag}");
    }
    // Heirs that are left would announce themselves, and be children of another process by now.
    let of_ours = |heir: &str| {
        argvs().into_iter().filter(|argv| argv.contains(heir) && argv.contains(&species())).count()
    };
    assert_eq!((of_ours("heir-of-lost"), of_ours("heir-of-closed")), (0, 0));
}

/// The argv of all that run.
fn argvs() -> Vec<String> {
    let pids =
        std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().into_string().ok());
    pids.filter_map(|pid| std::fs::read(format!("/proc/{pid}/cmdline")).ok())
        .map(|argv| String::from_utf8_lossy(&argv).replace('\0', " "))
        .collect()
}
