//! A worker and all that was seen under it, each held by a pidfd.

mod member;

use crate::domain::ids::Pid;
use crate::domain::process::{Process, ProcessIdentity};
use crate::domain::verdict::Protection;
use crate::domain::warrant::Limits;

use super::kernel::{Kernel, KernelError, Reread};
pub(super) use member::Member;

/// Passes over a growing tree before it is signalled as it is.
pub(super) const PASSES: usize = 16;

/// How carefully a tree is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listing {
    /// For the first time. A listing can miss a live child, so the children of each member are listed twice at least.
    Whole,
    /// What may have been added since: there is another listing before any of it is killed.
    Again,
}

/// A member, as it was read again before a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fitness {
    /// It may be signalled.
    Fit,
    /// It has exited.
    Gone,
    /// It must not be signalled.
    Changed(Protection),
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

    /// Whether this place is the worker's.
    pub(super) fn is_root(&self, index: usize) -> bool {
        self.rooted && index == 0
    }

    pub(super) fn root_is_left(&self) -> bool {
        self.root().is_some_and(Member::is_left)
    }

    /// Whether nothing of it is left to be ended.
    pub(super) fn is_over(&self) -> bool {
        !self.members.iter().any(Member::is_left)
    }

    pub(super) fn identities(&self) -> Vec<ProcessIdentity> {
        self.members.iter().map(|member| member.identity).collect()
    }

    pub(super) fn ended_bytes(&self) -> u64 {
        self.members.iter().filter(|member| member.exited()).map(|member| member.rss_bytes).sum()
    }

    /// The PIDs whose groups and sessions came from this tree.
    pub(super) fn leaders(&self) -> impl Iterator<Item = Pid> {
        self.members.iter().filter(|member| member.leads).map(|member| member.identity.pid)
    }

    /// Whether this process came from the group or session with this number that a member led. The number isn't reused for as long as
    /// a process is in it; what started after the last of those known may be of another family that it leads by now.
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
        for member in &mut self.members {
            member.is_over(kernel)?;
        }
        Ok(())
    }

    /// Reads a member again, as must be done directly before each signal: it may have become another user's, or something else than a
    /// worker, by `exec`.
    pub(super) fn fitness<K: Kernel<Held = H>>(
        &mut self,
        index: usize,
        kernel: &mut K,
        limits: &Limits,
    ) -> Result<Fitness, KernelError> {
        let is_root = self.is_root(index);
        let Some(member) = self.members.get_mut(index) else { return Ok(Fitness::Gone) };
        let what = if is_root { Reread::UserAndArgv } else { Reread::User };
        let Some(process) = kernel.reread(&member.held, what)? else {
            member.has_exited(kernel);
            return Ok(Fitness::Gone);
        };
        // In the last moments of an exit a process has neither memory nor argv, and is what it was.
        let is_exiting = process.argv.is_none() && process.rss_bytes == Some(0);
        let protection =
            if is_root && !is_exiting { limits.protects_worker(&process) } else { limits.protects(&process) };
        Ok(protection.map_or(Fitness::Fit, Fitness::Changed))
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

    /// Lists what is under the tree, again and again until nothing new is found. What is protected is left out, and so is all under it.
    pub(super) fn list<K: Kernel<Held = H>>(
        &mut self,
        kernel: &mut K,
        limits: &Limits,
        listing: Listing,
    ) -> Result<(), KernelError> {
        let least = if listing == Listing::Again { 1 } else { 2 };
        for pass in 1..=PASSES {
            let grew = self.pass(kernel, limits)?;
            if (!grew && pass >= least) || self.is_over() {
                break;
            }
        }
        Ok(())
    }

    /// Looks once at the children of the worker, while it is alive; if one is new, at the whole tree. A full listing at every look would be
    /// a tree's worth of work, and of a thousand trees more than a machine can do.
    pub(super) fn look_at_children<K: Kernel<Held = H>>(
        &mut self,
        kernel: &mut K,
        limits: &Limits,
    ) -> Result<(), KernelError> {
        let grew = self.visit(0, kernel, limits)?;
        if grew { self.list(kernel, limits, Listing::Whole) } else { Ok(()) }
    }

    fn pass<K: Kernel<Held = H>>(&mut self, kernel: &mut K, limits: &Limits) -> Result<bool, KernelError> {
        let mut grew = false;
        let mut index = 0;
        // Also those that are added meanwhile.
        while self.members.get(index).is_some() {
            grew |= self.visit(index, kernel, limits)?;
            index += 1;
        }
        Ok(grew)
    }

    /// Adds the children of one member that are not known yet, and says whether there were any.
    pub(super) fn visit<K: Kernel<Held = H>>(
        &mut self,
        index: usize,
        kernel: &mut K,
        limits: &Limits,
    ) -> Result<bool, KernelError> {
        let Some(member) = self.members.get_mut(index).filter(|member| member.is_left()) else {
            return Ok(false);
        };
        let parent = member.identity.pid;
        let family = kernel.family(parent)?;
        // What was read is this process's only if it was still there afterwards.
        if member.is_over(kernel)? {
            return Ok(false);
        }
        let Some(family) = family else { return Ok(false) };
        member.is_in(family.group, family.session);
        let mut grew = false;
        for pid in family.children {
            // Still held, so still the same: there is nothing to look at.
            if self.holds(pid, kernel)? {
                continue;
            }
            let found = kernel.look(pid)?.filter(|child| child.parent == Some(parent));
            let Some(child) = found.filter(|child| limits.protects(child).is_none()) else { continue };
            // As above: of whom it is a child is known only now.
            let Some(member) = self.members.get_mut(index) else { break };
            if member.is_over(kernel)? {
                break;
            }
            grew |= self.add(kernel, limits, child.identity)?;
        }
        Ok(grew)
    }

    /// Whether the process with this PID is a member that has not exited.
    fn holds<K: Kernel<Held = H>>(&mut self, pid: Pid, kernel: &mut K) -> Result<bool, KernelError> {
        for member in self.members.iter().filter(|member| member.identity.pid == pid && !member.exited()) {
            if !kernel.exited(&member.held)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
