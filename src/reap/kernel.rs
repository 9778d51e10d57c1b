//! Everything the teardown asks of the operating system, and nothing more. Narrow, so that a simulated world can stand in for it.

use std::collections::HashMap;

use thiserror::Error;

use crate::domain::ids::Pid;
use crate::domain::process::{Mark as SessionMark, Process, ProcessIdentity};
use crate::domain::time::Awake;

/// The signals of an escalation. No process *group* is ever signalled (hermes-agent #56349: killpg took the gateway with it).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signal {
    /// Ask.
    Term,
    /// Stop forking, just before [`Signal::Kill`]: what is stopped can't fork while its children are listed.
    Stop,
    /// End.
    Kill,
    /// Let go what was stopped and is not killed.
    Continue,
}

/// How much of a held process is read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reread {
    /// Its user.
    User,
    /// Its user and its argv.
    UserAndArgv,
}

/// What became of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// The kernel took it.
    Sent,
    /// The process was gone already: a success.
    Gone,
}

/// How carefully children are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listing {
    /// For the first time. A listing can miss a live child, so the children of each process are listed twice at least, unless it is certain
    /// that it has none.
    Whole,
    /// What may have been added since: there is another listing before any of it is killed.
    Again,
}

/// What a process is in, and its children.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Family {
    /// Its process group.
    pub group: u32,
    /// Its session.
    pub session: u32,
    /// Its children, whichever of its threads started them; zombies among them.
    pub children: Vec<Pid>,
    /// It has none, for certain. Always false where that wasn't asked.
    pub is_childless: bool,
}

/// A sign that a process passes on to its descendants, whatever they execute and whichever process adopts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark(pub u16);

/// The operating system refused.
#[derive(Debug, Error)]
#[error("{what} of process {pid} failed")]
pub struct KernelError {
    /// What was tried, e.g. `pidfd_open`.
    pub what: &'static str,
    /// On which process.
    pub pid: Pid,
    /// Its answer.
    pub source: std::io::Error,
}

/// The operating system, as the teardown sees it.
pub trait Kernel {
    /// A hold on one process: what goes through it can reach no other (a pidfd).
    type Held;

    /// Awake time now.
    fn now(&self) -> Awake;

    /// The start ticks that a process started now would have.
    fn ticks(&self) -> u64;

    /// The start ticks that a process started at that instant, which is past, would have.
    fn ticks_at(&self, at: Awake) -> u64;

    /// Takes hold of this very process and looks at it once more *after* the hold is there.
    /// `None`: it is gone, is a zombie, or its PID belongs to another process now.
    ///
    /// # Errors
    /// The system has no pidfds, no descriptor is left, or the process can't be looked at: then it can't be signalled.
    fn hold(&mut self, who: ProcessIdentity) -> Result<Option<(Self::Held, Process)>, KernelError>;

    /// The held process as it is now: it may have become another user's, or something else, by `exec`. `None`: it has exited.
    ///
    /// # Errors
    /// It can't be read.
    fn reread(&mut self, held: &Self::Held, what: Reread) -> Result<Option<Process>, KernelError>;

    /// What the held process inherited that says whose it is, as it is now. `None`: its gateways give no such marks.
    ///
    /// # Errors
    /// It can't be read.
    fn session_marks(&mut self, _held: &Self::Held) -> Result<Option<Vec<SessionMark>>, KernelError> {
        Ok(None)
    }

    /// What memory would come back if this very process ended, in bytes: its share of what it shares with others (PSS), where that can be
    /// read, else its resident memory. `None`: it is gone, or can't be read.
    fn memory(&mut self, who: ProcessIdentity) -> Option<u64>;

    /// The same of many at once; without those of which it isn't known.
    fn memory_of_all(&mut self, all: &[ProcessIdentity]) -> HashMap<ProcessIdentity, u64> {
        all.iter().filter_map(|&who| Some((who, self.memory(who)?))).collect()
    }

    /// So many victims will be begun. Before the first mark is given.
    fn expect(&mut self, _victims: usize) {}

    /// A mark that no process bears but those that are marked in this run. `None`: there are none.
    fn new_mark(&mut self) -> Option<Mark> {
        None
    }

    /// Marks the held process. Returns its mark before, by which it is unmarked. `None`: it can't be marked.
    fn mark(&mut self, _held: &Self::Held, _mark: Mark) -> Option<Mark> {
        None
    }

    /// What bears this mark is let be: it is not among the [`marked`](Self::marked) from now on. `before`: what it bore before.
    fn withdraw(&mut self, _mark: Mark, _before: Option<Mark>) {}

    /// Unmarks what inherited a mark that was withdrawn, and lives on. Once, when all is done.
    fn unmark_heirs(&mut self) {}

    /// Every process that was started since the first mark and bears one, zombies left out.
    ///
    /// # Errors
    /// The process table can't be read.
    fn marked(&mut self) -> Result<Vec<(Mark, Process)>, KernelError> {
        Ok(Vec::new())
    }

    /// Sends a signal to the held process.
    ///
    /// # Errors
    /// Not permitted.
    fn signal(&mut self, held: &Self::Held, signal: Signal) -> Result<Delivery, KernelError>;

    /// Whether the held process has exited; a zombie has.
    ///
    /// # Errors
    /// The hold can't be asked.
    fn exited(&mut self, held: &Self::Held) -> Result<bool, KernelError>;

    /// What the process that has this PID now is in, and who is on its list of children. Whose that was is known only if the process is held
    /// and has not exited *afterwards*. The list may miss a child that was there (the kernel's files are not atomic): ask until it stops
    /// changing; [`Listing::Whole`] also asks whether it is certain that there is none. `None`: it is gone.
    ///
    /// # Errors
    /// The process exists and its children can't be read.
    fn family(&mut self, of: Pid, listing: Listing) -> Result<Option<Family>, KernelError>;

    /// The process that has this PID now, with argv and memory. `None`: there is none, it is a zombie, or hidden.
    ///
    /// # Errors
    /// The process can't be read.
    fn look(&mut self, pid: Pid) -> Result<Option<Process>, KernelError>;

    /// Every process of the machine whose session (`setsid`) or process group is led, or was led, by one of these PIDs; zombies left out;
    /// with argv and memory.
    ///
    /// # Errors
    /// The process table can't be read.
    fn led_by(&mut self, leaders: &[Pid]) -> Result<Vec<Process>, KernelError>;
}
