//! The protocol in the small, exhaustively: every interleaving of the steps of clients, a gateway, a reaper and a rival run, crashes of both
//! at every step included, through the real decision, ledger and settling. A breadth-first search of our own: the ledger is no `Hash`, and
//! what a model checker would add to this page is a web server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that can't go on fails")]

#[path = "model_check/model.rs"]
mod model;
#[path = "model_check/reaper.rs"]
mod reaper;

use std::collections::{HashMap, VecDeque};

use model::{Bounds, State};

/// How each state, by its print, was first come to.
type Seen = HashMap<u128, Option<(u128, String)>>;

/// Goes to every state that can be reached and returns how many there are. Fails with the shortest way to a state that may not be.
fn explore(bounds: &Bounds) -> usize {
    let start = State::new(bounds);
    let mut seen: Seen = HashMap::new();
    seen.insert(start.print(), None);
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
        if let Err(leak) = state.ends_clean(bounds) {
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

#[test]
fn one_session_in_few_steps() {
    let bounds = Bounds {
        sessions: 1,
        client_steps: 2,
        restarts: 0,
        crashes: 1,
        ticks: 3,
        tells: model::Tells::Activity,
    };
    let states = explore(&bounds);
    println!("{states} states");
    assert!(states > 1_000, "only {states} states: something isn't tried");
}

#[test]
#[ignore = "long: ten minutes and more, and gigabytes"]
fn one_session_in_every_interleaving() {
    let bounds = Bounds {
        sessions: 1,
        client_steps: 5,
        restarts: 1,
        crashes: 1,
        ticks: 6,
        tells: model::Tells::Activity,
    };
    let states = explore(&bounds);
    println!("{states} states");
    assert!(states > 10_000, "only {states} states: something isn't tried");
}

#[test]
#[ignore = "long: ten minutes and more, and gigabytes"]
fn one_session_of_a_gateway_that_tells_its_clocks() {
    let bounds = Bounds {
        sessions: 1,
        client_steps: 5,
        restarts: 1,
        crashes: 1,
        ticks: 6,
        tells: model::Tells::Clocks,
    };
    let states = explore(&bounds);
    println!("{states} states");
    assert!(states > 10_000, "only {states} states: something isn't tried");
}

#[test]
#[ignore = "long: ten minutes and more, and gigabytes"]
fn two_sessions_in_every_interleaving() {
    let bounds = Bounds {
        sessions: 2,
        client_steps: 3,
        restarts: 1,
        crashes: 1,
        ticks: 3,
        tells: model::Tells::Activity,
    };
    let states = explore(&bounds);
    println!("{states} states");
    assert!(states > 20_000, "only {states} states: something isn't tried");
}
