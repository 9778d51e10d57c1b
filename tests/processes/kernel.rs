//! Holding and signalling through pidfds.

use std::process::{Command, Stdio};

use gateway_reaper::config::{MarkConfig, Names};
use gateway_reaper::domain::ids::Pid;
use gateway_reaper::domain::process::{Mark, PidfdInode, ProcessIdentity};
use gateway_reaper::reap::kernel::{Delivery, Kernel, Listing, Reread, Signal};
use gateway_reaper::reap::linux::{LinuxKernel, raise_descriptor_limit};
use gateway_reaper::sources::processes::Marker;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::near;
use crate::support::family::{Family, Step, eventually, part};

fn identity(family: &Family, tag: &str) -> ProcessIdentity {
    near(family, &[tag]).get(family.pid(tag)).unwrap().identity
}

#[test]
fn a_held_process_is_the_one_that_was_seen_and_ends_by_a_signal_through_the_hold() {
    let family = part("top").child(part("victim").argv(["victim"])).child(part("bystander"));
    let family = family.start(&["top", "victim", "bystander"]);
    let mut kernel = LinuxKernel::new().unwrap();
    let who = identity(&family, "victim");
    let (held, process) = kernel.hold(who).unwrap().unwrap();
    assert_eq!(process.identity, who);
    assert!(process.argv.unwrap().starts_with("victim "));
    assert!(!kernel.exited(&held).unwrap());
    assert_eq!(kernel.signal(&held, Signal::Term).unwrap(), Delivery::Sent);
    let fd = held.to_wait_on().unwrap();
    let mut fds = [PollFd::new(&fd, PollFlags::IN)];
    assert_eq!(poll(&mut fds, Some(&Timespec { tv_sec: 20, tv_nsec: 0 })).unwrap(), 1, "it tells of its end");
    assert!(kernel.exited(&held).unwrap(), "a zombie has exited");
    assert!(kernel.hold(who).unwrap().is_none(), "a zombie can't be held");
    assert!(!family.has_ended("bystander"));
}

#[test]
fn a_process_that_was_waited_for_is_gone() {
    let mut family = part("victim").start(&["victim"]);
    let mut kernel = LinuxKernel::new().unwrap();
    let who = identity(&family, "victim");
    let (held, _) = kernel.hold(who).unwrap().unwrap();
    assert_eq!(kernel.signal(&held, Signal::Kill).unwrap(), Delivery::Sent);
    family.reap_root();
    assert_eq!(kernel.signal(&held, Signal::Kill).unwrap(), Delivery::Gone);
    assert!(kernel.exited(&held).unwrap());
    assert!(kernel.hold(who).unwrap().is_none());
    assert!(kernel.family(who.pid, Listing::Whole).unwrap().is_none());
    assert!(kernel.look(who.pid).unwrap().is_none());
}

#[test]
fn another_process_with_the_same_pid_is_not_held() {
    let family = part("other").start(&["other"]);
    let mut kernel = LinuxKernel::new().unwrap();
    let seen = identity(&family, "other");
    let earlier = ProcessIdentity { start_ticks: seen.start_ticks - 1, ..seen };
    assert!(kernel.hold(earlier).unwrap().is_none());
    if seen.inode.is_some() {
        let same_tick = ProcessIdentity { inode: PidfdInode::new(u64::MAX), ..seen };
        assert!(kernel.hold(same_tick).unwrap().is_none());
    }
}

#[test]
fn a_deaf_process_outlives_the_asking_and_a_stopped_one_dies_all_the_same() {
    let family = part("victim").then(Step::Deaf).start(&["victim"]);
    let mut kernel = LinuxKernel::new().unwrap();
    let (held, _) = kernel.hold(identity(&family, "victim")).unwrap().unwrap();
    for signal in [Signal::Term, Signal::Stop] {
        assert_eq!(kernel.signal(&held, signal).unwrap(), Delivery::Sent);
        assert!(!kernel.exited(&held).unwrap());
    }
    kernel.signal(&held, Signal::Kill).unwrap();
    eventually("it is dead", || kernel.exited(&held).unwrap());
}

#[test]
fn children_of_all_threads_are_listed_and_zombies_are_nobody() {
    let parent = part("parent")
        .child(part("plain"))
        .child(part("dead"))
        .then(Step::StartFromThread(part("threaded").then(Step::NewSession)));
    let family = parent.start(&["parent", "plain", "dead", "threaded"]);
    family.kill("dead");
    let mut kernel = LinuxKernel::new().unwrap();
    let parent = near(&family, &["parent"]).get(family.pid("parent")).unwrap().clone();
    let found = kernel.family(parent.identity.pid, Listing::Whole).unwrap().unwrap();
    assert_eq!((found.group, found.session), (parent.group, parent.session));
    let children: Vec<_> = found.children.into_iter().filter_map(|pid| kernel.look(pid).unwrap()).collect();
    let mut pids: Vec<Pid> = children.iter().map(|child| child.identity.pid).collect();
    pids.sort();
    let mut expected = ["plain", "threaded"].map(|tag| family.pid(tag));
    expected.sort();
    assert_eq!(pids, expected);
    assert!(children.iter().all(|child| child.rss_bytes.is_some()));
}

/// The kernel may leave out one of several; that there is no first one is certain.
#[test]
fn that_a_process_has_no_children_is_certain_where_it_is_asked() {
    let threaded = || part("threaded").then(Step::StartFromThread(part("its child")));
    let family = part("top").child(threaded()).child(part("single"));
    let family = family.start(&["top", "threaded", "its child", "single"]);
    let mut kernel = LinuxKernel::new().unwrap();
    let mut childless = |tag, listing| kernel.family(family.pid(tag), listing).unwrap().unwrap().is_childless;
    assert!(childless("single", Listing::Whole));
    assert!(!childless("single", Listing::Again), "it wasn't asked");
    assert!(!childless("threaded", Listing::Whole), "a thread has one");
    family.kill("its child");
    assert!(!childless("threaded", Listing::Whole), "a zombie is still a child");
}

#[test]
fn members_of_a_session_or_a_group_are_found_after_their_leader_is_gone() {
    let leader = part("leader")
        .then(Step::NewSession)
        .child(part("member"))
        .child(part("left-session").then(Step::NewSession))
        .child(part("left-group").then(Step::NewGroup));
    let family = part("top").child(leader).start(&["top", "leader", "member", "left-session", "left-group"]);
    family.kill("leader");
    let led = LinuxKernel::new().unwrap().led_by(&[family.pid("leader")]).unwrap();
    let mut pids: Vec<Pid> = led.iter().map(|process| process.identity.pid).collect();
    pids.sort();
    let mut expected = ["member", "left-group"].map(|tag| family.pid(tag));
    expected.sort();
    assert_eq!(pids, expected);
}

#[test]
fn the_descriptor_limit_is_raised_as_far_as_it_goes() {
    raise_descriptor_limit().unwrap();
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    assert_eq!(limit.current, limit.maximum);
}

#[test]
fn a_held_process_is_read_again_until_it_ends_and_its_memory_is_its_own() {
    let family = part("victim").argv(["victim"]).start(&["victim"]);
    let mut kernel = LinuxKernel::new().unwrap();
    let who = identity(&family, "victim");
    let (held, _) = kernel.hold(who).unwrap().unwrap();
    let again = kernel.reread(&held, Reread::UserAndArgv).unwrap().unwrap();
    assert_eq!(again.identity, who);
    assert!(again.argv.unwrap().starts_with("victim "));
    assert_eq!(kernel.reread(&held, Reread::User).unwrap().unwrap().identity, who);
    assert!(kernel.memory(who).unwrap() > 4096);
    let earlier = ProcessIdentity { start_ticks: who.start_ticks - 1, ..who };
    assert_eq!(kernel.memory(earlier), None, "that was another process");
    // More than one thread reads.
    let many: Vec<_> = std::iter::repeat_n(earlier, 200).chain([who]).collect();
    assert_eq!(kernel.memory_of_all(&many).into_keys().collect::<Vec<_>>(), [who]);
    assert_eq!(kernel.memory_of_all(&[]).len(), 0);
    assert!(kernel.ticks() >= who.start_ticks);
    family.kill("victim");
    assert!(kernel.reread(&held, Reread::User).unwrap().is_none());
}

#[test]
fn the_mark_of_a_held_process_is_read_as_it_is_now() {
    let variable = Some(("SESSION".to_owned(), Names::Session));
    let marks = MarkConfig { variable, cgroup: None };
    let marker = Marker { gateway: "g".into(), uid: rustix::process::geteuid().as_raw(), marks };
    let mut kernel = LinuxKernel::new().unwrap().marked_by(vec![marker]);
    #[expect(clippy::disallowed_methods, reason = "a process that executes another with another mark")]
    let mut child = Command::new("sh")
        .args(["-c", "read go; exec env SESSION=b sleep 60"])
        .env("SESSION", "a")
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = Pid::new(child.id().into()).unwrap();
    let session = |key: &str| Some(vec![Mark::Session { gateway: "g".into(), key: key.into() }]);
    let is_shell = |argv: &str| argv.starts_with("sh ");
    eventually("it has executed the shell", || {
        kernel.look(pid).unwrap().unwrap().argv.as_deref().is_some_and(is_shell)
    });
    let who = kernel.look(pid).unwrap().unwrap().identity;
    let (held, _) = kernel.hold(who).unwrap().unwrap();
    assert_eq!(kernel.session_marks(&held).unwrap(), session("a"));
    drop(child.stdin.take());
    eventually("it has executed another", || kernel.session_marks(&held).unwrap() == session("b"));
    child.kill().unwrap();
    eventually("it is dead", || kernel.exited(&held).unwrap());
    assert_eq!(kernel.session_marks(&held).unwrap(), None);
    child.wait().unwrap();
    let mut unmarked = LinuxKernel::new().unwrap();
    assert_eq!(unmarked.session_marks(&held).unwrap(), None, "no gateway gives any");
}

#[test]
fn what_inherited_a_mark_that_is_withdrawn_is_unmarked_in_the_end() {
    let heir = part("heir").then(Step::NewSession);
    let victim = part("victim").then(Step::ForkWhileDying(heir, 200));
    let family = part("top").then(Step::Subreaper).child(victim);
    let mut family = family.start(&["top", "victim"]);
    let mut kernel = LinuxKernel::new().unwrap();
    let mark = kernel.new_mark().unwrap();
    let (held, _) = kernel.hold(identity(&family, "victim")).unwrap().unwrap();
    let before = kernel.mark(&held, mark).unwrap();
    kernel.signal(&held, Signal::Term).unwrap();
    family.await_all(&["heir"]);
    let filter = || {
        let text = std::fs::read_to_string(format!("/proc/{}/coredump_filter", family.pid("heir"))).unwrap();
        u16::from_str_radix(text.trim(), 16).unwrap()
    };
    assert_eq!(filter(), mark.0);
    kernel.withdraw(mark, Some(before));
    kernel.unmark_heirs();
    assert_eq!(filter(), before.0);
}

/// It left the session, and its parent is gone: nothing but the mark leads to it.
#[test]
fn what_a_marked_process_starts_as_it_dies_is_found_by_its_mark_and_nothing_else_is() {
    let daemon = part("daemon").then(Step::NewSession);
    let victim = part("victim").then(Step::ForkWhileDying(daemon, 200));
    let family = part("top").then(Step::Subreaper).child(victim).child(part("bystander"));
    let mut family = family.start(&["top", "victim", "bystander"]);
    let mut kernel = LinuxKernel::new().unwrap();
    assert_eq!(kernel.marked().unwrap().len(), 0, "no mark was given yet");
    let marks = [kernel.new_mark().unwrap(), kernel.new_mark().unwrap()];
    assert_ne!(marks[0], marks[1]);
    let (held, _) = kernel.hold(identity(&family, "victim")).unwrap().unwrap();
    let before = kernel.mark(&held, marks[0]).unwrap();
    assert!(!marks.contains(&before), "that is one that no process had");
    assert_eq!(kernel.mark(&held, marks[1]), Some(marks[0]));
    kernel.signal(&held, Signal::Term).unwrap();
    family.await_all(&["daemon"]);
    eventually("it is dead", || kernel.exited(&held).unwrap());
    let marked = kernel.marked().unwrap();
    let marked: Vec<_> = marked.iter().map(|(mark, process)| (*mark, process.identity.pid)).collect();
    assert_eq!(marked, [(marks[1], family.pid("daemon"))]);
    assert_eq!(kernel.mark(&held, before), None, "its PID may be another's by now");
}
