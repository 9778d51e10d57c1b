//! One process of a tree, held by a pidfd.

use crate::domain::process::{Process, ProcessIdentity, Said};
use crate::reap::kernel::{Kernel, KernelError, Mark};
use crate::reap::outcome::Step;

/// Whether a process is still to be ended.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Standing {
    /// It is.
    Left,
    /// It has exited.
    Exited,
    /// It changed into something that must not be signalled.
    Spared(Box<str>),
}

/// One process of the tree.
#[derive(Debug)]
pub(in crate::reap) struct Member<H> {
    pub(in crate::reap) identity: ProcessIdentity,
    pub(in crate::reap) held: H,
    standing: Standing,
    /// What it said when it was judged, or else when it was held.
    pub(super) said: Said,
    /// The signal that was announced last.
    pub(in crate::reap) announced: Option<Step>,
    /// It was sent SIGTERM, or something stronger.
    pub(in crate::reap) termed: bool,
    pub(in crate::reap) stopped: bool,
    pub(in crate::reap) killed: bool,
    /// Its mark before it was marked.
    pub(super) unmarked: Option<Mark>,
    /// As it was before the first act.
    pub(super) memory: u64,
    /// Leads a process group or a session of its own: whatever else is in it came from here.
    pub(super) leads: bool,
    /// As it was last seen.
    pub(super) group: u32,
    pub(super) session: u32,
    /// Start ticks of what would have been started when it was found to have exited.
    pub(super) there_until: u64,
}

impl<H> Member<H> {
    pub(super) fn new(held: H, process: &Process, said: Said, memory: u64) -> Self {
        let mut member = Self {
            identity: process.identity,
            held,
            standing: Standing::Left,
            said,
            announced: None,
            termed: false,
            stopped: false,
            killed: false,
            unmarked: None,
            memory,
            leads: false,
            group: 0,
            session: 0,
            there_until: u64::MAX,
        };
        member.is_in(process.group, process.session);
        member
    }

    /// It may have left its group for one of its own since.
    pub(super) fn is_in(&mut self, group: u32, session: u32) {
        let pid = self.identity.pid.get();
        (self.group, self.session) = (group, session);
        self.leads |= group == pid || session == pid;
    }

    /// Whether it had a signal in this run.
    pub(super) fn is_signalled(&self) -> bool {
        self.termed || self.stopped || self.killed
    }

    /// Whether it is still to be ended.
    pub(in crate::reap) fn is_left(&self) -> bool {
        self.standing == Standing::Left
    }

    pub(super) fn exited(&self) -> bool {
        self.standing == Standing::Exited
    }

    /// Whether it has exited by now, or is spared.
    pub(super) fn is_over<K: Kernel<Held = H>>(&mut self, kernel: &mut K) -> Result<bool, KernelError> {
        if self.is_left() && kernel.exited(&self.held)? {
            self.has_exited(kernel);
        }
        Ok(!self.is_left())
    }

    /// It was found to have exited.
    pub(in crate::reap) fn has_exited<K: Kernel<Held = H>>(&mut self, kernel: &K) {
        self.standing = Standing::Exited;
        self.there_until = kernel.ticks();
    }

    /// It is not signalled any more.
    pub(in crate::reap) fn spare(&mut self, why: Box<str>) {
        self.standing = Standing::Spared(why);
        // What it leads by now is its own.
        self.leads = false;
    }

    /// Why it is not signalled any more.
    pub(in crate::reap) fn spared(&self) -> Option<&str> {
        match &self.standing {
            Standing::Spared(why) => Some(why),
            Standing::Left | Standing::Exited => None,
        }
    }
}
