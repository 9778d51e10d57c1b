//! The mark that the members of a tree bear, and pass on to all that they start.

use super::{Member, Tree};
use crate::reap::kernel::{Kernel, Mark};

impl<H> Tree<H> {
    /// Marks its members, so that whatever they start from now on is found.
    pub(in crate::reap) fn mark<K: Kernel<Held = H>>(&mut self, kernel: &mut K) {
        self.since = kernel.ticks();
        self.mark_members(kernel);
    }

    pub(super) fn mark_members<K: Kernel<Held = H>>(&mut self, kernel: &mut K) {
        self.mark = kernel.new_mark();
        let Some(mark) = self.mark else { return };
        for member in self.members.iter_mut().filter(|member| member.is_left()) {
            member.unmarked = kernel.mark(&member.held, mark);
        }
    }

    /// Its mark is also that of another tree, of which something is let be: it gets another one.
    pub(in crate::reap) fn mark_again<K: Kernel<Held = H>>(&mut self, kernel: &mut K, withdrawn: Mark) {
        if !self.bears(withdrawn) {
            return;
        }
        self.mark = kernel.new_mark();
        for member in self.members.iter_mut().filter(|member| member.is_left()) {
            let before = self.mark.and_then(|mark| kernel.mark(&member.held, mark));
            // What it bore before its first mark is given back, if that is ever due.
            member.unmarked = member.unmarked.filter(|_| before.is_some());
        }
    }

    /// It is let be: what bears its mark is not looked for any more.
    pub(in crate::reap) fn unmark<K: Kernel<Held = H>>(&mut self, kernel: &mut K) {
        if let Some(mark) = self.mark.take() {
            kernel.withdraw(mark, self.members.iter().find_map(|member| member.unmarked));
            self.withdrawn = Some(mark);
        }
        for member in self.members.iter_mut().filter(|member| !member.exited()) {
            if let Some(before) = member.unmarked.take() {
                let _ = kernel.mark(&member.held, before);
            }
        }
    }

    /// The mark that it had and that says nothing any more, once.
    pub(in crate::reap) fn take_withdrawn(&mut self) -> Option<Mark> {
        self.withdrawn.take()
    }

    pub(in crate::reap) fn is_marked(&self) -> bool {
        self.mark.is_some()
    }

    /// Whether whatever its members start is found by its mark.
    pub(in crate::reap) fn all_are_marked(&self) -> bool {
        let is_marked = |member: &Member<H>| member.unmarked.is_some() || member.spared().is_some();
        self.is_marked() && self.members.iter().all(is_marked)
    }

    /// Whether this mark says that it came from here.
    pub(in crate::reap) fn bears(&self, mark: Mark) -> bool {
        self.mark == Some(mark)
    }
}
