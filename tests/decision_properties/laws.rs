//! The laws, each on any world.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use gateway_reaper::domain::decide::GatewayPlan;
use gateway_reaper::domain::ids::Pid;
use gateway_reaper::domain::ledger::{GatewayMemory, Ledger};
use gateway_reaper::domain::observation::GatewayObservation;
use gateway_reaper::domain::orphan::OrphanKind;
use gateway_reaper::domain::process::Process;
use gateway_reaper::domain::table::{Session, Told, Transport, Turn};
use gateway_reaper::domain::verdict::{Judged, Keep, Subject, Verdict};
use gateway_reaper::domain::veto::{Scope, Veto, Vetoes};
use proptest::prelude::*;

use crate::apart;
use crate::oracle::{Fate, Fates, fates};
use crate::random::{Random, random};
use crate::world::*;

fn name(subject: &Subject) -> String {
    match subject {
        Subject::Session { id, .. } => format!("session {id}"),
        Subject::Worker { identity, .. } => format!("worker {}", identity.pid),
    }
}

fn judged(looked: &Looked) -> impl Iterator<Item = (usize, &GatewayPlan, &Judged)> {
    let plans = looked.0.gateways.iter().enumerate();
    plans.flat_map(|(index, plan)| plan.judged.iter().map(move |judged| (index, plan, judged)))
}

/// The verdicts in the words of the oracle, which knows no quota. What goes with a subject is told only where it is reaped.
pub(crate) fn told(looked: &Looked) -> Fates {
    let fate = |judged: &Judged| match &judged.verdict {
        Verdict::Keep(keep) => Fate::Keep(keep.reason()),
        Verdict::Wait { orphan, waited, .. } => {
            Fate::Orphan { kind: *orphan, waited: *waited, is_due: false, goes: Vec::new() }
        }
        Verdict::Reap { warrant, waited } => {
            let all = warrant.worker().into_iter().chain(warrant.remnants().iter().copied());
            let goes = all.map(|process| process.pid).collect();
            Fate::Orphan { kind: warrant.orphan(), waited: *waited, is_due: true, goes }
        }
        Verdict::Deferred { orphan, waited } => {
            Fate::Orphan { kind: *orphan, waited: *waited, is_due: true, goes: Vec::new() }
        }
    };
    judged(looked).map(|(index, _, judged)| ((index, name(&judged.subject)), fate(judged))).collect()
}

/// The oracle's word, as far as the decision tells it.
pub(crate) fn expected(random: &Random, looked: &Looked) -> Fates {
    let mut expected = fates(random);
    let reaped: BTreeSet<_> = judged(looked)
        .filter(|(_, _, judged)| matches!(judged.verdict, Verdict::Reap { .. }))
        .map(|(index, _, judged)| (index, name(&judged.subject)))
        .collect();
    for (subject, fate) in &mut expected {
        if let (Fate::Orphan { goes, .. }, false) = (fate, reaped.contains(subject)) {
            goes.clear();
        }
    }
    expected
}

/// The same, with one word for every doubt: where a worker was seen tells the next look which gateway may want it.
fn doubts(mut fates: Fates) -> Fates {
    for fate in fates.values_mut().filter(|fate| **fate == Fate::Keep("table-not-trusted")) {
        *fate = Fate::Keep("unknown-state");
    }
    fates
}

/// Whose subject it is.
fn whose(plan: &GatewayPlan, subject: &Subject) -> String {
    match subject {
        Subject::Session { .. } => plan.name.to_string(),
        // Who judges a worker may depend on memory.
        Subject::Worker { .. } => String::new(),
    }
}

/// How long each subject has waited, by name; nothing for who is kept.
fn waited(looked: &Looked) -> BTreeMap<(String, String), Duration> {
    let waited = |judged: &Judged| match judged.verdict {
        Verdict::Keep(_) => Duration::ZERO,
        Verdict::Wait { waited, .. } | Verdict::Reap { waited, .. } | Verdict::Deferred { waited, .. } => {
            waited
        }
    };
    judged(looked)
        .map(|(_, plan, judged)| ((whose(plan, &judged.subject), name(&judged.subject)), waited(judged)))
        .collect()
}

fn row<'w>(world: &'w World, gateway: usize, id: &str) -> Option<&'w Session> {
    let table = world.seen.gateways[gateway].table.current()?;
    table.sessions.iter().find(|row| row.id.as_str() == id)
}

/// What is left of a ledger when some of its entries are lost.
fn losing(ledger: &Ledger, lost: &[bool]) -> Ledger {
    let mut lost = lost.iter().copied().cycle();
    let mut keep = move || !lost.next().unwrap_or_default();
    let mut left = ledger.clone();
    left.gateways.retain(|_, _| keep() || keep());
    for memory in left.gateways.values_mut() {
        memory.sessions.retain(|_, _| keep());
        memory.restart.retain(|_| keep());
        memory.workers.retain(|_| keep());
        for worker in &mut memory.workers {
            worker.clock = worker.clock.filter(|_| keep());
        }
        memory.process = memory.process.filter(|_| keep());
    }
    // Who is below a gateway that is known only from memory has no clock, and nor has who may be taken back by one that was gone: so that
    // these are never lost one by one.
    let is_lost = |memory: &GatewayMemory| memory.process.is_none();
    if left.gateways.len() < ledger.gateways.len() || left.gateways.values().any(is_lost) {
        for worker in left.gateways.values_mut().flat_map(|memory| &mut memory.workers) {
            worker.clock = None;
        }
    }
    left
}

proptest! {
    #![proptest_config(crate::config())]

    #[test]
    fn the_verdicts_are_those_of_the_truth_table(random in random()) {
        let looked = random.world.peek();
        prop_assert_eq!(told(&looked), expected(&random, &looked));
    }

    /// What is told for the trial of another gateway is reaped by neither, and so takes no place.
    #[test]
    fn the_quota_takes_whom_it_should(random in random(), on_trial in any::<bool>()) {
        let mut random = random;
        random.world.rules.last_mut().expect("a gateway").policy.dry_run = on_trial;
        for (plan, rules) in random.world.peek().0.gateways.iter().zip(&random.world.rules) {
            let takes_a_place = |judged: &&Judged| match &judged.verdict {
                Verdict::Reap { warrant, .. } => rules.policy.dry_run || !warrant.is_told(),
                _ => false,
            };
            let reaped = plan.judged.iter().filter(takes_a_place);
            let deferred = plan.judged.iter().filter(|judged| matches!(judged.verdict, Verdict::Deferred { .. }));
            let (reaped, deferred) = (reaped.count(), deferred.count());
            prop_assert_eq!(reaped, (reaped + deferred).min(rules.policy.max_reaps));
        }
    }

    #[test]
    fn no_warrant_for_what_is_attached_mid_turn_held_or_not_known(random in random()) {
        let looked = random.world.peek();
        for (gateway, _, judged) in judged(&looked) {
            let (Subject::Session { id, .. }, Verdict::Reap { .. }) = (&judged.subject, &judged.verdict) else { continue };
            let row = row(&random.world, gateway, id.as_str()).expect("a row");
            prop_assert_eq!(&row.transport, &Told::Known(Transport::Detached));
            prop_assert_eq!(&row.turn, &Told::Known(Turn::Idle));
            prop_assert!(matches!(&row.holds, Told::Absent) || matches!(&row.holds, Told::Known(holds) if holds.is_empty()));
            prop_assert!(!matches!(row.close_on_disconnect, Told::NotUnderstood(_)));
        }
    }

    #[test]
    fn no_warrant_names_a_process_that_is_never_signalled(random in random()) {
        let view = &random.world.seen.processes;
        let looked = random.world.peek();
        let gateways: Vec<Pid> = random.world.seen.gateways.iter().filter_map(|seen| Some(seen.process?.pid)).collect();
        for (_, _, judged) in judged(&looked) {
            let Verdict::Reap { warrant, .. } = &judged.verdict else { continue };
            let Some(worker) = warrant.worker() else { continue };
            let process = view.alive(&worker).expect("a worker in view");
            prop_assert!(worker.pid != pid(1) && !view.own_line.contains(&worker.pid) && !gateways.contains(&worker.pid));
            prop_assert!(!process.kernel && process.uid == USER);
            prop_assert!(process.argv.as_deref().is_some_and(|argv| argv.starts_with("python3 -m worker")));
        }
    }

    #[test]
    fn nobody_goes_with_two_warrants_nor_with_anothers(random in random()) {
        let looked = random.world.peek();
        let mut taken: Vec<Pid> = Vec::new();
        for (_, _, judged) in judged(&looked) {
            let Verdict::Reap { warrant, .. } = &judged.verdict else { continue };
            let Some(worker) = warrant.worker() else { continue };
            prop_assert!(!taken.contains(&worker.pid), "{} twice", worker.pid);
            taken.push(worker.pid);
            let view = &random.world.seen.processes;
            // The PIDs in the table of a gateway of another PID namespace name no process here.
            let namespace = |seen: &GatewayObservation| view.get(seen.process?.pid)?.namespace;
            let here = random.world.seen.gateways.iter().filter(|seen| namespace(seen).is_none_or(|it| view.own_namespace == Some(it)));
            let rows = here.filter_map(|seen| seen.table.current()).flat_map(|table| &table.sessions);
            for row in rows.filter(|row| row.worker == Told::Known(Some(worker.pid))) {
                prop_assert_eq!(warrant.session().map(|order| &order.id), Some(&row.id));
            }
        }
    }

    #[test]
    fn a_table_that_is_not_current_condemns_nobody(random in random()) {
        let looked = random.world.peek();
        for (gateway, _, judged) in judged(&looked) {
            if random.world.seen.gateways[gateway].table.current().is_none() {
                match &judged.verdict {
                    Verdict::Keep(_) => {}
                    Verdict::Wait { orphan, .. } | Verdict::Deferred { orphan, .. } => {
                        prop_assert_eq!(*orphan, OrphanKind::ParentlessWorker);
                    }
                    Verdict::Reap { warrant, .. } => prop_assert_eq!(warrant.orphan(), OrphanKind::ParentlessWorker),
                }
            }
        }
    }

    /// What is left when memory is lost is the gateway's own word, of a session that it lists itself.
    #[test]
    fn losing_memory_only_lengthens_a_grace(random in random(), lost in proptest::collection::vec(any::<bool>(), 29)) {
        let first = random.world.peek();
        let before = waited(&first);
        // Memory may tell whose child a worker is, and so that a session's tree isn't to be touched, or that it isn't what a row has. Such a one is
        // kept, and of what is kept no clock is remembered.
        let is_protected = |judged: &Judged| {
            matches!(
                (&judged.verdict, &judged.subject),
                (Verdict::Keep(Keep::Protected(_)), _)
                    | (Verdict::Keep(Keep::UnknownState(_)), Subject::Worker { .. })
            )
        };
        let protected = judged(&first).filter(|(_, _, judged)| is_protected(judged));
        let protected: BTreeSet<_> =
            protected.map(|(_, plan, judged)| (whose(plan, &judged.subject), name(&judged.subject))).collect();
        let mut world = random.world.clone();
        world.ledger = losing(&world.ledger, &lost);
        let after = waited(&world.peek());
        for ((gateway, subject), left) in after.into_iter().filter(|(whose, _)| !protected.contains(whose)) {
            let before = before.get(&(gateway.clone(), subject.clone())).copied().unwrap_or_default();
            let claim = subject.strip_prefix("session ").and_then(|id| {
                let index = world.seen.gateways.iter().position(|seen| seen.name.as_str() == gateway)?;
                let row = row(&world, index, id)?;
                Some(row.detached_for?.min(row.idle_for?))
            });
            prop_assert!(left <= before.max(claim.unwrap_or_default()), "{subject} of {gateway}: {before:?}, then {left:?}");
        }
    }

    #[test]
    fn the_same_world_gets_the_same_decision(random in random()) {
        prop_assert_eq!(format!("{:?}", random.world.peek()), format!("{:?}", random.world.clone().peek()));
    }

    #[test]
    fn the_order_of_rows_is_nothing_to_anybody(random in random()) {
        let mut world = random.world;
        for rules in &mut world.rules {
            rules.policy.max_reaps = usize::MAX;
        }
        let before = told(&world.peek());
        for gateway in ["gw", "other"] {
            if world.seen.gateways.iter().any(|seen| seen.name.as_str() == gateway && seen.table.current().is_some()) {
                world.table(gateway).sessions.reverse();
            }
        }
        prop_assert_eq!(told(&world.peek()), before);
    }

    #[test]
    fn a_second_look_at_the_same_instant_decides_and_remembers_the_same(random in random()) {
        let mut world = random.world;
        for rules in &mut world.rules {
            rules.policy.max_reaps = usize::MAX;
        }
        let first = doubts(told(&world.look()));
        world.seen.unobserved = Duration::ZERO;
        let remembered = world.ledger.clone();
        prop_assert_eq!(doubts(told(&world.look())), first);
        prop_assert_eq!(&world.ledger, &remembered);
    }

    #[test]
    fn while_nothing_changes_a_grace_goes_on_by_the_time_that_passes(random in random(), seconds in 0..100u64) {
        let mut world = random.world;
        let before = waited(&world.look());
        world.seen.unobserved = Duration::ZERO;
        let told_before = told(&world.peek());
        let later = world.look_after(seconds);
        for (subject, fate) in told(&later) {
            let was = told_before.get(&subject);
            prop_assert_eq!(matches!(was, Some(Fate::Keep(_))), matches!(fate, Fate::Keep(_)));
        }
        for ((gateway, subject), now) in waited(&later) {
            let before = before[&(gateway, subject.clone())];
            prop_assert!(now >= before && now <= before + secs(seconds), "{subject}: {before:?}, then {now:?}");
        }
    }

    #[test]
    fn memory_survives_being_written_and_read(random in random()) {
        let ledger = random.world.peek().0.ledger;
        let text = serde_json::to_string(&ledger).expect("JSON");
        prop_assert_eq!(serde_json::from_str::<Ledger>(&text).expect("a ledger"), ledger);
    }

    #[test]
    fn strangers_change_nothing(random in random(), parents in proptest::collection::vec(0..12u32, 1..6)) {
        let before = told(&random.world.peek());
        let mut world = random.world.clone();
        for (raw, parent) in (900..).zip(parents) {
            let parent = [1, 60, 61, 80, 90, 100, 110, 150, 200, 201, 202, 203][parent as usize];
            if world.seen.processes.get(pid(parent)).is_some() {
                world.process(raw, parent, "node mcp.js python3 -m worker --session-key a");
            }
        }
        prop_assert_eq!(told(&world.peek()), before);
    }

    #[test]
    fn a_worker_that_shares_nothing_with_the_others_is_nothing_to_them(random in random()) {
        let mut random = random;
        for rules in &mut random.world.rules {
            rules.policy.max_reaps = usize::MAX;
        }
        let told = told(&random.world.peek());
        let found = apart::that_matters(&random, &told);
        prop_assert!(found.is_none(), "{told:?}, and without {found:?}");
    }

    /// With each that is due held in turn, by its name and its worker: it is kept, with all that is below it, and nothing else becomes due.
    #[test]
    fn what_is_held_is_kept_and_makes_nothing_else_due(random in random()) {
        let mut world = random.world;
        for rules in &mut world.rules {
            rules.policy.max_reaps = usize::MAX;
        }
        let due = |looked: &Looked| {
            let reaped = judged(looked).filter(|(_, _, judged)| matches!(judged.verdict, Verdict::Reap { .. }));
            reaped.map(|(index, _, judged)| (index, name(&judged.subject))).collect::<BTreeSet<_>>()
        };
        let before = world.peek();
        let all = due(&before);
        for (index, plan, held) in judged(&before) {
            let of = (index, name(&held.subject));
            if !all.contains(&of) {
                continue;
            }
            let worker = held.subject.worker_pid();
            let scope =
                Scope::One { gateway: plan.name.clone(), name: held.subject.id().into(), key: None, worker };
            world.seen.forbidden = Vetoes(vec![Veto { scope, until: None, words: "for now".into() }]);
            let after = world.peek();
            let left = due(&after);
            prop_assert!(!left.contains(&of), "{of:?} is held");
            prop_assert!(left.is_subset(&all), "{left:?}, and before {all:?}, without {of:?}");
            let held = worker.and_then(|pid| world.seen.processes.get(pid));
            let above: BTreeSet<Pid> = held
                .into_iter()
                .flat_map(|held| world.seen.processes.ancestors(held))
                .map(|process| process.identity.pid)
                .collect();
            for (_, warrant, _) in after.0.warrants() {
                let ended = warrant.worker().into_iter().chain(warrant.remnants().iter().copied());
                let ended: BTreeSet<Pid> = ended.map(|process| process.pid).collect();
                prop_assert!(ended.is_disjoint(&above), "{ended:?} is ended above {of:?}");
            }
        }
    }

    /// Whatever it is below; a copy of what it is below is of that.
    #[test]
    fn a_worker_that_is_held_by_its_pid_is_never_ended_nor_is_what_it_is_below(random in random()) {
        let mut world = random.world;
        let workers: Vec<_> = world
            .seen
            .processes
            .processes
            .values()
            .filter(|it| !it.zombie && !it.kernel && it.namespace == world.seen.processes.own_namespace)
            .filter(|it| it.argv.as_deref().is_some_and(|argv| argv.starts_with("python3 -m worker")))
            .cloned()
            .collect();
        for held in workers {
            let pid = held.identity.pid;
            let scope = Scope::One { gateway: "gw".into(), name: "nothing".into(), key: None, worker: Some(pid) };
            world.seen.forbidden = Vetoes(vec![Veto { scope, until: None, words: "for now".into() }]);
            let after = world.peek();
            let above: Vec<_> = world.seen.processes.ancestors(&held).cloned().collect();
            // Nothing in a PID namespace has a process of the one around it below it.
            let is_impossible = |process: &Process| process.namespace != held.namespace;
            if above.iter().any(|process| process.argv == held.argv || is_impossible(process)) {
                continue;
            }
            let never: BTreeSet<Pid> = above.iter().map(|process| process.identity.pid).chain([pid]).collect();
            for (_, warrant, _) in after.0.warrants() {
                let ended = warrant.worker().into_iter().chain(warrant.remnants().iter().copied());
                let ended: BTreeSet<Pid> = ended.map(|process| process.pid).collect();
                prop_assert!(ended.is_disjoint(&never), "{ended:?} is ended, and {held:?} is held: {:?}", told(&after));
            }
        }
    }

    #[test]
    fn every_row_of_a_current_table_is_judged_once(random in random()) {
        let Random { world, .. } = &random;
        let looked = world.peek();
        for (index, seen) in world.seen.gateways.iter().enumerate() {
            let Some(rows) = seen.table.current().map(|table| &table.sessions[..]) else { continue };
            let sessions: Vec<_> = judged(&looked)
                .filter(|(gateway, _, judged)| *gateway == index && matches!(judged.subject, Subject::Session { .. }))
                .map(|(_, _, judged)| judged.subject.id())
                .collect();
            prop_assert_eq!(sessions, rows.iter().map(|row| row.id.to_string()).collect::<Vec<_>>());
        }
    }
}
