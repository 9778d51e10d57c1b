//! Every flavour of worker is what it says.

use gateway_reaper::demo::flavour::{Flavour, Leads};
use gateway_reaper::demo::gateway::{Exited, Options};
use gateway_reaper::demo::pinned::Pinned;
use gateway_reaper::demo::protocol::{NewSession, WorkerSpec};
use rustix::process::Signal;
use tokio::time::sleep;

use crate::support::{EXE, Family, TestGateway, gone, session_with, stat};
use crate::{SHORTLY, of};

#[tokio::test]
async fn a_worker_is_a_child_of_the_gateway_in_its_process_group_and_matches_the_pattern() {
    let gateway = TestGateway::start(Options::default());
    let new = NewSession { key: Some("20261123_005036_2bdafa".into()), ..of(Flavour::Family) };
    let (_client, family) = gateway.attached(new).await;
    let (gateway_pid, worker) = (gateway.process.pid().to_string(), family.worker.pid());
    assert_eq!(stat(worker, 4), gateway_pid, "its parent");
    assert_eq!(stat(worker, 5), stat(gateway.process.pid(), 5), "its process group");

    let pattern = gateway_reaper::demo::launch::worker_match(EXE.as_ref());
    let pattern = gateway_reaper::domain::policy::WorkerMatch::new(&pattern).unwrap();
    let argv = |pid: u32| {
        let raw = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
        String::from_utf8(raw).unwrap().trim_end_matches('\0').replace('\0', " ")
    };
    assert_eq!(pattern.matches(&argv(worker)).unwrap().key, Some("20261123_005036_2bdafa"));
    for descendant in &family.descendants {
        assert_eq!(pattern.matches(&argv(descendant.pid())), None, "only the worker itself is one");
    }
}

#[tokio::test]
async fn a_family_has_three_descendants_of_which_two_are_in_a_session_of_their_own() {
    let gateway = TestGateway::start(Options::default());
    let (_client, family) = gateway.attached(of(Flavour::Family)).await;
    let worker = family.worker.pid();
    let [child, leader, grandchild] = family.descendants.iter().map(Pinned::pid).collect::<Vec<_>>()[..]
    else {
        panic!("{:?}", family.descendants)
    };
    assert_eq!(stat(child, 4), worker.to_string());
    assert_eq!(stat(child, 6), stat(worker, 6), "the child's session");
    assert_eq!(stat(leader, 4), worker.to_string());
    assert_eq!(stat(leader, 6), leader.to_string(), "the leader's session");
    assert_eq!(stat(grandchild, 4), leader.to_string());
    assert_eq!(stat(grandchild, 6), leader.to_string(), "the grandchild's session");
}

#[tokio::test]
async fn the_gateways_close_ends_the_worker_and_leaks_its_family() {
    let gateway = TestGateway::start(Options::default());
    let family = gateway.detached(of(Flavour::Family)).await;
    assert_eq!(gateway.reap(family.id()).await.status, 200);
    gone(&family.worker).await;
    sleep(SHORTLY).await;
    assert!(family.descendants.iter().all(Pinned::alive));
}

#[tokio::test]
async fn stubborn_and_stopped_workers_outlive_sigterm_and_die_by_sigkill() {
    let gateway = TestGateway::start(Options::default());
    let mut client = gateway.client().await;
    for flavour in [Flavour::Stubborn, Flavour::StubbornFamily, Flavour::Stopped] {
        let family = Family::pin(client.create(of(flavour)).await.unwrap());
        for process in family.processes() {
            process.signal(Signal::TERM).unwrap();
        }
        sleep(SHORTLY).await;
        assert!(family.processes().all(Pinned::alive), "{flavour:?}");
        if flavour == Flavour::Stopped {
            assert_eq!(stat(family.worker.pid(), 3), "T");
        }
        for process in family.processes() {
            process.signal(Signal::KILL).unwrap();
            gone(process).await;
        }
    }
}

#[tokio::test]
async fn a_worker_that_forks_while_dying_leaves_a_child() {
    let gateway = TestGateway::start(Options::default());
    let (_client, family) = gateway.attached(of(Flavour::ForksWhileDying)).await;
    let children = || {
        let all = std::fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
        let argv = |pid: &u32| std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let key = format!("--child-of\0{}\0", family.created.key);
        all.filter(|pid| String::from_utf8_lossy(&argv(pid)).contains(&key)).collect::<Vec<_>>()
    };
    assert!(children().is_empty());
    family.worker.signal(Signal::TERM).unwrap();
    gone(&family.worker).await;
    let [child] = children()[..] else { panic!("{:?}", children()) };
    let child = Pinned::new(child).unwrap();
    drop(gateway);
    gone(&child).await;
}

#[tokio::test]
async fn double_forked_descendants_have_lost_their_parent_and_daemons_their_session_too() {
    let gateway = TestGateway::start(Options::default());
    let mut client = gateway.client().await;
    for (flavour, same_session) in [(Flavour::DoubleForks, true), (Flavour::Daemonizes, false)] {
        let family = Family::pin(client.create(of(flavour)).await.unwrap());
        let [orphan] = &family.descendants[..] else { panic!("{:?}", family.descendants) };
        assert_ne!(stat(orphan.pid(), 4), family.worker.pid().to_string());
        let theirs = stat(family.worker.pid(), 6);
        assert_eq!(stat(orphan.pid(), 6) == theirs, same_session, "{flavour:?}");
    }
}

#[tokio::test]
async fn a_worker_can_lead_its_own_session_and_hold_memory() {
    let gateway = TestGateway::start(Options::default());
    let spec = WorkerSpec { leads: Leads::Session, memory_mb: 40, ..WorkerSpec::default() };
    let (_client, family) = gateway.attached(session_with(spec)).await;
    assert_eq!(stat(family.worker.pid(), 6), family.worker.pid().to_string());
    assert!(family.worker.rss_bytes().unwrap() >= 40 << 20);
}

#[tokio::test]
async fn workers_that_exited_are_zombies_or_not_as_told() {
    for (exited, zombie) in [(Exited::StayZombies, true), (Exited::Collect, false)] {
        let gateway = TestGateway::start(Options { exited, ..Options::default() });
        let (_client, family) = gateway.attached(NewSession::default()).await;
        family.worker.signal(Signal::KILL).unwrap();
        gone(&family.worker).await;
        if zombie {
            assert_eq!(stat(family.worker.pid(), 3), "Z");
            assert!(gateway.row(family.id()).await.unwrap()["worker"].is_object());
        } else {
            gateway.row_where(family.id(), |row| row.get("worker").is_none()).await;
        }
    }
}
