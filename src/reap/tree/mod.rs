//! A worker and all that was seen under it, each held by a pidfd.

mod fitness;
mod listing;
mod marks;
mod member;

use std::collections::HashMap;

use crate::domain::ids::Pid;
use crate::domain::process::{Process, ProcessIdentity, Said};
use crate::domain::verdict::Protection;
use crate::domain::warrant::Limits;

use super::kernel::{Kernel, KernelError, Mark};
use super::outcome::Survivor;
pub(super) use fitness::Fitness;
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

/// The worker first, if it was there, then its descendants.
#[derive(Debug)]
pub(super) struct Tree<H> {
    pub(super) members: Vec<Member<H>>,
    /// The first member is the worker itself.
    rooted: bool,
    /// The worker's parent.
    pub(super) above: Option<Pid>,
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
    /// What may be taken for its own and isn't, with what ties it to the tree.
    apart: Vec<(ProcessIdentity, &'static str)>,
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
            above: None,
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

    /// Whether this process was started since the first act.
    pub(super) fn is_news(&self, process: ProcessIdentity) -> bool {
        process.start_ticks >= self.since
    }

    /// This process was never seen under a member, and is let be; `tie`: why it is named.
    pub(super) fn sets_apart(&mut self, process: ProcessIdentity, tie: &'static str) {
        if !self.knows(&process) && !self.apart.iter().any(|(known, _)| *known == process) {
            self.apart.push((process, tie));
        }
    }

    /// Puts the worker at the root.
    pub(super) fn plant<K: Kernel<Held = H>>(&mut self, kernel: &mut K, held: H, process: &Process) {
        let root = self.new_member(kernel, held, process);
        self.members.insert(0, root);
        (self.rooted, self.above) = (true, process.parent);
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
        let apart = self.apart.iter().map(|(process, tie)| (*process, (*tie).to_owned()));
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
