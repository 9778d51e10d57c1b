//! Too few descriptors: at every limit a run either does its work or says that it can't.

use crate::reaper::run;
use crate::sample;
use crate::world::{ONCE, World, assert_told};

fn limited(world: &World, limit: usize) -> Option<i32> {
    let memory = world.memory(&format!("limit-{limit}"));
    let victims = world.victims();
    let script = format!("ulimit -n {limit} && exec \"$0\" \"$@\"");
    let ended = run(&["sh", "-c", &script], &memory.config, ONCE);
    let when = format!("with {limit} descriptors: {ended:?}");
    // The loader itself needs one.
    if limit > 3 {
        assert_told(&ended, &when);
    }
    world.assert_sound(&victims, &memory, &when);
    if ended.code == Some(0) {
        assert!(victims.all_gone(), "nothing failed, and somebody is left: {when}");
    }
    world.assert_finishes(&victims, &memory, &when);
    ended.code
}

#[test]
fn a_run_without_descriptors_left_does_its_work_or_says_why_not() {
    let world = World::new();
    let codes: Vec<_> = sample(33, 9).into_iter().map(|limit| limited(&world, 2 + limit)).collect();
    assert_eq!(codes.last(), Some(&Some(0)), "35 are plenty: {codes:?}");
    assert!(codes[0] != Some(0), "3 are none: {codes:?}");
}

#[test]
#[ignore = "every limit: a minute"]
fn at_every_limit_a_run_does_its_work_or_says_why_not() {
    let world = World::new();
    for limit in 3..48 {
        limited(&world, limit);
    }
}
