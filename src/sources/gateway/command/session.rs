//! The session of a program that was started: ended whole, with all that is in it or was below the program.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use rustix::process::{Signal, pidfd_send_signal};

use crate::domain::ids::Pid;
use crate::sources::processes::{Proc, ProcessesError, open_pidfd};

/// Looks at most: a program that starts processes faster than they can be stopped is left with what escaped.
const MOST_LOOKS: usize = 64;
/// What a killed process needs to be gone.
const A_MOMENT: Duration = Duration::from_millis(1);

/// Ends whatever is in the session that this process leads, and what is below it. The leader must not have been waited for: so no other process
/// can have its number, as a process or as a session.
pub(super) fn end_whole(leader: Pid) {
    if let Err(error) = end(leader) {
        tracing::warn!(%error, session = %leader, "a program of a gateway can't be ended whole");
    }
}

/// Processes of the session, and what was seen below them, each with its start: by then it may have lost its parent.
type Known = HashMap<Pid, Option<u64>>;

fn end(leader: Pid) -> Result<(), ProcessesError> {
    let mut proc = Proc::open()?;
    // Stopped first, so that none starts another one between a look and its end.
    let mut known = Known::from([(leader, None)]);
    let mut stopped = HashSet::new();
    for _ in 0..MOST_LOOKS {
        let found = members(&mut proc, leader, &mut known)?;
        let fresh: Vec<Pid> = found.into_iter().filter(|pid| stopped.insert(*pid)).collect();
        if fresh.is_empty() {
            break;
        }
        for pid in fresh {
            signal(&mut proc, &known, pid, Signal::STOP)?;
        }
    }
    for _ in 0..MOST_LOOKS {
        let found = members(&mut proc, leader, &mut known)?;
        if found.is_empty() {
            break;
        }
        for pid in found {
            signal(&mut proc, &known, pid, Signal::KILL)?;
        }
        std::thread::sleep(A_MOMENT);
    }
    Ok(())
}

/// What lives in the session, or was seen below what is of it.
fn members(proc: &mut Proc, leader: Pid, known: &mut Known) -> Result<Vec<Pid>, ProcessesError> {
    let mut table = Vec::new();
    proc.scan(|pid, stat| {
        let is_in_session = stat.session == leader.get();
        table.push((pid, stat.parent, is_in_session, stat.start_ticks(), stat.zombie));
    })?;
    let mut grew = true;
    while std::mem::take(&mut grew) {
        for (pid, parent, is_in_session, started, _) in &table {
            let is_below = || parent.is_some_and(|parent| known.contains_key(&parent));
            if known.get(pid).is_none_or(Option::is_none) && (*is_in_session || *pid == leader || is_below())
            {
                known.insert(*pid, Some(*started));
                grew = true;
            }
        }
    }
    let alive = table.iter().filter(|(pid, _, _, started, zombie)| {
        !zombie && known.get(pid).is_some_and(|known| *known == Some(*started))
    });
    Ok(alive.map(|(pid, ..)| *pid).collect())
}

/// Through a pidfd, and only to the very process that was seen.
fn signal(proc: &mut Proc, known: &Known, pid: Pid, signal: Signal) -> Result<(), ProcessesError> {
    let Ok(Some(fd)) = open_pidfd(pid) else { return Ok(()) };
    let started = proc.standing(pid)?.map(|stat| stat.start_ticks());
    if started.is_some() && known.get(&pid) == Some(&started) {
        // Gone is as good, and one that became another user's is out of reach.
        let _ = pidfd_send_signal(&fd, signal);
    }
    Ok(())
}
