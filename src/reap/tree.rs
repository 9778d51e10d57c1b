//! A worker and all that was seen under it, each held by a pidfd.

use crate::domain::ids::Pid;
use crate::domain::process::{Process, ProcessIdentity};
use crate::domain::warrant::Limits;

use super::kernel::{Delivery, Kernel, KernelError, Signal};

/// Passes over a growing tree before it is signalled as it is. A listing can miss a live child, so one more pass than needed is always made.
const PASSES: usize = 16;

/// One process of the tree.
#[derive(Debug)]
pub(super) struct Member<H> {
    pub(super) identity: ProcessIdentity,
    pub(super) held: H,
    pub(super) exited: bool,
    pub(super) termed: bool,
    rss_bytes: u64,
    /// Leads a process group or a session of its own: whatever else is in it came from here.
    leads: bool,
    /// As it was last seen.
    group: u32,
    session: u32,
    /// Start ticks of what would have been started when it was found to have exited.
    there_until: u64,
}

impl<H> Member<H> {
    pub(super) fn new(held: H, process: &Process) -> Self {
        let mut member = Self {
            identity: process.identity,
            held,
            exited: false,
            termed: false,
            rss_bytes: process.rss_bytes.unwrap_or(0),
            leads: false,
            group: 0,
            session: 0,
            there_until: u64::MAX,
        };
        member.is_seen(process);
        member
    }

    /// It may have left its group for one of its own since.
    fn is_seen(&mut self, process: &Process) {
        let pid = process.identity.pid.get();
        (self.group, self.session) = (process.group, process.session);
        self.leads |= process.group == pid || process.session == pid;
    }

    /// It was found to have exited.
    pub(super) fn has_exited<K: Kernel<Held = H>>(&mut self, kernel: &K) {
        self.exited = true;
        self.there_until = kernel.ticks();
    }
}

/// The worker first, if it was there, then its descendants.
#[derive(Debug)]
pub(super) struct Tree<H> {
    pub(super) members: Vec<Member<H>>,
    /// The first member is the worker itself.
    rooted: bool,
}

impl<H> Default for Tree<H> {
    fn default() -> Self {
        Self { members: Vec::new(), rooted: false }
    }
}

impl<H> Tree<H> {
    /// Puts the worker at the root.
    pub(super) fn plant(&mut self, held: H, process: &Process) {
        self.members.insert(0, Member::new(held, process));
        self.rooted = true;
    }

    pub(super) fn root(&self) -> Option<&Member<H>> {
        self.members.first().filter(|_| self.rooted)
    }

    pub(super) fn root_is_alive(&self) -> bool {
        self.root().is_some_and(|root| !root.exited)
    }

    pub(super) fn is_dead(&self) -> bool {
        self.members.iter().all(|member| member.exited)
    }

    pub(super) fn identities(&self) -> Vec<ProcessIdentity> {
        self.members.iter().map(|member| member.identity).collect()
    }

    pub(super) fn ended_bytes(&self) -> u64 {
        self.members.iter().filter(|member| member.exited).map(|member| member.rss_bytes).sum()
    }

    /// The PIDs whose groups and sessions came from this tree.
    pub(super) fn leaders(&self) -> impl Iterator<Item = Pid> {
        self.members.iter().filter(|member| member.leads).map(|member| member.identity.pid)
    }

    /// Whether this process came from the group or session with this number that a member led. The number is nobody else's for as long as
    /// anybody is in it; what started after the last of those known may be of another family that it leads by now.
    pub(super) fn led(&self, number: u32, process: &Process) -> bool {
        let is_led = self.members.iter().any(|member| member.leads && member.identity.pid.get() == number);
        let in_it = self.members.iter().filter(|member| [member.group, member.session].contains(&number));
        let until = in_it.map(|member| member.there_until).max();
        is_led && until.is_some_and(|until| process.identity.start_ticks <= until)
    }

    fn knows(&self, identity: &ProcessIdentity) -> bool {
        self.members.iter().any(|member| member.identity == *identity)
    }

    /// Asks who has exited since.
    pub(super) fn refresh<K: Kernel<Held = H>>(&mut self, kernel: &mut K) -> Result<(), KernelError> {
        for member in self.members.iter_mut().filter(|member| !member.exited) {
            if kernel.exited(&member.held)? {
                member.has_exited(kernel);
            }
        }
        Ok(())
    }

    /// Takes hold of a process, unless it is known, gone or protected.
    pub(super) fn add<K: Kernel<Held = H>>(
        &mut self,
        kernel: &mut K,
        limits: &Limits,
        identity: ProcessIdentity,
    ) -> Result<bool, KernelError> {
        if self.knows(&identity) {
            return Ok(false);
        }
        match kernel.hold(identity)? {
            Some((held, process)) if limits.protects(&process).is_none() => {
                self.members.push(Member::new(held, &process));
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Lists what is under the tree, again and again until nothing new turns up. What is protected is left out, and so is all under it.
    pub(super) fn list<K: Kernel<Held = H>>(
        &mut self,
        kernel: &mut K,
        limits: &Limits,
        frozen: bool,
    ) -> Result<(), KernelError> {
        let mut quiet = 0;
        for _ in 0..PASSES {
            let grew = self.pass(kernel, limits, frozen)?;
            quiet = if grew { 0 } else { quiet + 1 };
            if quiet == 2 || self.is_dead() {
                break;
            }
        }
        Ok(())
    }

    /// Looks once at the children of the worker; if one is new, at the whole tree. A full listing at every look would be a tree's worth of
    /// work, and of a thousand trees more than a machine can do.
    pub(super) fn glance<K: Kernel<Held = H>>(
        &mut self,
        kernel: &mut K,
        limits: &Limits,
    ) -> Result<(), KernelError> {
        let grew = self.root_is_alive() && self.visit(0, kernel, limits, false)?;
        if grew { self.list(kernel, limits, false) } else { Ok(()) }
    }

    fn pass<K: Kernel<Held = H>>(
        &mut self,
        kernel: &mut K,
        limits: &Limits,
        frozen: bool,
    ) -> Result<bool, KernelError> {
        let mut grew = false;
        let mut index = 0;
        while index < self.members.len() {
            grew |= self.visit(index, kernel, limits, frozen)?;
            index += 1;
        }
        Ok(grew)
    }

    /// Adds the children of one member that are not known yet, and says whether there were any.
    fn visit<K: Kernel<Held = H>>(
        &mut self,
        index: usize,
        kernel: &mut K,
        limits: &Limits,
        frozen: bool,
    ) -> Result<bool, KernelError> {
        let Some(member) = self.members.get_mut(index).filter(|member| !member.exited) else {
            return Ok(false);
        };
        if frozen && kernel.signal(&member.held, Signal::Stop)? == Delivery::Gone {
            member.has_exited(kernel);
            return Ok(false);
        }
        let parent = member.identity;
        let children = kernel.children(parent)?;
        // The list is this process's only if it was still there when the list had been read.
        if kernel.exited(&member.held)? {
            member.has_exited(kernel);
            return Ok(false);
        }
        let mut grew = false;
        for child in children {
            let is_child = child.parent == Some(parent.pid) && limits.protects(&child).is_none();
            if !is_child {
                continue;
            }
            match self.members.iter_mut().find(|member| member.identity == child.identity) {
                Some(known) => known.is_seen(&child),
                None => grew |= self.add(kernel, limits, child.identity)?,
            }
        }
        Ok(grew)
    }
}
