//! Listing what is under a tree, which may grow meanwhile.

use super::Tree;
use crate::domain::ids::Pid;
use crate::domain::warrant::Limits;
use crate::reap::kernel::{Kernel, KernelError};

/// Passes over a growing tree before it is signalled as it is.
pub(in crate::reap) const PASSES: usize = 16;

/// How carefully a tree is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::reap) enum Listing {
    /// For the first time. A listing can miss a live child, so the children of each member are listed twice at least.
    Whole,
    /// What may have been added since: there is another listing before any of it is killed.
    Again,
}

impl<H> Tree<H> {
    /// Lists what is under the tree, again and again until nothing new is found. What is protected is left out, and so is all under it.
    pub(in crate::reap) fn list<K: Kernel<Held = H>>(
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
    pub(in crate::reap) fn look_at_children<K: Kernel<Held = H>>(
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
    pub(in crate::reap) fn visit<K: Kernel<Held = H>>(
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
            let Some(child) = found else { continue };
            // Its parent may have ended while the child was looked at, and then it is another's.
            let Some(member) = self.members.get_mut(index) else { break };
            if member.is_over(kernel)? {
                break;
            }
            match limits.protects(&child) {
                None => grew |= self.add(kernel, limits, child.identity)?,
                Some(protection) => self.is_protected(child.identity, protection),
            }
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
