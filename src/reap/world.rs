//! All that a teardown touches, as one value: the operating system and the memory of acts.

use std::collections::HashMap;
use std::io;

use super::kernel::{Delivery, Family, Kernel, KernelError, Listing, Mark, Reread, Signal};
use super::outcome::{Ending, Step};
use super::record::{Case, Record};
use crate::domain::ids::Pid;
use crate::domain::ledger::Unfinished;
use crate::domain::process::{Mark as SessionMark, Process, ProcessIdentity};
use crate::domain::time::Awake;
use crate::domain::warrant::Warrant;

/// The operating system and the memory of acts.
pub trait World: Kernel + Record {}

impl<T: Kernel + Record> World for T {}

/// A world that is put together from its two halves.
#[derive(Debug)]
pub struct Hands<'a, K, R> {
    /// The operating system.
    pub kernel: &'a mut K,
    /// The memory of acts.
    pub record: &'a mut R,
}

impl<K: Kernel, R> Kernel for Hands<'_, K, R> {
    type Held = K::Held;

    fn now(&self) -> Awake {
        self.kernel.now()
    }

    fn ticks(&self) -> u64 {
        self.kernel.ticks()
    }

    fn ticks_at(&self, at: Awake) -> u64 {
        self.kernel.ticks_at(at)
    }

    fn hold(&mut self, who: ProcessIdentity) -> Result<Option<(K::Held, Process)>, KernelError> {
        self.kernel.hold(who)
    }

    fn reread(&mut self, held: &K::Held, what: Reread) -> Result<Option<Process>, KernelError> {
        self.kernel.reread(held, what)
    }

    fn session_marks(&mut self, held: &K::Held) -> Result<Option<Vec<SessionMark>>, KernelError> {
        self.kernel.session_marks(held)
    }

    fn memory(&mut self, who: ProcessIdentity) -> Option<u64> {
        self.kernel.memory(who)
    }

    fn memory_of_all(&mut self, all: &[ProcessIdentity]) -> HashMap<ProcessIdentity, u64> {
        self.kernel.memory_of_all(all)
    }

    fn expect(&mut self, victims: usize) {
        self.kernel.expect(victims);
    }

    fn new_mark(&mut self) -> Option<Mark> {
        self.kernel.new_mark()
    }

    fn mark(&mut self, held: &K::Held, mark: Mark) -> Option<Mark> {
        self.kernel.mark(held, mark)
    }

    fn withdraw(&mut self, mark: Mark, before: Option<Mark>) {
        self.kernel.withdraw(mark, before);
    }

    fn unmark_heirs(&mut self) {
        self.kernel.unmark_heirs();
    }

    fn marked(&mut self) -> Result<Vec<(Mark, Process)>, KernelError> {
        self.kernel.marked()
    }

    fn signal(&mut self, held: &K::Held, signal: Signal) -> Result<Delivery, KernelError> {
        self.kernel.signal(held, signal)
    }

    fn exited(&mut self, held: &K::Held) -> Result<bool, KernelError> {
        self.kernel.exited(held)
    }

    fn family(&mut self, of: Pid, listing: Listing) -> Result<Option<Family>, KernelError> {
        self.kernel.family(of, listing)
    }

    fn look(&mut self, pid: Pid) -> Result<Option<Process>, KernelError> {
        self.kernel.look(pid)
    }

    fn led_by(&mut self, leaders: &[Pid]) -> Result<Vec<Process>, KernelError> {
        self.kernel.led_by(leaders)
    }
}

impl<K, R: Record> Record for Hands<'_, K, R> {
    fn forbids(&mut self, warrant: &Warrant) -> Option<Box<str>> {
        self.record.forbids(warrant)
    }

    fn announce(&mut self, case: &Case, step: Step, on: Option<ProcessIdentity>) -> io::Result<()> {
        self.record.announce(case, step, on)
    }

    fn conclude(&mut self, case: &Case, ending: &Ending) {
        self.record.conclude(case, ending);
    }

    fn begun(&mut self, tree: &Unfinished) -> io::Result<()> {
        self.record.begun(tree)
    }

    fn finished(&mut self, worker: &ProcessIdentity) {
        self.record.finished(worker);
    }
}
