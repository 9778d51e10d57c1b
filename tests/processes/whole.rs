//! What lost its gateway: found by a whole look, and by near looks after it.

use gateway_reaper::domain::adoption::{AdoptionSign, sign};
use gateway_reaper::domain::looking::Extent;
use gateway_reaper::domain::policy::WorkerMatch;
use gateway_reaper::domain::process::{Process, ProcessView};
use gateway_reaper::sources::processes::Processes;

use crate::support::family::{Family, Part, Step, eventually, part};
use crate::{argv_of, look};

/// A family under one that adopts: `name` over a gateway in a session of its own, over the rest.
fn under(name: &str, gateway: Part) -> Part {
    part("adopter").then(Step::Subreaper).then(Step::Name(name.into())).child(gateway)
}

fn gateway() -> Part {
    part("gateway").then(Step::NewSession)
}

/// Waits for the gateway's worker to be adopted.
fn kill_parent(family: &Family, parent: &str, child: &str) {
    let mut processes = Processes::new().unwrap();
    family.kill(parent);
    eventually(&format!("{child} is adopted"), || {
        let view = look(&mut processes, Extent::Near, family, &[child], &[]);
        view.get(family.pid(child)).unwrap().parent == Some(family.pid("adopter"))
    });
}

fn sign_of(view: &ProcessView, family: &Family, tag: &str) -> Option<AdoptionSign> {
    sign(view.get(family.pid(tag))?, view)
}

#[test]
fn a_worker_left_in_the_session_of_its_dead_gateway_is_found() {
    let family = under("stranger", gateway().child(part("worker"))).start(&["adopter", "gateway", "worker"]);
    kill_parent(&family, "gateway", "worker");
    let mut processes = Processes::new().unwrap();
    let view = look(&mut processes, Extent::Whole, &family, &[], &[]);
    assert_eq!(sign_of(&view, &family, "worker"), Some(AdoptionSign::LeaderlessSession));
    assert!(argv_of(&view, &family, "worker").is_some());
}

#[test]
fn a_worker_under_a_known_subreaper_is_found() {
    let worker = part("worker").then(Step::NewSession);
    let family = under("tini", gateway().child(worker)).start(&["adopter", "gateway", "worker"]);
    kill_parent(&family, "gateway", "worker");
    let view = look(&mut Processes::new().unwrap(), Extent::Whole, &family, &[], &[]);
    assert_eq!(sign_of(&view, &family, "worker"), Some(AdoptionSign::UnderKnownSubreaper));
    assert!(argv_of(&view, &family, "worker").is_some());
}

#[test]
fn a_worker_under_init_is_found() {
    let lost = part("worker").then(Step::NewSession);
    let family = part("top").child(part("between").child(lost).then(Step::Exit)).start(&["top", "worker"]);
    let mut processes = Processes::new().unwrap();
    let mut parent = None;
    eventually("the worker is adopted", || {
        let view = look(&mut processes, Extent::Near, &family, &["worker"], &[]);
        parent = view.get(family.pid("worker")).unwrap().parent;
        parent.is_some_and(|parent| {
            view.get(parent).is_some_and(|parent| !parent.zombie && parent.comm != "top".into())
        })
    });
    let view = look(&mut processes, Extent::Whole, &family, &[], &[]);
    if view.init_is_init && parent.is_some_and(|parent| parent.get() == 1) {
        assert_eq!(sign_of(&view, &family, "worker"), Some(AdoptionSign::UnderInit));
        assert!(argv_of(&view, &family, "worker").is_some());
    } else {
        eprintln!("not shown here: orphans of this machine don't go to an init");
    }
}

#[test]
fn children_of_living_parents_show_no_sign() {
    let family = under("stranger", gateway().child(part("worker"))).start(&["adopter", "gateway", "worker"]);
    let view = look(&mut Processes::new().unwrap(), Extent::Whole, &family, &["gateway"], &[]);
    assert_eq!(sign_of(&view, &family, "worker"), None);
    assert_eq!(sign_of(&view, &family, "gateway"), None);
}

#[test]
fn after_a_whole_look_a_near_one_sees_what_a_known_subreaper_adopts() {
    let between = part("between").child(part("worker").then(Step::NewSession));
    let family = under("tini", gateway().child(between)).start(&["adopter", "gateway", "between", "worker"]);
    let mut processes = Processes::new().unwrap();
    let view = look(&mut processes, Extent::Whole, &family, &["gateway"], &[]);
    assert_eq!(argv_of(&view, &family, "worker"), None);
    kill_parent(&family, "between", "worker");
    let view = look(&mut processes, Extent::Near, &family, &["gateway"], &[]);
    assert!(argv_of(&view, &family, "worker").is_some());
    let view = look(&mut processes, Extent::Near, &family, &["gateway"], &[]);
    assert_eq!(argv_of(&view, &family, "worker"), None, "what isn't named as known is shown once");
}

#[test]
fn a_near_look_follows_a_known_worker_to_what_adopted_it() {
    let workers = gateway().child(part("known")).child(part("unknown").then(Step::NewSession));
    let family = under("stranger", workers).start(&["adopter", "gateway", "known", "unknown"]);
    let mut processes = Processes::new().unwrap();
    let view = look(&mut processes, Extent::Near, &family, &["gateway"], &[]);
    let known = view.get(family.pid("known")).unwrap().clone();
    look(&mut processes, Extent::Near, &family, &["gateway"], &[&known]);
    kill_parent(&family, "gateway", "unknown");
    kill_parent(&family, "gateway", "known");
    let view = look(&mut processes, Extent::Near, &family, &[], &[&known]);
    assert!(argv_of(&view, &family, "unknown").is_some());
}

#[test]
fn all_ways_of_looking_see_the_same_family() {
    let workers = gateway()
        .child(part("plain"))
        .child(part("session").then(Step::NewSession).child(part("grandchild")))
        .then(Step::StartFromThread(part("threaded").argv(["a", "", "b\nc"]).then(Step::NewGroup)))
        .child(part("zombie"));
    let tags = ["adopter", "gateway", "plain", "session", "grandchild", "threaded", "zombie"];
    let family = under("stranger", workers).start(&tags);
    family.kill("zombie");
    let without_memory = |view: ProcessView| -> Vec<Process> {
        let seen = tags.iter().filter_map(|tag| view.get(family.pid(tag)).cloned());
        seen.map(|process| Process { rss_bytes: None, ..process }).collect()
    };
    let near = |processes: Processes| {
        let mut processes = processes;
        without_memory(look(&mut processes, Extent::Near, &family, &["gateway"], &[]))
    };
    let by_files = near(Processes::new().unwrap());
    assert_eq!(by_files.len(), 6, "all but the grandchild");
    assert_eq!(by_files, near(Processes::by_full_scan().unwrap()));
    let whole = look(&mut Processes::new().unwrap(), Extent::Whole, &family, &["gateway"], &[]);
    assert_eq!(by_files, without_memory(whole));
}

#[test]
fn a_gateway_is_found_by_its_argv_and_look_alikes_are_not() {
    let unique = format!("gateway-{}", std::process::id());
    let real = part("real").argv(["python3", "-m", unique.as_str()]);
    let pager = part("pager").argv(["less", "python3", "-m", unique.as_str()]);
    let family = part("top").child(real).child(pager).start(&["top", "real", "pager"]);
    let pattern = WorkerMatch::new(&format!(r"\S*python\S* -m {unique}\b")).unwrap();
    let found = Processes::new().unwrap().find_matching(&pattern).unwrap();
    let found: Vec<_> = found.iter().map(|process| process.identity.pid).collect();
    assert_eq!(found, [family.pid("real")]);
}
