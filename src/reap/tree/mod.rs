//! A worker and all that was seen under it, each held by a pidfd.

mod listing;
mod member;

use std::collections::HashMap;

use crate::domain::ids::Pid;
use crate::domain::process::{Process, ProcessIdentity, Said};
use crate::domain::verdict::Protection;
use crate::domain::warrant::Limits;

use super::kernel::{Kernel, KernelError, Mark, Reread};
use super::outcome::Survivor;
pub(super) use listing::{PASSES, Visit};
pub(super) use member::Member;

/// What became of a process that was to be a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is one now.
    Added,
    /// It is one already, or is protected.
    Known,
    /// It has exited.
    Gone,
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
    /// Its worker was asked to end, or its session was closed.
    pub(super) dying: bool,
    /// What its members bear, and pass on to all that they start.
    mark: Option<Mark>,
    /// Start ticks of what would have been started when it was marked, before the first act.
    since: u64,
    /// Something that may bear its mark, and isn't a member, is let be.
    lets_heirs_be: bool,
    /// A mark that it had and that says nothing any more.
    withdrawn: Option<Mark>,
    /// What shares the group or the session of a member and was never seen under it.
    apart: Vec<ProcessIdentity>,
    /// What was read of memory before the first act of all.
    memory: HashMap<ProcessIdentity, u64>,
    /// What those said that were judged.
    said: HashMap<ProcessIdentity, Said>,
    /// What was seen under it and must not be signalled.
    protected: Vec<(ProcessIdentity, Protection)>,
}

impl<H> Default for Tree<H> {
    fn default() -> Self {
        Self {
            members: Vec::new(),
            rooted: false,
            dying: false,
            mark: None,
            since: 0,
            lets_heirs_be: false,
            withdrawn: None,
            apart: Vec::new(),
            memory: HashMap::new(),
            said: HashMap::new(),
            protected: Vec::new(),
        }
    }
}

impl<H> Tree<H> {
    /// Takes what was read of the memory of these processes.
    pub(super) fn measured(&mut self, processes: impl Iterator<Item = (ProcessIdentity, u64)>) {
        self.memory.extend(processes);
    }

    /// Takes what these processes said when they were judged.
    pub(super) fn judged(&mut self, processes: impl Iterator<Item = (ProcessIdentity, Said)>) {
        self.said.extend(processes);
    }

    fn new_member<K: Kernel<Held = H>>(&self, kernel: &mut K, held: H, process: &Process) -> Member<H> {
        let measured = self.memory.get(&process.identity).copied();
        let memory = measured.or_else(|| kernel.memory(process.identity)).or(process.rss_bytes);
        let as_held = || Said { argv: process.argv.clone(), marks: None };
        let mut said = self.said.get(&process.identity).cloned().unwrap_or_else(as_held);
        if said.marks.is_none() {
            // What can't be read isn't compared.
            said.marks = kernel.session_marks(&held).ok().flatten();
        }
        let mut member = Member::new(held, process, said, memory.unwrap_or(0));
        // What is started by a dying worker may call `setsid` and be gone before the next look: a daemon's parent does.
        member.leads |= self.dying;
        if let Some(mark) = self.mark {
            member.unmarked = kernel.mark(&member.held, mark);
        }
        member
    }

    /// Marks its members, so that whatever they start from now on is found.
    pub(super) fn mark<K: Kernel<Held = H>>(&mut self, kernel: &mut K) {
        self.since = kernel.ticks();
        self.mark_members(kernel);
    }

    fn mark_members<K: Kernel<Held = H>>(&mut self, kernel: &mut K) {
        self.mark = kernel.new_mark();
        let Some(mark) = self.mark else { return };
        for member in self.members.iter_mut().filter(|member| member.is_left()) {
            member.unmarked = kernel.mark(&member.held, mark);
        }
    }

    /// A member is let be, and with it what is below it: that is of what it became. Returns the places of all that are. None of them bears a mark
    /// of the tree any more, and the others get another one.
    pub(super) fn spare<K: Kernel<Held = H>>(
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

    /// Something that may bear its mark is another's.
    pub(super) fn lets_heir_be(&mut self) {
        self.lets_heirs_be = true;
    }

    /// Whether anything of it lives on, or may.
    pub(super) fn lives_on(&self) -> bool {
        let is_alive = |member: &Member<H>| !member.exited();
        self.lets_heirs_be || !self.protected.is_empty() || self.members.iter().any(is_alive)
    }

    /// It is let be: what bears its mark is not looked for any more.
    pub(super) fn unmark<K: Kernel<Held = H>>(&mut self, kernel: &mut K) {
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

    /// Whether this process may have been started by a member since the first act. Else it was never seen under any, and is let be.
    pub(super) fn may_have_started(&mut self, process: ProcessIdentity) -> bool {
        let is_news = process.start_ticks >= self.since;
        if !is_news && !self.knows(&process) && !self.apart.contains(&process) {
            self.apart.push(process);
        }
        is_news
    }

    /// The mark that it had and that says nothing any more, once.
    pub(super) fn take_withdrawn(&mut self) -> Option<Mark> {
        self.withdrawn.take()
    }

    /// Its mark is also that of another tree, of which something is let be: it gets another one.
    pub(super) fn mark_again<K: Kernel<Held = H>>(&mut self, kernel: &mut K, withdrawn: Mark) {
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

    pub(super) fn is_marked(&self) -> bool {
        self.mark.is_some()
    }

    /// Whether whatever its members start is found by its mark.
    pub(super) fn all_are_marked(&self) -> bool {
        let is_marked = |member: &Member<H>| member.unmarked.is_some() || member.spared().is_some();
        self.is_marked() && self.members.iter().all(is_marked)
    }

    /// Whether this mark says that it came from here.
    pub(super) fn bears(&self, mark: Mark) -> bool {
        self.mark == Some(mark)
    }

    /// Puts the worker at the root.
    pub(super) fn plant<K: Kernel<Held = H>>(&mut self, kernel: &mut K, held: H, process: &Process) {
        let root = self.new_member(kernel, held, process);
        self.members.insert(0, root);
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

    /// What is left to be ended.
    pub(super) fn left(&self) -> impl Iterator<Item = ProcessIdentity> {
        self.members.iter().filter(|member| member.is_left()).map(|member| member.identity)
    }

    pub(super) fn identities(&self) -> Vec<ProcessIdentity> {
        self.members.iter().map(|member| member.identity).collect()
    }

    pub(super) fn ended_bytes(&self) -> u64 {
        self.members.iter().filter(|member| member.exited()).map(|member| member.memory).sum()
    }

    /// The PIDs whose groups and sessions came from this tree.
    pub(super) fn leaders(&self) -> impl Iterator<Item = Pid> {
        self.members.iter().filter(|member| member.leads).map(|member| member.identity.pid)
    }

    /// Whether this process came from the group or session with this number that a member led. The number isn't reused for as long as
    /// a process is in it; what started after the last of those known may be of another family that it leads by now.
    pub(super) fn led(&self, number: u32, process: &Process) -> bool {
        let is_led = self.members.iter().any(|member| member.leads && member.identity.pid.get() == number);
        let in_it = |member: &&Member<H>| {
            member.identity.pid.get() == number || [member.group, member.session].contains(&number)
        };
        let until = self.members.iter().filter(in_it).map(|member| member.there_until).max();
        is_led && until.is_some_and(|until| process.identity.start_ticks <= until)
    }

    pub(super) fn knows(&self, identity: &ProcessIdentity) -> bool {
        self.members.iter().any(|member| member.identity == *identity)
    }

    /// Whether a member had this argv when it was held.
    pub(super) fn has_said(&self, argv: &str) -> bool {
        self.members.iter().any(|member| member.said.argv.as_deref() == Some(argv))
    }

    /// Whether one of the members from this place on is another worker than the one that it goes with, or bears the mark of another session.
    pub(super) fn has_another_worker(&self, from: usize, limits: &Limits) -> bool {
        (from..self.members.len()).any(|index| self.has_another_worker_at(index, limits))
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

    /// Whether this is a member that is not to be ended any more.
    pub(super) fn has_spared(&self, identity: &ProcessIdentity) -> bool {
        self.members.iter().any(|member| member.identity == *identity && member.spared().is_some())
    }

    fn is_protected(&mut self, process: ProcessIdentity, protection: Protection) {
        if !self.protected.iter().any(|(known, _)| *known == process) {
            self.protected.push((process, protection));
        }
    }

    /// What of the tree is alive, with the reason: spared members, what must not be signalled, and what else is left.
    pub(super) fn survivors<K: Kernel<Held = H>>(&mut self, kernel: &mut K, left: &str) -> Vec<Survivor> {
        let mut survivors = Vec::new();
        for member in &self.members {
            // What can't be asked is not gone.
            if !member.exited() && !kernel.exited(&member.held).unwrap_or(false) {
                let why = member.spared().unwrap_or(left).into();
                survivors.push(Survivor { process: member.identity, why });
            }
        }
        let protected = self.protected.iter().map(|(process, why)| (*process, why.to_string()));
        let apart = "it shares a process session or group with its worker, below which it was never seen";
        let apart = self.apart.iter().map(|process| (*process, apart.to_owned()));
        for (process, why) in protected.chain(apart) {
            let there = kernel.look(process.pid).unwrap_or_default();
            if there.is_some_and(|there| there.identity == process) {
                survivors.push(Survivor { process, why: why.into() });
            }
        }
        survivors
    }

    /// Asks who has exited since.
    pub(super) fn refresh<K: Kernel<Held = H>>(&mut self, kernel: &mut K) -> Result<(), KernelError> {
        for member in &mut self.members {
            member.is_over(kernel)?;
        }
        Ok(())
    }

    /// Reads a member again, as must be done directly before each signal: it may have become another user's, or the worker something else
    /// than a worker, by `exec`. Before its first signal all is compared that it said when it was judged.
    pub(super) fn fitness<K: Kernel<Held = H>>(
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

    /// Takes hold of a process, unless it is known, gone or protected. Returns whether it was added.
    pub(super) fn add<K: Kernel<Held = H>>(
        &mut self,
        kernel: &mut K,
        limits: &Limits,
        identity: ProcessIdentity,
    ) -> Result<bool, KernelError> {
        Ok(self.take(kernel, limits, identity)? == Taken::Added)
    }

    /// The same; returns what became of it.
    pub(super) fn take<K: Kernel<Held = H>>(
        &mut self,
        kernel: &mut K,
        limits: &Limits,
        identity: ProcessIdentity,
    ) -> Result<Taken, KernelError> {
        if self.knows(&identity) {
            return Ok(Taken::Known);
        }
        match kernel.hold(identity)? {
            Some((held, process)) => match limits.protects(&process) {
                None => {
                    let member = self.new_member(kernel, held, &process);
                    self.members.push(member);
                    Ok(Taken::Added)
                }
                Some(protection) => {
                    self.is_protected(process.identity, protection);
                    Ok(Taken::Known)
                }
            },
            None => Ok(Taken::Gone),
        }
    }
}
