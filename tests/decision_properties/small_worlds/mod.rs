//! All small worlds, not a sample of them: every combination of the evidence that says who owns a worker, in worlds of up to three workers,
//! three rows and two gateways. Decision and oracle agree on each: the verdict, the kind of orphan, and what is ended with it.
//!
//! One worker has the whole evidence, with every set of up to three rows; so have two, with up to two rows, and with three if at most one of the
//! two is odd; three have what workers know of each other: keys, ages, who is below whom, and which row names which. Workers are told apart by
//! their age, rows by what they say, keys by who carries them first, gateways by who has a worker first: what differs in names alone is met
//! once. Every session is due and no grace is left, so that a verdict is as strong as it can be.
//!
//! Why three need less: a worker that shares no key and no line with another, and that no row means, changes nothing for the others. That is a
//! law (`apart.rs`), which is tried on every pair here, and on random worlds.
#![allow(clippy::print_stderr, reason = "how many worlds there are is what people want to know")]

mod families;
mod scene;
mod tables;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use gateway_reaper::domain::decide::decide;

use crate::apart;
use crate::laws::{expected, told};
use crate::random::Random;
use crate::world::Looked;
use families::{Family, one_worker, three_workers, two_workers};
use tables::Tables;

/// Puts the tables into the world, or takes them out again.
fn swap(random: &mut Random, tables: &mut Tables) {
    for (gateway, table) in random.world.seen.gateways.iter_mut().zip(tables) {
        std::mem::swap(&mut gateway.table, table);
    }
}

/// Why decision and oracle disagree on this world, or a worker that has nothing to do with the others matters to them.
fn disagreement(random: &Random) -> Option<String> {
    let world = &random.world;
    let looked = Looked(decide(&world.seen, &world.ledger, &world.rules, world.now));
    let (told, expected) = (told(&looked), expected(random, &looked));
    if told != expected {
        return Some(format!("{random:?}\n  decision {told:?}\n  oracle   {expected:?}"));
    }
    let (worker, left) = apart::that_matters(random, &told)?;
    Some(format!("{random:?}\n  decision {told:?}\n  without {worker} {left:?}"))
}

/// Looks at every `step`th world of a family, and returns how many there were.
fn agree_on(family: &Family, step: usize) -> usize {
    let (next, seen, disagreements) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let count = family.tables.len();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut tables = family.tables.clone();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(scene) = family.scenes.get(number) else { return };
                    let first = (step - number * count % step) % step;
                    if first >= count {
                        continue;
                    }
                    let mut random = scene.build();
                    for tables in tables[first..].iter_mut().step_by(step) {
                        swap(&mut random, tables);
                        seen.fetch_add(1, Ordering::Relaxed);
                        if let Some(what) = disagreement(&random)
                            && disagreements.fetch_add(1, Ordering::Relaxed) < 3
                        {
                            eprintln!("{what}");
                        }
                        swap(&mut random, tables);
                    }
                }
            });
        }
    });
    let (seen, disagreements) = (seen.into_inner(), disagreements.into_inner());
    assert_eq!(disagreements, 0, "worlds of {seen} on which decision and oracle disagree");
    seen
}

/// Looks at every `step`th of these worlds.
#[expect(clippy::disallowed_methods, reason = "how long it takes is told to people, and decides nothing")]
fn agree_on_all(what: &str, families: &[Family], step: usize) {
    let began = Instant::now();
    let all: usize = families.iter().map(|family| family.scenes.len() * family.tables.len()).sum();
    let seen: usize = families.iter().map(|family| agree_on(family, step)).sum();
    eprintln!("{seen} of {all} worlds of {what} in {:.0?}", began.elapsed());
    assert!(seen >= all / step, "some are left out");
}

/// A prime step has no factor in common with the digits, so that each evidence meets each other one.
#[test]
fn decision_and_oracle_agree_on_many_small_worlds() {
    agree_on_all("one worker", &one_worker(), 2_003);
    agree_on_all("two workers and up to two rows", &two_workers(2, &[0, 1, 2]), 3_001);
    agree_on_all("two workers and three rows", &two_workers(1, &[3]), 10_007);
    agree_on_all("three workers", &three_workers(), 1_511);
}

#[test]
#[ignore = "all of them take minutes"]
fn decision_and_oracle_agree_on_all_worlds_of_one_worker() {
    agree_on_all("one worker", &one_worker(), 1);
}

#[test]
#[ignore = "all of them take minutes"]
fn decision_and_oracle_agree_on_all_worlds_of_two_workers_and_up_to_two_rows() {
    agree_on_all("two workers and up to two rows", &two_workers(2, &[0, 1, 2]), 1);
}

#[test]
#[ignore = "all of them take minutes"]
fn decision_and_oracle_agree_on_all_worlds_of_two_plain_workers_and_three_rows() {
    agree_on_all("two plain workers and three rows", &two_workers(0, &[3]), 1);
}

#[test]
#[ignore = "all of them take a quarter of an hour: a share of the long tests of its own"]
fn decision_and_oracle_agree_on_all_worlds_of_two_workers_one_odd_and_three_rows() {
    agree_on_all("two workers, at most one of them odd, and three rows", &two_workers(1, &[3]), 1);
}

#[test]
#[ignore = "all of them take minutes"]
fn decision_and_oracle_agree_on_all_worlds_of_three_workers() {
    agree_on_all("three workers", &three_workers(), 1);
}
