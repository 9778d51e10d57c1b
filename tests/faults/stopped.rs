//! What is stopped to be killed is killed or let go, also where the run that stopped it is killed or its disk is full.

use crate::strace::{self, Place, traced};
use crate::support::stat;
use crate::world::{Before, Memory, ONCE, Victims, World};

const SIGNALS: &[&str] = &["-e", "trace=pidfd_send_signal"];

/// The place of the first signal of this name in a run of its own.
fn first(world: &World, signal: &str) -> Place {
    let memory = world.memory("first", Before::Used);
    let victims = world.victims();
    let traced = traced(SIGNALS, &memory.config, ONCE);
    assert!(victims.all_gone(), "{traced:?}");
    let nth = traced.calls.iter().position(|call| call.contains(signal)).unwrap() + 1;
    Place { call: "pidfd_send_signal".into(), nth }
}

fn stopped(victims: &Victims) -> Vec<u32> {
    let pids = victims.processes().filter(|process| process.alive()).map(|process| process.pid());
    pids.filter(|pid| stat(*pid, 3) == "T").collect()
}

/// A run that is killed between SIGSTOP and SIGKILL. How many signals come before may differ from run to run.
fn killed(world: &World) -> (Memory, Victims) {
    let mut runs = Vec::new();
    for attempt in 0..10 {
        let place = first(world, "SIGKILL");
        let memory = world.memory(&format!("killed-{attempt}"), Before::Used);
        let victims = world.victims();
        let kill = place.inject("signal=KILL");
        let traced = traced(&[SIGNALS, &["-e", &kill]].concat(), &memory.config, ONCE);
        if traced.ended.signal == Some(9) && !stopped(&victims).is_empty() {
            return (memory, victims);
        }
        world.assert_finishes(&victims, &memory, &format!("{traced:?}"));
        runs.push((place, traced));
    }
    panic!("no run of ten was killed between the two signals: {runs:#?}");
}

#[test]
fn what_a_killed_run_left_stopped_is_let_go_by_the_next_though_the_disk_is_full() {
    if !strace::is_there() {
        return;
    }
    let world = World::new();
    let (memory, victims) = killed(&world);
    let full = "inject=write,writev,pwrite64:error=ENOSPC";
    let mut options = vec!["-e".to_owned(), "trace=write,writev,pwrite64".to_owned()];
    options.extend(memory.files().into_iter().flat_map(|file| ["-P".to_owned(), file]));
    options.extend(["-e".to_owned(), full.to_owned()]);
    let full = strace::traced(&options, &memory.config, ONCE);
    assert_eq!(full.ended.code, Some(1), "{full:?}");
    assert_eq!(stopped(&victims), [0; 0], "{full:?}");
    world.assert_finishes(&victims, &memory, "once there is room again");
}

#[test]
fn where_a_sigkill_fails_nothing_is_left_stopped() {
    if !strace::is_there() {
        return;
    }
    let world = World::new();
    let place = first(&world, "SIGKILL");
    let memory = world.memory("refused", Before::Used);
    let victims = world.victims();
    let fails = place.inject("error=EPERM");
    let traced = traced(&[SIGNALS, &["-e", &fails]].concat(), &memory.config, ONCE);
    assert_eq!(traced.ended.code, Some(1), "{traced:?}");
    assert_eq!(stopped(&victims), [0; 0], "{traced:?}");
    world.assert_finishes(&victims, &memory, "a signal was refused");
}
