//! A process at rest, looked at again by little. What the last whole look opened stays open, and each file is read again by one call: its
//! `status` (how its main thread is, how often that was switched, how many threads there are), of each other thread what it ran, and the
//! children of those threads that ran or have some. As long as nothing of that changed, the rest is as it was: a thread that didn't run has
//! started nothing and opened nothing.
//!
//! What differs is looked at whole, and so is everything before an act. A descriptor below `/proc/PID` is of one process for good: once
//! that is gone, nothing can be read by it.

use std::collections::HashSet;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use super::{main_thread, spent};
use crate::domain::activity::Activity;
use crate::domain::process::ProcessIdentity;
use crate::sources::processes::{ProcessDir, ProcessesError, read_again};
use crate::sources::sockets::connected::Network;

/// What stays open of a process, and what was read by it.
#[derive(Debug)]
pub(super) struct Resting {
    pub(super) identity: ProcessIdentity,
    status: OwnedFd,
    switches: u64,
    threads: Vec<Thread>,
    /// One of its threads ran shortly before the last look, which may not have seen the socket that it opened.
    ran_lately: bool,
    pub(super) sockets: HashSet<u64>,
    pub(super) last: Activity,
    pub(super) network: Network,
    /// The sockets of all that were connected at the last look.
    pub(super) connected: Arc<HashSet<u64>>,
}

#[derive(Debug)]
struct Thread {
    schedstat: OwnedFd,
    children: OwnedFd,
    is_main: bool,
    ran: Duration,
    /// The children that it has, as the kernel lists them.
    listed: Box<[u8]>,
}

/// What was opened before a whole look: what changes during that look differs from it at the next one.
#[derive(Debug)]
pub(super) struct Opened {
    status: OwnedFd,
    switches: u64,
    threads: Vec<Thread>,
}

impl Opened {
    /// `None`: it doesn't rest, or can't be read in this way.
    pub(super) fn of(dir: &ProcessDir, buffer: &mut Vec<u8>) -> Result<Option<Self>, ProcessesError> {
        let Some(status) = dir.open("status")? else { return Ok(None) };
        let Some((true, switches, count)) = read_again(&status, buffer).and_then(main_thread) else {
            return Ok(None);
        };
        let mut threads = Vec::new();
        for id in dir.numbers("task")?.unwrap_or_default() {
            let Some(schedstat) = dir.open(&format!("task/{id}/schedstat"))? else { return Ok(None) };
            let Some(children) = dir.open(&format!("task/{id}/children"))? else { return Ok(None) };
            let Some(ran) = read_again(&schedstat, buffer).and_then(spent) else { return Ok(None) };
            let Some(listed) = read_again(&children, buffer).map(|it| it.as_bytes().into()) else {
                return Ok(None);
            };
            threads.push(Thread { schedstat, children, is_main: id == dir.number(), ran, listed });
        }
        let is_whole = usize::try_from(count).is_ok_and(|count| count == threads.len());
        Ok(is_whole.then_some(Self { status, switches, threads }))
    }

    /// So many descriptors.
    pub(super) fn descriptors(&self) -> usize {
        1 + 2 * self.threads.len()
    }

    /// With what the whole look saw after that. `None`: it doesn't rest.
    pub(super) fn seen(
        self,
        identity: ProcessIdentity,
        seen: (Activity, HashSet<u64>),
        (network, connected): (Network, &Arc<HashSet<u64>>),
    ) -> Option<Resting> {
        let (last, sockets) = seen;
        let Self { status, switches, threads } = self;
        let count = usize::try_from(last.threads).ok()?;
        let main_ran = threads.iter().find(|thread| thread.is_main)?.ran;
        let is_same = last.main.switches == switches && last.main.ran == main_ran && count == threads.len();
        (is_same && last.work_now().is_none()).then(|| Resting {
            identity,
            status,
            switches,
            threads,
            ran_lately: true,
            sockets,
            last,
            network,
            connected: Arc::clone(connected),
        })
    }
}

/// What a look by little shows.
#[derive(Debug)]
pub(super) enum Glance {
    /// As it was, but for what its threads ran since.
    Rests(Duration),
    /// The same, and it may have opened a socket: one of its threads ran.
    Ran(Duration),
    /// It has to be looked at whole.
    Differs,
}

impl Resting {
    pub(super) fn descriptors(&self) -> usize {
        1 + 2 * self.threads.len()
    }

    pub(super) fn look(&mut self, buffer: &mut Vec<u8>) -> Glance {
        let status = read_again(&self.status, buffer).and_then(main_thread);
        let is_same = status.is_some_and(|(asleep, switches, threads)| {
            asleep
                && switches == self.switches
                && usize::try_from(threads).is_ok_and(|count| count == self.threads.len())
        });
        if !is_same {
            return Glance::Differs;
        }
        let (mut all, mut ran_now) = (Duration::ZERO, false);
        for thread in &mut self.threads {
            let before = thread.ran;
            // The main thread wasn't switched, so it didn't run.
            if !thread.is_main {
                let Some(ran) = read_again(&thread.schedstat, buffer).and_then(spent) else {
                    return Glance::Differs;
                };
                thread.ran = ran;
            }
            all += thread.ran;
            let ran = thread.ran != before;
            ran_now |= ran;
            // A child may end by itself.
            if (ran || !thread.listed.is_empty())
                && read_again(&thread.children, buffer).is_none_or(|it| *it.as_bytes() != *thread.listed)
            {
                return Glance::Differs;
            }
        }
        let ran_lately = std::mem::replace(&mut self.ran_lately, ran_now);
        if ran_now || ran_lately { Glance::Ran(all) } else { Glance::Rests(all) }
    }
}

#[cfg(test)]
#[path = "resting_tests.rs"]
mod tests;
