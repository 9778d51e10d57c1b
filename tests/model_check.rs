//! The protocol in the small, exhaustively: every interleaving of the steps of clients, a gateway and its reapers, with crashes of all of
//! them, another run of the gateway in the same process, and requests and answers that are lost, through the real decision, ledger and
//! settling.
//!
//! In each state: no close is asked for of what wasn't an orphan for its whole grace, no worker is ended that any session needed in the whole of
//! its grace, and whatever nobody needs is gone after its grace and a few looks, if nothing more comes from outside. *How much* happens is
//! bounded only where a test says so: there are finitely many states, because only what can still matter tells two of them apart
//! (see `model.rs`), and that this is so is a test of its own.
//!
//! Left to the simulation: holds, PIDs that are used again, the journal of trees in hand, and the teardown's own waiting.
//!
//! A breadth-first search of our own: what a model checker would add to this page is a web server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that can't go on fails")]

#[path = "model_check/memory.rs"]
mod memory;
#[path = "model_check/model.rs"]
mod model;
#[path = "model_check/print.rs"]
mod print;
#[path = "model_check/reaper.rs"]
mod reaper;
#[path = "model_check/snapshot.rs"]
mod snapshot;
#[path = "model_check/world.rs"]
mod world;

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::BuildHasherDefault;

use model::{Bounds, FREELY, State, Step};
use print::Print;
use reaper::Judge;
use world::Tells;

/// How each state, by its print, was first come to.
type Seen = HashMap<u128, Option<(u128, Step)>, BuildHasherDefault<Print>>;

/// Goes to every state that can be reached and returns how many there are. Fails with the shortest way to a state that may not be.
fn explore(bounds: &Bounds) -> usize {
    let (start, mut judge) = (State::new(bounds), Judge::default());
    let mut seen = Seen::from_iter([(Print::of(&start), None)]);
    let mut ended = HashSet::<u128, BuildHasherDefault<Print>>::default();
    let mut queue = VecDeque::from([(Print::of(&start), start)]);
    while let Some((from, state)) = queue.pop_front() {
        for step in state.steps(bounds) {
            let next = state
                .after(step, &mut judge)
                .unwrap_or_else(|breach| panic!("{breach}\n{}", way(bounds, &seen, from, Some(step))));
            let print = Print::of(&next);
            if let Entry::Vacant(slot) = seen.entry(print) {
                slot.insert(Some((from, step)));
                queue.push_back((print, next));
            }
        }
        let abandoned = state.abandoned();
        if ended.insert(Print::of(&abandoned))
            && let Err(leak) = abandoned.ends_clean(&mut judge)
        {
            panic!("{leak}\n{}", way(bounds, &seen, from, None));
        }
    }
    seen.len()
}

/// The steps that lead there from the beginning, each with the state that it leads to.
fn way(bounds: &Bounds, seen: &Seen, mut at: u128, last: Option<Step>) -> String {
    let mut steps = Vec::from_iter(last);
    while let Some(Some((from, step))) = seen.get(&at) {
        steps.push(*step);
        at = *from;
    }
    let mut state = State::new(bounds);
    let mut told = String::new();
    for step in steps.into_iter().rev() {
        told.push_str(&format!("{step:?}\n"));
        if let Ok(next) = state.after(step, &mut Judge::default()) {
            state = next;
            told.push_str(&format!("    {:?}\n    {:?}\n", state.world, state.reapers));
        }
    }
    told
}

const ALL: Bounds = Bounds {
    sessions: 1,
    workers: 2,
    reapers: 1,
    tells: Tells::Activity,
    client_steps: FREELY,
    restarts: FREELY,
    crashes: FREELY,
    losses: FREELY,
};

fn check(bounds: &Bounds, floor: usize) {
    let states = explore(bounds);
    println!("{states} states of {bounds:?}");
    assert!(states > floor, "only {states} states: something isn't tried");
}

/// The states that can be come to in every way that the bounds allow, tidied at each step or only to be told apart in the end.
fn met(bounds: &Bounds, at_each_step: bool) -> HashSet<State> {
    let (start, mut judge) = (State::new(bounds), Judge::default());
    let mut seen = HashSet::from([start.clone()]);
    let mut queue = vec![start];
    while let Some(state) = queue.pop() {
        for step in state.steps(bounds) {
            let next =
                if at_each_step { state.after(step, &mut judge) } else { state.then(step, &mut judge) };
            let next = next.unwrap();
            if seen.insert(next.clone()) {
                queue.push(next);
            }
        }
    }
    println!("{} states", seen.len());
    seen.into_iter()
        .map(|mut state| {
            state.tidy();
            state
        })
        .collect()
}

#[test]
fn what_is_forgotten_makes_no_difference() {
    let few = Bounds { client_steps: 2, restarts: 1, crashes: 1, losses: 1, ..ALL };
    for bounds in [few, Bounds { tells: Tells::Clocks, losses: 0, ..few }] {
        assert!(met(&bounds, true) == met(&bounds, false), "{bounds:?}");
    }
}

/// 763,314 states: all there are.
#[test]
fn one_session_whatever_happens() {
    check(&ALL, 500_000);
}

/// 372,708 states.
#[test]
fn the_same_where_the_gateway_tells_its_clocks() {
    check(
        &Bounds { tells: Tells::Clocks, client_steps: 4, restarts: 1, crashes: 1, losses: 0, ..ALL },
        100_000,
    );
}

/// 307,443 states.
#[test]
fn two_sessions() {
    check(&Bounds { sessions: 2, client_steps: 3, restarts: 1, crashes: 1, losses: 1, ..ALL }, 200_000);
}

/// 500,220 states.
#[test]
fn two_reapers_that_know_nothing_of_each_other() {
    check(&Bounds { reapers: 2, client_steps: 2, restarts: 1, crashes: 0, losses: 0, ..ALL }, 200_000);
}

/// 4,798,950 states: all there are.
#[test]
#[ignore = "a minute: the long suite"]
fn the_same_with_clocks_however_often_the_gateway_restarts() {
    check(&Bounds { tells: Tells::Clocks, ..ALL }, 2_000_000);
}

/// 1,502,844 states.
#[test]
#[ignore = "a minute: the long suite"]
fn three_workers() {
    check(&Bounds { workers: 3, restarts: 2, ..ALL }, 1_000_000);
}

/// 2,361,681 states.
#[test]
#[ignore = "a minute: the long suite"]
fn two_sessions_in_more_steps() {
    check(&Bounds { sessions: 2, client_steps: 5, restarts: 1, crashes: 1, losses: 1, ..ALL }, 1_000_000);
}

/// 1,266,195 states.
#[test]
#[ignore = "a minute: the long suite"]
fn two_reapers_for_ever() {
    check(&Bounds { reapers: 2, restarts: 0, crashes: 0, losses: 0, ..ALL }, 1_000_000);
}
