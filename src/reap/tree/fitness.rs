//! What of a tree is let be: members that are not what was judged any more, and what is below them.

use super::{Member, Tree};
use crate::domain::process::{ProcessIdentity, Said};
use crate::domain::verdict::Protection;
use crate::domain::warrant::Limits;
use crate::reap::kernel::{Kernel, KernelError, Reread};

/// A member, as it was read again before a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::reap) enum Fitness {
    /// It may be signalled.
    Fit,
    /// It has exited.
    Gone,
    /// It must not be signalled.
    Changed(Protection),
}

impl<H> Tree<H> {
    /// Reads a member again, as must be done directly before each signal: it may have become another user's, or the worker something else
    /// than a worker, by `exec`. Before its first signal all is compared that it said when it was judged.
    pub(in crate::reap) fn fitness<K: Kernel<Held = H>>(
        &mut self,
        index: usize,
        kernel: &mut K,
        limits: &Limits,
    ) -> Result<Fitness, KernelError> {
        let is_root = self.is_root(index);
        let Some(member) = self.members.get_mut(index) else { return Ok(Fitness::Gone) };
        let is_first = !member.is_signalled();
        // The marks before the argv: they can't be read of what is exiting, and its argv says whether it was.
        let marks = if is_first { kernel.session_marks(&member.held)? } else { None };
        let what = if is_root || is_first { Reread::UserAndArgv } else { Reread::User };
        let Some(process) = kernel.reread(&member.held, what)? else {
            member.has_exited(kernel);
            return Ok(Fitness::Gone);
        };
        // In the last moments of an exit a process has neither memory nor argv, and is what it was.
        let is_exiting = process.argv.is_none() && process.rss_bytes == Some(0);
        let protection =
            if is_root && !is_exiting { limits.protects_worker(&process) } else { limits.protects(&process) };
        let has_changed = || {
            let now = Said { argv: process.argv.clone(), marks };
            let member = self.members.get(index)?;
            // What was found in the tree may have been held between its fork and its exec.
            let is_judged = is_root || self.said.contains_key(&member.identity);
            let changed = limits.has_changed(process.identity.pid, &member.said, &now, is_judged);
            changed.filter(|_| !is_exiting)
        };
        let protection = protection.or_else(|| if is_first { has_changed() } else { None });
        Ok(protection.map_or(Fitness::Fit, Fitness::Changed))
    }

    /// A member is let be, and with it what is below it: that is of what it became. Returns the places of all that are. None of them bears a mark
    /// of the tree any more, and the others get another one.
    pub(in crate::reap) fn spare<K: Kernel<Held = H>>(
        &mut self,
        index: usize,
        kernel: &mut K,
        why: Box<str>,
    ) -> Vec<usize> {
        let mut spared = vec![index];
        let Some(member) = self.members.get_mut(index) else { return spared };
        member.spare(why);
        // Without its worker the whole tree is let be.
        if self.is_root(index) {
            return spared;
        }
        let left = self.members.iter().enumerate().filter(|(_, member)| member.is_left());
        let mut parent = |member: &Member<H>| kernel.reread(&member.held, Reread::User).ok()??.parent;
        let parents: Vec<_> = left.map(|(index, member)| (index, parent(member))).collect();
        let mut at = 0;
        while let Some(above) = spared.get(at).and_then(|at| self.members.get(*at)) {
            let above = above.identity.pid;
            for (index, _) in parents.iter().filter(|(_, parent)| *parent == Some(above)) {
                let Some(member) = self.members.get_mut(*index) else { continue };
                let pid = member.identity.pid;
                member.spare(Protection::BelowChanged { pid, parent: above }.to_string().into());
                spared.push(*index);
            }
            at += 1;
        }
        if self.is_marked() {
            self.unmark(kernel);
            self.mark_members(kernel);
        }
        spared
    }

    /// Whether this is a member that is not to be ended any more.
    pub(in crate::reap) fn has_spared(&self, identity: &ProcessIdentity) -> bool {
        self.members.iter().any(|member| member.identity == *identity && member.spared().is_some())
    }

    /// The members from this place on that are to be ended, and are other workers than the one that the tree goes with or bear the mark of
    /// another session.
    pub(in crate::reap) fn other_workers(&self, from: usize, limits: &Limits) -> Vec<usize> {
        let left = (from..self.members.len()).filter(|index| self.members[*index].is_left());
        left.filter(|index| self.has_another_worker_at(*index, limits)).collect()
    }

    /// Whether one of the members from this place on was started at these ticks or later, and is another program than each before it.
    pub(in crate::reap) fn has_another_program(&self, from: usize, since: u64) -> bool {
        let is_one = |index: usize| {
            let member = &self.members[index];
            let is_known = self.is_root(index) || self.said.contains_key(&member.identity);
            let argv = &member.said.argv;
            let is_news = !is_known && member.identity.start_ticks >= since && argv.is_some();
            is_news && self.members[..index].iter().all(|other| other.said.argv != *argv)
        };
        (from..self.members.len()).any(is_one)
    }

    /// The same of one, or whether it bears the mark of another session than what was judged. What has the argv of a member, with a key in it, is a
    /// fork of that.
    fn has_another_worker_at(&self, index: usize, limits: &Limits) -> bool {
        let Some(member) = self.members.get(index) else { return false };
        let is_judged = self.is_root(index) || self.said.contains_key(&member.identity);
        let root = self.root().and_then(|root| root.said.marks.as_ref());
        let own = || self.said.values().filter_map(|said| said.marks.as_ref()).chain(root);
        let is_foreign = |marks: &Vec<_>| !marks.is_empty() && !own().any(|own| own == marks);
        if !is_judged && member.said.marks.as_ref().is_some_and(is_foreign) {
            return true;
        }
        let Some(argv) = member.said.argv.as_deref() else { return false };
        let others = self.members.iter().take(index);
        let is_fork = || others.into_iter().any(|member| member.said.argv.as_deref() == Some(argv));
        limits.is_another_worker(argv) && !(limits.has_key(argv) && is_fork())
    }

    /// Something that may bear its mark is another's.
    pub(in crate::reap) fn lets_heir_be(&mut self) {
        self.lets_heirs_be = true;
    }

    /// Whether anything of it lives on, or may.
    pub(in crate::reap) fn lives_on(&self) -> bool {
        let is_alive = |member: &Member<H>| !member.exited();
        self.lets_heirs_be || !self.protected.is_empty() || self.members.iter().any(is_alive)
    }
}
