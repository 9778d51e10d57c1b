//! A stage for the teardown: actors instead of processes, a clock that is moved, and one list of everything that is done or written down.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::rc::Rc;
use std::time::Duration;

use gateway_reaper::domain::ids::{GatewayName, Pid};
use gateway_reaper::domain::ledger::Unfinished;
use gateway_reaper::domain::process::{Mark as SessionMark, Process, ProcessIdentity};
use gateway_reaper::domain::time::Awake;
use gateway_reaper::domain::warrant::Warrant;
use gateway_reaper::reap::kernel::{Delivery, Family, Kernel, KernelError, Listing, Mark, Reread, Signal};
use gateway_reaper::reap::outcome::{Ending, Step};
use gateway_reaper::reap::record::{Case, Record};

/// What was done and written down, in order.
pub(crate) type Log = Rc<RefCell<Vec<String>>>;

/// How an actor takes signals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Dies of SIGTERM.
    Obedient,
    /// Dies of SIGKILL alone.
    Deaf,
    /// Dies of nothing, as in uninterruptible sleep.
    Stuck,
}

/// One process.
#[derive(Debug, Clone)]
pub(crate) struct Actor {
    pub(crate) process: Process,
    pub(crate) manner: Manner,
    pub(crate) alive: bool,
    /// What it bears, and passes on.
    pub(crate) mark: Option<Mark>,
    /// Starts this one when a signal comes, whatever that does to itself.
    pub(crate) forks: Option<u32>,
}

/// The system.
pub(crate) struct FakeKernel {
    pub(crate) now: Awake,
    /// What writing took so far.
    pub(crate) lag: Rc<Cell<Duration>>,
    /// What the start ticks of a process started now would be; all processes of the play have less.
    pub(crate) ticks: u64,
    pub(crate) actors: BTreeMap<u32, Actor>,
    /// Those who can't be held, can't be asked for their children, or can't be signalled.
    pub(crate) unholdable: BTreeSet<u32>,
    pub(crate) unlistable: BTreeSet<u32>,
    /// Those who end as their children are about to be listed, and whose number's next holder has this child.
    pub(crate) outlived: BTreeMap<u32, Actor>,
    /// Who is listed under somebody, and has another parent by the time it is looked at.
    pub(crate) mislisted: BTreeMap<u32, u32>,
    /// Those whose children are missed by so many listings.
    pub(crate) overlooked: BTreeMap<u32, usize>,
    pub(crate) unsignallable: BTreeSet<u32>,
    /// Those for whom SIGKILL alone is refused.
    pub(crate) unkillable: BTreeSet<u32>,
    /// Those whose end can't be told.
    pub(crate) unaskable: BTreeSet<u32>,
    /// Once the first is gone, the second's share of memory doubles.
    pub(crate) shares: Option<(u32, u32)>,
    /// Becomes root's when it is stopped.
    pub(crate) seizes: Option<u32>,
    pub(crate) blind: bool,
    /// The session that each inherited by its mark, where gateways give marks.
    pub(crate) sessions: Option<BTreeMap<u32, &'static str>>,
    /// How the system refuses.
    pub(crate) refusal: io::ErrorKind,
    pub(crate) searched: usize,
    /// How many marks there are.
    pub(crate) free_marks: u16,
    /// So many victims get the same mark.
    pub(crate) sharing: u16,
    /// Who forks at a signal does so at these.
    pub(crate) forks_at: fn(Signal) -> bool,
    pub(crate) withdrawn: Vec<Mark>,
    /// It was asked to unmark what inherited those.
    pub(crate) unmarked_heirs: bool,
    marks: u16,
    /// How often it was searched for marks.
    pub(crate) searched_for_marks: usize,
    pub(crate) looked: usize,
    pub(crate) listed: usize,
    /// Those whom actors that fork will start.
    pub(crate) unborn: BTreeMap<u32, Actor>,
    /// Who gets the number of a process that ends.
    pub(crate) heirs: BTreeMap<u32, Actor>,
    log: Log,
}

/// Start ticks of what is started while a play goes on.
pub(crate) const NOW: u64 = 1_000_000;

impl FakeKernel {
    pub(crate) fn new(actors: BTreeMap<u32, Actor>, log: &Log) -> Self {
        Self {
            now: Awake::from_nanos(1_000_000_000),
            lag: Rc::default(),
            ticks: NOW,
            actors,
            unholdable: BTreeSet::new(),
            unlistable: BTreeSet::new(),
            outlived: BTreeMap::new(),
            mislisted: BTreeMap::new(),
            overlooked: BTreeMap::new(),
            unsignallable: BTreeSet::new(),
            unkillable: BTreeSet::new(),
            unaskable: BTreeSet::new(),
            shares: None,
            seizes: None,
            blind: false,
            sessions: None,
            refusal: io::ErrorKind::PermissionDenied,
            searched: 0,
            free_marks: u16::MAX,
            sharing: 1,
            forks_at: |_| true,
            withdrawn: Vec::new(),
            unmarked_heirs: false,
            marks: 0,
            searched_for_marks: 0,
            looked: 0,
            listed: 0,
            unborn: BTreeMap::new(),
            heirs: BTreeMap::new(),
            log: Rc::clone(log),
        }
    }

    pub(crate) fn is_alive(&self, pid: u32) -> bool {
        self.actors.get(&pid).is_some_and(|actor| actor.alive)
    }

    pub(crate) fn is_there(&self, who: &ProcessIdentity) -> bool {
        self.living().any(|process| process.identity == *who)
    }

    /// The process is gone; its children go to init, and its number to what waits for it.
    pub(crate) fn end(&mut self, pid: u32) {
        if let Some(actor) = self.actors.get_mut(&pid) {
            actor.alive = false;
        }
        for actor in self.actors.values_mut() {
            if actor.process.parent.is_some_and(|parent| parent.get() == pid) {
                actor.process.parent = Some(Pid::INIT);
            }
        }
        if let Some(heir) = self.heirs.remove(&pid) {
            self.actors.insert(pid, heir);
        }
    }

    fn refused(&self, what: &'static str, pid: Pid) -> KernelError {
        KernelError { what, pid, source: self.refusal.into() }
    }

    fn living(&self) -> impl Iterator<Item = &Process> {
        self.actors.values().filter(|actor| actor.alive).map(|actor| &actor.process)
    }
}

impl Kernel for FakeKernel {
    type Held = ProcessIdentity;

    fn now(&self) -> Awake {
        self.now + self.lag.get()
    }

    fn ticks(&self) -> u64 {
        self.ticks
    }

    fn ticks_at(&self, at: Awake) -> u64 {
        let since = u64::try_from(self.now.since(at).as_millis()).unwrap_or(u64::MAX);
        self.ticks.saturating_sub(since / 10)
    }

    fn hold(&mut self, who: ProcessIdentity) -> Result<Option<(ProcessIdentity, Process)>, KernelError> {
        if self.unholdable.contains(&who.pid.get()) {
            return Err(self.refused("pidfd_open", who.pid));
        }
        let found = self.living().find(|process| process.identity == who).cloned();
        Ok(found.map(|process| (who, process)))
    }

    fn reread(&mut self, held: &ProcessIdentity, what: Reread) -> Result<Option<Process>, KernelError> {
        let found = self.living().find(|process| process.identity == *held).cloned();
        Ok(found.map(|process| match what {
            Reread::User => Process { argv: None, ..process },
            Reread::UserAndArgv => process,
        }))
    }

    fn session_marks(&mut self, held: &ProcessIdentity) -> Result<Option<Vec<SessionMark>>, KernelError> {
        let mark = |key: &&str| SessionMark::Session { gateway: gateway(), key: (*key).into() };
        let of =
            |sessions: &BTreeMap<u32, &str>| sessions.get(&held.pid.get()).map(mark).into_iter().collect();
        Ok(self.sessions.as_ref().map(of))
    }

    fn new_mark(&mut self) -> Option<Mark> {
        self.marks += 1;
        (self.marks <= self.free_marks).then_some(Mark(self.marks.div_ceil(self.sharing)))
    }

    fn mark(&mut self, held: &ProcessIdentity, mark: Mark) -> Option<Mark> {
        let actor = self.actors.values_mut().find(|actor| actor.process.identity == *held)?;
        Some(actor.mark.replace(mark).unwrap_or(Mark(0)))
    }

    fn unmark_heirs(&mut self) {
        self.unmarked_heirs = true;
    }

    fn withdraw(&mut self, mark: Mark, _: Option<Mark>) {
        self.withdrawn.push(mark);
    }

    fn marked(&mut self) -> Result<Vec<(Mark, Process)>, KernelError> {
        self.searched_for_marks += 1;
        let alive = self.actors.values().filter(|actor| actor.alive);
        let given = |actor: &Actor| actor.mark.filter(|mark| mark.0 > 0 && !self.withdrawn.contains(mark));
        Ok(alive.filter_map(|actor| Some((given(actor)?, actor.process.clone()))).collect())
    }

    fn memory(&mut self, who: ProcessIdentity) -> Option<u64> {
        let bytes = self.living().find(|process| process.identity == who)?.rss_bytes?;
        let inherits = self.shares.is_some_and(|(from, to)| who.pid.get() == to && !self.is_alive(from));
        Some(if inherits { bytes * 2 } else { bytes })
    }

    fn signal(&mut self, held: &ProcessIdentity, signal: Signal) -> Result<Delivery, KernelError> {
        let pid = held.pid.get();
        if self.unsignallable.contains(&pid) || (signal == Signal::Kill && self.unkillable.contains(&pid)) {
            return Err(self.refused("pidfd_send_signal", held.pid));
        }
        if !self.is_there(held) {
            return Ok(Delivery::Gone);
        }
        self.log.borrow_mut().push(format!("{signal:?} {pid}"));
        let forks = (self.forks_at)(signal);
        let born = self.actors.get_mut(&pid).filter(|_| forks).and_then(|actor| actor.forks.take());
        let mark = self.actors.get(&pid).and_then(|actor| actor.mark);
        if let Some((child, mut actor)) = born.and_then(|child| self.unborn.remove_entry(&child)) {
            actor.mark = mark;
            self.actors.insert(child, actor);
        }
        if signal == Signal::Stop && self.seizes == Some(pid) {
            self.actors.get_mut(&pid).unwrap().process.uid = 0;
        }
        let manner = self.actors.get(&pid).map(|actor| actor.manner);
        match (signal, manner) {
            (Signal::Term, Some(Manner::Obedient))
            | (Signal::Kill, Some(Manner::Obedient | Manner::Deaf)) => self.end(pid),
            _ => {}
        }
        Ok(Delivery::Sent)
    }

    fn exited(&mut self, held: &ProcessIdentity) -> Result<bool, KernelError> {
        if self.unaskable.contains(&held.pid.get()) {
            return Err(self.refused("poll of the pidfd", held.pid));
        }
        Ok(!self.is_there(held))
    }

    fn family(&mut self, of: Pid, listing: Listing) -> Result<Option<Family>, KernelError> {
        self.listed += 1;
        if self.unlistable.contains(&of.get()) {
            return Err(self.refused("a look in /proc", of));
        }
        if let Some(child) = self.outlived.remove(&of.get()) {
            self.end(of.get());
            self.actors.insert(child.process.identity.pid.get(), child);
        }
        let Some(own) = self.living().find(|process| process.identity.pid == of) else { return Ok(None) };
        let (group, session) = (own.group, own.session);
        if let Some(left) = self.overlooked.get_mut(&of.get()).filter(|left| **left > 0) {
            *left -= 1;
            return Ok(Some(Family { group, session, children: Vec::new(), is_childless: false }));
        }
        let children = self.living().filter(|process| process.parent == Some(of));
        let mislisted = self.mislisted.get(&of.get()).copied().map(pid);
        let children: Vec<Pid> = children.map(|process| process.identity.pid).chain(mislisted).collect();
        let is_childless = listing == Listing::Whole && children.is_empty();
        Ok(Some(Family { group, session, children, is_childless }))
    }

    fn look(&mut self, pid: Pid) -> Result<Option<Process>, KernelError> {
        self.looked += 1;
        Ok(self.living().find(|process| process.identity.pid == pid).cloned())
    }

    fn led_by(&mut self, leaders: &[Pid]) -> Result<Vec<Process>, KernelError> {
        self.searched += 1;
        if self.blind {
            return Err(self.refused("a look in /proc", Pid::INIT));
        }
        let led = |process: &&Process| {
            leaders.iter().any(|leader| [process.group, process.session].contains(&leader.get()))
        };
        Ok(self.living().filter(led).cloned().collect())
    }
}

/// What is written down.
pub(crate) struct FakeRecord {
    pub(crate) log: Log,
    /// The audit log can't take announcements of this step.
    pub(crate) mute: Option<Step>,
    /// The journal can't be written from this many entries on.
    pub(crate) journal_takes: usize,
    pub(crate) unfinished: BTreeMap<u32, Unfinished>,
    /// The audit log can take so many more announcements of SIGKILL.
    pub(crate) kills: usize,
    /// How long an announcement takes.
    pub(crate) takes: Duration,
    /// What an operator says by now.
    pub(crate) forbidden: Option<&'static str>,
    lag: Rc<Cell<Duration>>,
}

impl FakeRecord {
    pub(crate) fn new(log: &Log, lag: &Rc<Cell<Duration>>) -> Self {
        Self {
            kills: usize::MAX,
            takes: Duration::ZERO,
            forbidden: None,
            lag: Rc::clone(lag),
            log: Rc::clone(log),
            mute: None,
            journal_takes: usize::MAX,
            unfinished: BTreeMap::new(),
        }
    }

    fn say(&self, line: String) {
        self.log.borrow_mut().push(line);
    }
}

impl Record for FakeRecord {
    fn forbids(&mut self, _: &Warrant) -> Option<Box<str>> {
        self.forbidden.map(Into::into)
    }

    fn announce(&mut self, case: &Case, step: Step, on: Option<ProcessIdentity>) -> io::Result<()> {
        if self.mute == Some(step) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if step == Step::Kill {
            if self.kills == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.kills -= 1;
        }
        self.lag.set(self.lag.get() + self.takes);
        match (on, &case.session) {
            (Some(process), _) => self.say(format!("announce {step} {}", process.pid)),
            (None, Some(session)) => self.say(format!("announce {step} of {session}")),
            (None, None) => self.say(format!("announce {step}")),
        }
        Ok(())
    }

    fn conclude(&mut self, _: &Case, ending: &Ending) {
        self.say(ending.outcome.as_str().to_owned());
    }

    fn begun(&mut self, tree: &Unfinished) -> io::Result<()> {
        if self.journal_takes == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.journal_takes -= 1;
        let members: Vec<String> = tree.members.iter().map(|member| member.pid.to_string()).collect();
        let asked =
            tree.asked.as_ref().map(|session| format!(" while {session} is asked for")).unwrap_or_default();
        let stopping = if tree.stopping { " to be stopped" } else { "" };
        self.say(format!("take {}{asked}{stopping}", members.join("+")));
        self.unfinished.insert(tree.worker.pid.get(), tree.clone());
        Ok(())
    }

    fn finished(&mut self, worker: &ProcessIdentity) {
        self.say(format!("put {}", worker.pid));
        self.unfinished.remove(&worker.pid.get());
    }
}

pub(crate) fn pid(raw: u32) -> Pid {
    Pid::new(raw.into()).unwrap()
}

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn gateway() -> GatewayName {
    "gw".into()
}
