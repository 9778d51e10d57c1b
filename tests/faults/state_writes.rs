//! Every system call on a file of the state directory fails, one after the other.

use crate::sample;
use crate::strace::{self, Place, traced};
use crate::world::{Before, Memory, ONCE, World, assert_told};

const ERRORS: [&str; 3] = ["ENOSPC", "EIO", "EACCES"];

/// Whatever is done by path or descriptor to a file of the state directory.
pub(crate) fn on_state_files(memory: &Memory) -> Vec<String> {
    let files = memory.files().into_iter();
    files.flat_map(|file| ["-P".into(), file]).chain(["-e".into(), "trace=%file,%desc".into()]).collect()
}

/// Makes a run in which a call on the state directory fails, and returns the calls there were.
fn faulted(world: &World, before: Before, fault: Option<(&Place, &str)>) -> Vec<Place> {
    let memory = world.memory(&format!("{before:?}-{fault:?}").replace([' ', '"'], ""), before);
    let victims = world.victims();
    let mut options = on_state_files(&memory);
    if let Some((place, error)) = fault {
        options.extend(["-e".into(), place.inject(&format!("error={error}"))]);
    }
    let traced = traced(&options, &memory.config, ONCE);
    let when = format!("{before:?} memory, {fault:?}: {:?}\n{:?}", traced.tampered(), traced.ended);
    // Which calls there are depends a little on what else happens on the machine.
    assert!(traced.tampered().is_some() || traced.ended.code == Some(0), "{when}");
    assert_told(&traced.ended, &when);
    world.assert_sound(&victims, &memory, &when);
    if fault.is_none() {
        assert!(traced.ended.code == Some(0) && victims.all_gone(), "{when}");
    }
    world.assert_finishes(&victims, &memory, &when);
    traced.places()
}

#[test]
fn a_state_directory_that_fails_at_any_call_costs_no_life_and_no_memory_of_an_act() {
    if !strace::is_there() {
        return;
    }
    let world = World::new();
    let places = faulted(&world, Before::New, None);
    assert!(places.len() >= 20, "are they seen? {places:?}");
    for (index, place) in sample(&places, 9).into_iter().enumerate() {
        faulted(&world, Before::New, Some((place, ERRORS[index % 3])));
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
        let places = faulted(&world, before, None);
        for place in &places {
            for error in ERRORS {
                faulted(&world, before, Some((place, error)));
            }
        }
        println!("{before:?} memory: {} calls, {} faults", places.len(), places.len() * ERRORS.len());
    }
}
