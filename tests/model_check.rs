//! The protocol in the small, exhaustively: every interleaving of the steps of clients, a gateway, a reaper and a rival run, crashes of both
//! at every step included, through the real decision, ledger and settling. A breadth-first search of our own: the ledger is no `Hash`, and
//! what a model checker would add to this page is a web server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that can't go on fails")]

#[path = "model_check/model.rs"]
mod model;
#[path = "model_check/reaper.rs"]
mod reaper;
#[path = "model_check/shown.rs"]
mod shown;

use std::collections::{HashMap, HashSet, VecDeque};

use model::{Bounds, Rival, State, Tells};

/// How each state, by its print, was first come to.
type Seen = HashMap<u128, Option<(u128, String)>>;

/// Goes to every state that can be reached and returns how many there are. Fails with the shortest way to a state that may not be.
fn explore(bounds: &Bounds) -> usize {
    let start = State::new(bounds);
    let mut seen: Seen = HashMap::new();
    seen.insert(start.print(), None);
    let mut ended = HashSet::new();
    let mut queue = VecDeque::from([start]);
    while let Some(state) = queue.pop_front() {
        let from = state.print();
        for (step, next) in state.steps(bounds) {
            let print = next.print();
            if seen.contains_key(&print) {
                continue;
            }
            seen.insert(print, Some((from, step)));
            if let Err(breach) = next.is_sound() {
                panic!("{breach}\n{}", way(&seen, print));
            }
            queue.push_back(next);
        }
        let abandoned = state.without_runs();
        if ended.insert(abandoned.print())
            && let Err(leak) = abandoned.ends_clean()
        {
            panic!("{leak}\n{}", way(&seen, from));
        }
    }
    seen.len()
}

fn way(seen: &Seen, mut at: u128) -> String {
    let mut steps = Vec::new();
    while let Some(Some((from, step))) = seen.get(&at) {
        steps.push(step.as_str());
        at = *from;
    }
    steps.reverse();
    steps.join("\n")
}

const ONE: Bounds = Bounds {
    sessions: 1,
    client_steps: 3,
    restarts: 1,
    crashes: 1,
    ticks: 4,
    tells: Tells::Activity,
    rival: Rival::Locked,
};

fn check(bounds: &Bounds, floor: usize) {
    let states = explore(bounds);
    println!("{states} states of {bounds:?}");
    assert!(states > floor, "only {states} states: something isn't tried");
}

#[test]
fn a_client_that_comes_and_goes_while_runs_are_killed() {
    check(&Bounds { restarts: 0, ..ONE }, 20_000);
}

#[test]
fn the_same_where_the_gateway_tells_its_clocks() {
    check(&Bounds { restarts: 0, ticks: 3, tells: Tells::Clocks, ..ONE }, 15_000);
}

#[test]
fn a_gateway_that_restarts_at_any_step() {
    check(&Bounds { client_steps: 2, crashes: 0, ticks: 3, ..ONE }, 15_000);
}

#[test]
fn two_reapers_that_know_nothing_of_each_other() {
    check(
        &Bounds { client_steps: 2, restarts: 0, crashes: 0, ticks: 2, rival: Rival::OwnState, ..ONE },
        20_000,
    );
}

#[test]
fn two_sessions() {
    check(&Bounds { sessions: 2, client_steps: 2, restarts: 0, crashes: 0, ticks: 3, ..ONE }, 5_000);
}

#[test]
#[ignore = "minutes: the long suite"]
fn more_of_everything() {
    check(&Bounds { client_steps: 4, ticks: 5, ..ONE }, 500_000);
    check(&Bounds { sessions: 2, client_steps: 3, ticks: 3, ..ONE }, 500_000);
    check(&Bounds { client_steps: 3, restarts: 0, ticks: 3, rival: Rival::OwnState, ..ONE }, 500_000);
}
