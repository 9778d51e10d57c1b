//! The reaper is killed between any two of its system calls, or any one of them fails.
//!
//! Between two calls that change nothing outside of the process nobody can tell where it was killed. So it is killed before each call that
//! does: on a file of the state directory, to the gateway, to a process; and while it waits.

use crate::sample;
use crate::state_writes::on_state_files;
use crate::strace::{self, Place, traced};
use crate::world::{Before, ONCE, World, assert_told};

const CHANGING: &str = "mkdir,flock,write,writev,pwrite64,rename,renameat2,unlink,connect,sendto,recvfrom,pidfd_send_signal,epoll_wait,exit_group";

/// At which calls something happens.
#[derive(Debug, Clone, Copy)]
enum Calls {
    OnStateFiles,
    Changing,
    All,
}

/// What happens there.
#[derive(Debug, Clone, Copy)]
enum Fate {
    /// Nothing: how many calls are there?
    None,
    /// SIGKILL just before it.
    Killed,
    /// The call fails with an error that nobody expects of it.
    Fails(&'static str),
}

/// A run with this fate: the places of its calls, and whether it was killed.
fn fated(world: &World, calls: Calls, fate: Fate, place: Option<&Place>) -> (Vec<Place>, bool) {
    let name = format!("{calls:?}-{fate:?}-{place:?}").replace([' ', '"'], "");
    let memory = world.memory(&name, Before::Used);
    let victims = world.victims();
    let mut options = match calls {
        Calls::OnStateFiles => on_state_files(&memory),
        Calls::Changing => vec!["-e".into(), format!("trace={CHANGING}")],
        Calls::All => vec!["-e".into(), "trace=all".into()],
    };
    let what = match fate {
        Fate::None => String::new(),
        Fate::Killed => "signal=KILL".to_owned(),
        Fate::Fails(error) => format!("error={error}"),
    };
    options.extend(place.into_iter().flat_map(|place| ["-e".into(), place.inject(&what)]));
    let traced = traced(&options, &memory.config, ONCE);
    let when = format!("{fate:?} at {place:?}: {:?}\n{:?}", traced.tampered(), traced.ended);
    match fate {
        Fate::None => assert!(traced.ended.code == Some(0) && victims.all_gone(), "{when}"),
        // Which calls there are depends a little on what else happens on the machine.
        Fate::Killed => assert!(
            [(None, Some(9)), (Some(0), None)].contains(&(traced.ended.code, traced.ended.signal)),
            "{when}"
        ),
        Fate::Fails(_) => {}
    }
    world.assert_sound(&victims, &memory, &when);
    world.assert_finishes(&victims, &memory, &when);
    (traced.places(), traced.ended.signal == Some(9))
}

#[test]
fn killed_anywhere_the_next_run_finishes_what_it_began() {
    if !strace::is_there() {
        return;
    }
    let world = World::new();
    for (calls, most) in [(Calls::OnStateFiles, 5), (Calls::Changing, 8)] {
        let (places, _) = fated(&world, calls, Fate::None, None);
        let places = sample(&places, most);
        let killed = places.iter().filter(|place| fated(&world, calls, Fate::Killed, Some(place)).1).count();
        assert!(killed * 2 > places.len(), "{killed} of {} runs were killed", places.len());
    }
}

#[test]
#[ignore = "minutes: killed before each call that changes something"]
fn killed_before_every_call_that_changes_something_the_next_run_finishes_what_it_began() {
    if !strace::is_there() {
        return;
    }
    let world = World::new();
    for calls in [Calls::OnStateFiles, Calls::Changing] {
        let (places, _) = fated(&world, calls, Fate::None, None);
        let killed = places.iter().filter(|place| fated(&world, calls, Fate::Killed, Some(place)).1).count();
        println!("killed at {killed} of {} calls of {calls:?}", places.len());
        assert!(killed * 2 > places.len(), "{killed} of {} runs were killed", places.len());
    }
}

#[test]
#[ignore = "minutes: any system call fails"]
fn whatever_call_fails_nobody_is_ended_who_is_wanted() {
    if !strace::is_there() {
        return;
    }
    let world = World::new();
    let (places, _) = fated(&world, Calls::All, Fate::None, None);
    for (index, place) in sample(&places, 240).into_iter().enumerate() {
        fated(&world, Calls::All, Fate::Fails(["EIO", "ENOMEM", "EMFILE"][index % 3]), Some(place));
    }
    println!("240 of {} calls failed, one a run", places.len());
}

#[test]
fn a_run_that_cannot_begin_says_why_and_does_nothing() {
    if !strace::is_there() {
        return;
    }
    let world = World::new();
    let victims = world.victims();
    let memory = world.memory("told", Before::New);
    for (call, error) in
        [("pwrite64", "ENOSPC"), ("flock", "ENOLCK"), ("mkdir", "EROFS"), ("epoll_create1", "EMFILE")]
    {
        // The loader makes no such calls.
        let options = [format!("trace={call}"), format!("inject={call}:error={error}")];
        let traced = traced(&["-e", &options[0], "-e", &options[1]], &memory.config, ONCE);
        assert_told(&traced.ended, &options[1]);
        assert_ne!(traced.ended.code, Some(0), "{traced:?}");
        assert!(victims.all_alive(), "nothing was done: {traced:?}");
    }
    world.assert_finishes(&victims, &memory, "told");
}
