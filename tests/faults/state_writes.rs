//! Every system call on a file of the state directory fails, one after the other.

use crate::strace::{self, traced};
use crate::world::{Memory, ONCE, World, assert_told};
use crate::{reaper, sample};

/// Whether the memory was in use before.
#[derive(Debug, Clone, Copy)]
enum Before {
    NewMemory,
    UsedMemory,
}

const ERRORS: [&str; 3] = ["ENOSPC", "EIO", "EACCES"];

fn memory(world: &World, before: Before, name: &str) -> Memory {
    let memory = world.memory(name);
    if matches!(before, Before::UsedMemory) {
        let ended = reaper::run(&[], &memory.config, &["once", "--dry-run"]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
    memory
}

/// Options that let `strace` see the calls on the state directory alone, and fail the `place`th.
fn options(files: &[String], error: Option<&str>, place: usize) -> Vec<String> {
    let mut options: Vec<String> = files.iter().flat_map(|file| ["-P".into(), file.clone()]).collect();
    options.extend(["-e".into(), "trace=%file,%desc".into()]);
    if let Some(error) = error {
        options.extend(["-e".into(), format!("inject=%file,%desc:error={error}:when={place}")]);
    }
    options
}

fn faulted(world: &World, before: Before, error: Option<&str>, place: usize) -> usize {
    let memory = memory(world, before, &format!("{before:?}-{error:?}-{place}"));
    let victims = world.victims();
    let options = options(&memory.files(), error, place);
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let traced = traced(&options, &memory.config, ONCE);
    let failed = traced.calls.iter().find(|call| call.contains("(INJECTED)"));
    let when = format!("{before:?}, {error:?} in {failed:?}");
    assert_eq!(failed.is_some(), error.is_some(), "{when}");
    assert_told(&traced.ended, &when);
    world.assert_sound(&victims, &memory, &when);
    if traced.ended.code == Some(0) && error.is_none() {
        assert!(victims.all_gone(), "{when}\n{traced:?}");
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
    let places = faulted(&world, Before::UsedMemory, None, 0);
    for (index, place) in sample(places, 9).into_iter().enumerate() {
        faulted(&world, Before::UsedMemory, Some(ERRORS[index % 3]), place);
    }
}

#[test]
#[ignore = "minutes: every call, every error, with and without a memory from before"]
fn every_call_on_the_state_directory_fails_in_every_way() {
    if !strace::is_there() {
        return;
    }
    let world = World::new();
    for before in [Before::NewMemory, Before::UsedMemory] {
        let places = faulted(&world, before, None, 0);
        for place in 1..=places {
            for error in ERRORS {
                faulted(&world, before, Some(error), place);
            }
        }
    }
}
