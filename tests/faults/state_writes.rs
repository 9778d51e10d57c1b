//! Every system call on a file of the state directory fails, one after the other.

use crate::sample;
use crate::strace::{self, traced};
use crate::world::{Before, Memory, ONCE, World, assert_told};

const ERRORS: [&str; 3] = ["ENOSPC", "EIO", "EACCES"];

/// Whatever is done by path or descriptor to a file of the state directory.
pub(crate) fn on_state_files(memory: &Memory) -> Vec<String> {
    let files = memory.files().into_iter();
    files.flat_map(|file| ["-P".into(), file]).chain(["-e".into(), "trace=%file,%desc".into()]).collect()
}

/// Makes a run in which the `place`th call on the state directory fails, and returns how many there were.
fn faulted(world: &World, before: Before, error: Option<&str>, place: usize) -> usize {
    let memory = world.memory(&format!("{before:?}-{error:?}-{place}"), before);
    let victims = world.victims();
    let mut options = on_state_files(&memory);
    if let Some(error) = error {
        options.extend(["-e".into(), format!("inject=%file,%desc:error={error}:when={place}")]);
    }
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let traced = traced(&options, &memory.config, ONCE);
    let failed = traced.calls.iter().find(|call| call.contains("(INJECTED)"));
    let when = format!("{before:?} memory, {error:?} in {failed:?}");
    assert_told(&traced.ended, &when);
    world.assert_sound(&victims, &memory, &when);
    if error.is_none() {
        assert!(traced.ended.code == Some(0) && victims.all_gone(), "{when}\n{:?}", traced.ended);
    }
    world.assert_finishes(&victims, &memory, &when);
    traced.calls.len()
}

#[test]
fn a_state_directory_that_fails_at_any_call_costs_no_life_and_no_memory_of_an_act() {
    if !strace::is_there() {
        return;
    }
    let world = World::new();
    let places = faulted(&world, Before::Used, None, 0);
    assert!(places >= 20, "only {places} calls: are they seen?");
    for (index, place) in sample(places, 8).into_iter().enumerate() {
        faulted(&world, Before::Used, Some(ERRORS[index % 3]), place);
    }
}

#[test]
#[ignore = "minutes: every call, every error, with and without a memory from before"]
fn every_call_on_the_state_directory_fails_in_every_way() {
    if !strace::is_there() {
        return;
    }
    let world = World::new();
    for before in [Before::New, Before::Used] {
        let places = faulted(&world, before, None, 0);
        for place in 1..=places {
            for error in ERRORS {
                faulted(&world, before, Some(error), place);
            }
        }
        println!("{before:?} memory: {places} calls, {} faults", places * ERRORS.len());
    }
}
