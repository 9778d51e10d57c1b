//! What a near look sees.

use gateway_reaper::domain::ids::Pid;
use gateway_reaper::domain::looking::Extent;
use gateway_reaper::sources::processes::{Processes, Roots};

use crate::support::family::{Step, eventually, part};
use crate::{argv_of, look, near};

const WORKER: [&str; 5] = ["python3", "-m", "tui_gateway.slash_worker", "--session-key", "k1"];

#[test]
fn the_children_of_all_threads_of_a_gateway_are_seen_with_their_argv() {
    let gateway = part("gateway")
        .child(part("first").argv(WORKER))
        .then(Step::StartFromThread(part("second").argv(["worker of a thread"])));
    let family = gateway.start(&["gateway", "first", "second"]);
    let view = near(&family, &["gateway"]);
    assert!(argv_of(&view, &family, "first").unwrap().starts_with(&WORKER.join(" ")));
    assert!(argv_of(&view, &family, "second").unwrap().starts_with("worker of a thread"));
    for tag in ["first", "second"] {
        let worker = view.get(family.pid(tag)).unwrap();
        assert_eq!(worker.parent, Some(family.pid("gateway")));
        assert!(worker.rss_bytes.unwrap() > 0);
        assert_eq!(worker.uid, rustix::process::geteuid().as_raw());
        assert!(!worker.zombie && !worker.kernel);
    }
}

#[test]
fn a_worker_shows_the_group_and_the_session_it_shares_or_has_of_its_own() {
    let gateway = part("gateway")
        .then(Step::NewSession)
        .child(part("sharing"))
        .child(part("own-group").then(Step::NewGroup))
        .child(part("own-session").then(Step::NewSession));
    let family = gateway.start(&["gateway", "sharing", "own-group", "own-session"]);
    let view = near(&family, &["gateway"]);
    let of = |tag: &str| {
        let process = view.get(family.pid(tag)).unwrap();
        (process.group, process.session)
    };
    let pid = |tag: &str| family.pid(tag).get();
    assert_eq!(of("sharing"), (pid("gateway"), pid("gateway")));
    assert_eq!(of("own-group"), (pid("own-group"), pid("gateway")));
    assert_eq!(of("own-session"), (pid("own-session"), pid("own-session")));
}

#[test]
fn a_child_that_nobody_waited_for_is_a_zombie() {
    let family = part("gateway").child(part("worker")).start(&["gateway", "worker"]);
    family.kill("worker");
    let view = near(&family, &["gateway"]);
    let worker = view.get(family.pid("worker")).unwrap();
    assert!(worker.zombie);
    assert_eq!(worker.argv, None);
    assert_eq!(view.alive(&worker.identity), None);
}

#[test]
fn hostile_names_and_argvs_are_taken_as_they_are() {
    let hostile = part("worker")
        .argv(["line\nbreak", "", "two  spaces", ") S 1 1 1 (", ""])
        .then(Step::Name("x) R 1 1 (\n".into()));
    let family = part("gateway").child(hostile).start(&["gateway", "worker"]);
    let view = near(&family, &["gateway"]);
    let worker = view.get(family.pid("worker")).unwrap();
    assert_eq!(&*worker.comm, "x) R 1 1 (\n");
    assert_eq!(worker.parent, Some(family.pid("gateway")));
    assert!(worker.argv.as_deref().unwrap().starts_with("line\nbreak  two  spaces ) S 1 1 1 (  --exact"));
}

#[test]
fn an_argv_too_long_to_be_judged_is_no_argv() {
    let long = "x".repeat(100_000);
    #[expect(clippy::disallowed_methods, reason = "a child with a long argv")]
    let mut child = std::process::Command::new("sh")
        .args(["-c", "read _", &long, &long])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let pid = Pid::new(child.id().into()).unwrap();
    let view = Processes::new().unwrap().look(Extent::Near, &Roots { gateways: &[pid], known: &[] }).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(view.get(pid).unwrap().argv, None);
}

#[test]
fn an_argv_from_before_exec_is_not_kept() {
    let worker = part("before").then(Step::Become(part("after").argv(["after"])));
    let mut family = part("gateway").child(worker).start(&["gateway", "before"]);
    let mut processes = Processes::new().unwrap();
    look(&mut processes, Extent::Near, &family, &["gateway"], &[]);
    family.await_all(&["after"]);
    assert_eq!(family.pid("after"), family.pid("before"));
    let view = look(&mut processes, Extent::Near, &family, &["gateway"], &[]);
    assert!(argv_of(&view, &family, "after").unwrap().starts_with("after "));
}

#[test]
fn the_reapers_own_line_goes_up_to_the_first_process() {
    let view = Processes::new().unwrap().look(Extent::Near, &Roots::default()).unwrap();
    assert_eq!(view.own_line[0].get(), std::process::id());
    assert!(view.own_line.len() > 1);
    let last = view.get(*view.own_line.last().unwrap()).unwrap();
    assert_eq!(last.parent, None);
}

#[test]
fn ancestors_and_leaders_are_in_view_and_strangers_are_not() {
    let gateway = part("gateway").child(part("worker"));
    let top =
        part("top").then(Step::NewSession).child(part("between").child(gateway)).child(part("stranger"));
    let family = top.start(&["top", "between", "gateway", "worker", "stranger"]);
    let view = near(&family, &["gateway"]);
    for tag in ["between", "top"] {
        assert_eq!(view.get(family.pid(tag)).unwrap().argv, None, "nobody needs the argv of {tag}");
    }
    assert_eq!(view.get(family.pid("stranger")), None);
}

#[test]
fn a_known_process_is_seen_wherever_it_is_and_a_dead_one_is_said_to_be_gone() {
    let family = part("top").child(part("worker")).child(part("reaped")).start(&["top", "worker", "reaped"]);
    let mut processes = Processes::new().unwrap();
    let view = look(&mut processes, Extent::Near, &family, &["worker", "reaped"], &[]);
    let known = ["worker", "reaped"].map(|tag| view.get(family.pid(tag)).unwrap());
    family.kill("reaped");
    // Whoever inherits it waits for it; the family's top doesn't.
    family.kill("top");
    let view = look(&mut processes, Extent::Near, &family, &[], &known);
    assert!(view.alive(&known[0].identity).is_some_and(|worker| worker.argv.is_some()));
    assert_eq!(view.alive(&known[1].identity), None);
    let nobody = Pid::new(i32::MAX as u64).unwrap();
    let mut view = view;
    processes.look_at(&mut view, &[nobody]).unwrap();
    assert!(view.gone.contains(&nobody));
}

#[test]
fn a_gateway_that_is_gone_is_absent_and_not_a_gateway_without_children() {
    let nobody = Pid::new(i32::MAX as u64).unwrap();
    let roots = Roots { gateways: &[nobody], known: &[] };
    let view = Processes::new().unwrap().look(Extent::Near, &roots).unwrap();
    assert_eq!(view.get(nobody), None);
    assert!(view.gone.contains(&nobody));
}

#[test]
fn a_process_that_was_asked_after_later_joins_the_view_with_its_ancestors() {
    let family = part("top").child(part("between").child(part("late"))).start(&["top", "between", "late"]);
    let mut processes = Processes::new().unwrap();
    let mut view = processes.look(Extent::Near, &Roots::default()).unwrap();
    assert_eq!(view.get(family.pid("late")), None);
    processes.look_at(&mut view, &[family.pid("late")]).unwrap();
    assert!(argv_of(&view, &family, "late").is_some());
    assert!(view.get(family.pid("between")).is_some());
    assert!(view.get(family.pid("top")).is_some());
}

#[test]
fn processes_that_vanish_while_they_are_read_are_left_out_and_nothing_fails() {
    let family = part("gateway").child(part("worker")).start(&["gateway", "worker"]);
    let own = Pid::new(std::process::id().into()).unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                #[expect(clippy::disallowed_methods, reason = "something that vanishes")]
                std::process::Command::new("true").status().unwrap();
            }
        });
        let mut processes = Processes::new().unwrap();
        let gateways = [own, family.pid("gateway")];
        let roots = Roots { gateways: &gateways, known: &[] };
        let missed = (0..300).find(|round| {
            let kind = if round % 10 == 0 { Extent::Whole } else { Extent::Near };
            let view = processes.look(kind, &roots);
            !view.is_ok_and(|view| view.get(family.pid("worker")).is_some())
        });
        // First of all: a failure must not leave the other thread waiting for ever.
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(missed, None, "in this round the worker was not seen, or the look failed");
    });
    eventually("the last one is waited for", || done.load(std::sync::atomic::Ordering::Relaxed));
}
