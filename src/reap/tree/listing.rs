//! Listing what is under a tree, which may grow meanwhile.

use super::Tree;
use crate::domain::ids::Pid;
use crate::domain::warrant::Limits;
use crate::reap::kernel::{Kernel, KernelError, Listing};

/// Passes over a growing tree before it is signalled as it is.
pub(in crate::reap) const PASSES: usize = 16;

/// What a visit to a member has found, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::reap) enum Visit {
    /// It has no children: none can have been missed.
    Childless,
    /// All that was seen is known.
    AllKnown,
    /// The tree grew.
    Grew,
}

impl Visit {
    /// Whether a tree needs no further pass where this is the worst that one has found. Of what has children the first may have missed one.
    pub(in crate::reap) fn settles(self, pass: usize) -> bool {
        self == Self::Childless || (self == Self::AllKnown && pass > 1)
    }
}

impl<H> Tree<H> {
    /// Lists what is under the tree, again and again until nothing new is found. What is protected is left out, and so is all under it.
    pub(in crate::reap) fn list<K: Kernel<Held = H>>(
        &mut self,
        kernel: &mut K,
        limits: &Limits,
        listing: Listing,
    ) -> Result<(), KernelError> {
        for pass in 1..=PASSES {
            let worst = self.pass(kernel, limits, listing)?;
            let is_known = listing == Listing::Again && worst != Visit::Grew;
            if is_known || worst.settles(pass) || self.is_over() {
                break;
            }
        }
        Ok(())
    }

    /// Looks once at the children of the worker, while it is alive; if one is new, at the whole tree. A full listing at every look would be
    /// a tree's worth of work, and of a thousand trees more than a machine can do.
    pub(in crate::reap) fn look_at_children<K: Kernel<Held = H>>(
        &mut self,
        kernel: &mut K,
        limits: &Limits,
    ) -> Result<(), KernelError> {
        match self.visit(0, kernel, limits, Listing::Again)? {
            Visit::Grew => self.list(kernel, limits, Listing::Whole),
            Visit::Childless | Visit::AllKnown => Ok(()),
        }
    }

    /// Visits every member, and returns the worst that was found.
    fn pass<K: Kernel<Held = H>>(
        &mut self,
        kernel: &mut K,
        limits: &Limits,
        listing: Listing,
    ) -> Result<Visit, KernelError> {
        let mut worst = Visit::Childless;
        let mut index = 0;
        // Also those that are added meanwhile.
        while self.members.get(index).is_some() {
            worst = worst.max(self.visit(index, kernel, limits, listing)?);
            index += 1;
        }
        Ok(worst)
    }

    /// Adds the children of one member that are not known yet.
    pub(in crate::reap) fn visit<K: Kernel<Held = H>>(
        &mut self,
        index: usize,
        kernel: &mut K,
        limits: &Limits,
        listing: Listing,
    ) -> Result<Visit, KernelError> {
        let Some(member) = self.members.get_mut(index).filter(|member| member.is_left()) else {
            return Ok(Visit::Childless);
        };
        let parent = member.identity.pid;
        let family = kernel.family(parent, listing)?;
        // What was read is this process's only if it was still there afterwards.
        if member.is_over(kernel)? {
            return Ok(Visit::Childless);
        }
        let Some(family) = family else { return Ok(Visit::AllKnown) };
        member.is_in(family.group, family.session);
        let mut visit = if family.is_childless { Visit::Childless } else { Visit::AllKnown };
        for pid in family.children {
            // Still held, so still the same: there is nothing to look at.
            if self.holds(pid, kernel)? {
                continue;
            }
            let found = kernel.look(pid)?.filter(|child| child.parent == Some(parent));
            let Some(child) = found else { continue };
            // Its parent may have ended while the child was looked at, and then it is another's.
            let Some(member) = self.members.get_mut(index) else { break };
            if member.is_over(kernel)? {
                break;
            }
            match limits.protects(&child) {
                None if self.add(kernel, limits, child.identity)? => visit = Visit::Grew,
                None => {}
                Some(protection) => self.is_protected(child.identity, protection),
            }
        }
        Ok(visit)
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
