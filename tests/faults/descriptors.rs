//! Too few descriptors: at every limit a run either does its work or says that it can't.

use crate::reaper::run;
use crate::world::{Before, ONCE, World, assert_told};

/// The shell and the loader themselves need some.
const FEWEST: usize = 5;

/// Limits only what is left to the run: `held` descriptors are there already.
fn limited(world: &World, limit: usize, held: usize) -> Option<i32> {
    let memory = world.memory(&format!("{held}-of-{limit}"), Before::Used);
    let victims = world.victims();
    let script = format!(
        "i=0; while [ $i -lt {held} ]; do eval \"exec $((i + 10))</dev/null\"; i=$((i + 1)); done; ulimit -n {limit} && exec \"$0\" \"$@\""
    );
    // Only bash takes numbers of two digits.
    let ended = run(&["bash", "-c", &script], &memory.config, ONCE);
    let when = format!("with {held} of {limit} descriptors taken: {ended:?}");
    assert_told(&ended, &when);
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
    let codes: Vec<_> = [FEWEST, 16, 31].map(|limit| limited(&world, limit, 0)).to_vec();
    assert_eq!(codes, [Some(1), Some(1), Some(1)], "that is not even tried with");
    // From here on the limit is high enough to begin with, and the descriptors run out on the way.
    let codes: Vec<_> = [1, 8, 13, 20].into_iter().map(|held| limited(&world, 36, held)).collect();
    assert_eq!(codes[0], Some(0), "35 are plenty: {codes:?}");
}

#[test]
#[ignore = "every limit: a minute"]
fn at_every_limit_a_run_does_its_work_or_says_why_not() {
    let world = World::new();
    for held in 1..24 {
        limited(&world, 36, held);
    }
}
