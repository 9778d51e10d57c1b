//! Processes that come and go while they are looked at.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::reaper::run;
use crate::world::{Before, ONCE, World};

/// Starts processes that end at once, until told to stop.
fn churn(stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        #[expect(clippy::disallowed_methods, reason = "processes that come and go")]
        let child = Command::new("sh").args(["-c", "true & true & true"]).stdin(Stdio::null()).spawn();
        let _ended = child.unwrap().wait();
    }
}

#[test]
fn entries_that_vanish_while_they_are_read_are_no_failure() {
    let world = World::new();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| churn(&stop));
        for round in 0..4 {
            // A new memory each time, so that every process of the machine is looked at.
            let memory = world.memory(&format!("churn-{round}"), Before::New);
            let victims = world.victims();
            let ended = run(&[], &memory.config, ONCE);
            let done = ended.code == Some(0) && victims.all_gone();
            if !done || round == 3 {
                stop.store(true, Ordering::Relaxed);
            }
            assert!(done, "round {round}: {ended:?}");
            world.assert_sound(&victims, &memory, "churn");
        }
    });
}
