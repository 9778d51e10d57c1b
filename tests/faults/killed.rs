//! The reaper is killed between any two of its system calls, or any one of them fails.

use crate::sample;
use crate::strace::{self, traced};
use crate::world::{ONCE, World, assert_told};

/// What happens at a call.
#[derive(Debug, Clone, Copy)]
enum Fate {
    /// Nothing: how many calls are there?
    None,
    /// SIGKILL just before it.
    Killed,
    /// The call fails with an error that nobody expects of it.
    Fails(&'static str),
}

fn fated(world: &World, fate: Fate, place: usize) -> usize {
    let memory = world.memory(&format!("{fate:?}-{place}"));
    let victims = world.victims();
    let inject = match fate {
        Fate::None => "trace=all".into(),
        Fate::Killed => format!("inject=all:signal=KILL:when={place}"),
        Fate::Fails(error) => format!("inject=all:error={error}:when={place}"),
    };
    let traced = traced(&["-e", &inject], &memory.config, ONCE);
    let when = format!(
        "{fate:?} at call {place}: {:?}",
        traced.calls.iter().rev().find(|call| !call.starts_with("+++"))
    );
    match fate {
        Fate::None => assert!(traced.ended.code == Some(0) && victims.all_gone(), "{when}\n{traced:?}"),
        // A run may be a few calls shorter than the one they were counted in.
        Fate::Killed => {
            assert!(traced.ended.signal == Some(9) || traced.ended.code == Some(0), "{when}\n{traced:?}")
        }
        Fate::Fails(_) => {}
    }
    world.assert_sound(&victims, &memory, &when);
    world.assert_finishes(&victims, &memory, &when);
    traced.calls.len()
}

#[test]
fn killed_anywhere_the_next_run_finishes_what_it_began() {
    if !strace::is_there() {
        return;
    }
    let world = World::new();
    let places = fated(&world, Fate::None, 0);
    for place in sample(places, 11) {
        fated(&world, Fate::Killed, place);
    }
}

#[test]
#[ignore = "many minutes: killed before each of its system calls"]
fn killed_before_every_single_call_the_next_run_finishes_what_it_began() {
    if !strace::is_there() {
        return;
    }
    let world = World::new();
    for place in 1..=fated(&world, Fate::None, 0) {
        fated(&world, Fate::Killed, place);
    }
}

#[test]
#[ignore = "minutes: any system call fails"]
fn whatever_call_fails_nobody_is_ended_who_is_wanted() {
    if !strace::is_there() {
        return;
    }
    let world = World::new();
    let places = fated(&world, Fate::None, 0);
    for (index, place) in sample(places, 150).into_iter().enumerate() {
        fated(&world, Fate::Fails(["EIO", "EINTR", "ENOMEM"][index % 3]), place);
    }
}

#[test]
fn a_run_is_told_what_failed() {
    if !strace::is_there() {
        return;
    }
    let world = World::new();
    let victims = world.victims();
    let memory = world.memory("told");
    for (call, error) in
        [("pwrite64", "ENOSPC"), ("flock", "ENOLCK"), ("mkdir", "EROFS"), ("epoll_create1", "EMFILE")]
    {
        let inject = format!("inject={call}:error={error}");
        let traced = traced(&["-e", &inject], &memory.config, ONCE);
        assert_told(&traced.ended, &inject);
        assert_ne!(traced.ended.code, Some(0), "{inject}\n{traced:?}");
        assert!(victims.all_alive(), "nothing was done: {inject}\n{traced:?}");
    }
    world.assert_finishes(&victims, &memory, "told");
}
