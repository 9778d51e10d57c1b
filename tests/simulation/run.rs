//! A run of the reaper as production does it, step by step in simulated time: lock, load, look, ask, decide, save, tear down, settle,
//! save. Killed anywhere, it simply stops there.

use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use gateway_reaper::domain::decide::{Decision, decide_closely};
use gateway_reaper::domain::ids::Pid;
use gateway_reaper::domain::ledger::Ledger;
use gateway_reaper::domain::looking::{self, Looked, Planner, Series};
use gateway_reaper::domain::observation::Observation;
use gateway_reaper::domain::process::ProcessView;
use gateway_reaper::domain::table::{CloseAnswer, Refusal, TableView};
use gateway_reaper::domain::time::Awake;
use gateway_reaper::domain::verdict::Verdict;
use gateway_reaper::domain::veto::Vetoes;
use gateway_reaper::domain::warrant::Warrant;
use gateway_reaper::reap::event::{CloseRequest, Event, Next, Place, Question, Recheck, Then};
use gateway_reaper::reap::release::let_go;
use gateway_reaper::reap::teardown::Teardown;
use gateway_reaper::sweep::recheck::Again;
use gateway_reaper::sweep::settle::settle;

use super::event::{CloseFault, TableFault};
use super::hands::{Grip, Hands, Seen};
use super::look::Watcher;
use super::procs::{Birth, Kind, OnTerm, Serial};
use super::setup::USER;
use super::sim::Sim;
use super::world::{Happening, World};

/// How long a gateway may take for its table.
pub(crate) const TABLE_TIMEOUT: u64 = 5000;

/// So old may be what a gateway without conditions said when it is told to end a session.
const ANSWER_GOOD_FOR: u64 = 2000;

/// What comes next for a run.
#[derive(Debug)]
pub(crate) enum Step {
    /// What the planner wants.
    Next,
    Ask(usize),
    Arrives(usize, TableView, Vec<((usize, String), Seen)>),
    CloseAt(CloseRequest),
    /// What a gateway without conditions is told after the reaper itself asked it once more, at that time.
    DeleteAt(CloseRequest, u64),
    Answered(usize, CloseAnswer),
    /// Another look, for this victim.
    Recheck(Question),
    /// Somebody may have exited, or a deadline come.
    Poll,
}

/// A run in hand.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) number: u64,
    disk: usize,
    process: Serial,
    memory: Rc<Ledger>,
    planner: Option<Planner<Rc<Ledger>>>,
    view: ProcessView,
    /// What an earlier run left stopped was let go.
    has_let_go: bool,
    began: Awake,
    /// What its process knows besides.
    pub(crate) watcher: Watcher,
    asked: Awake,
    tables: Vec<Option<TableView>>,
    /// So many answers are still to come.
    missing: usize,
    teardown: Option<Teardown<Serial>>,
    /// Processes of it whose exit is waited for.
    waits: Vec<Place>,
    /// When it is told of a deadline.
    deadline: Option<Awake>,
    /// How it goes on.
    then: Then,
    warrants: Vec<Warrant>,
    exits: u64,
    /// When somebody will be due.
    pub(crate) due: Option<u64>,
}

/// Starts a run.
pub(crate) fn start(world: &mut World, disk: usize, number: u64, watcher: Watcher) -> Option<Run> {
    let process = world.spawn(Birth {
        parent: world.supervisor,
        kind: Kind::Reaper,
        comm: "gateway-reaper",
        argv: Arc::from("gateway-reaper once"),
        uid: USER,
        leads_session: true,
        on_term: OnTerm::Ignores,
    })?;
    // Killed before it began, or in the middle: the run that announced it meant this one.
    let fuse = world.grips[disk].fuse.take();
    let base = world.disks[disk].sights.clone();
    let losses = world.disks[disk].losses;
    let (starts, is_continued) = (world.disks[disk].starts.clone(), watcher.looked.is_some());
    world.grips[disk] = Grip { fuse, base, losses, starts, is_continued, ..Grip::default() };
    let boot = world.boot_id();
    let memory = world.disks[disk].load(&boot, world.awake());
    let memory = Rc::new(memory);
    let series = if watcher.looked.is_none() && !world.setup.reapers[disk].watches {
        Series::Single
    } else {
        Series::Continued
    };
    let planner = Planner::new(Rc::clone(&memory), world.find_gateways(), series, watcher.lost.clone());
    Some(Run {
        number,
        disk,
        process,
        memory,
        planner: Some(planner),
        view: ProcessView::default(),
        has_let_go: false,
        began: world.awake(),
        watcher,
        asked: world.awake(),
        tables: vec![None; world.gateways.len()],
        missing: 0,
        teardown: None,
        waits: Vec::new(),
        deadline: None,
        then: Then::Begin,
        warrants: Vec::new(),
        exits: 0,
        due: None,
    })
}

impl Sim {
    /// One step of a run. Returns whether the run is over.
    pub(crate) fn step(&mut self, disk: usize, run: &mut Run, step: Step) -> bool {
        match step {
            Step::Next => {
                if !std::mem::replace(&mut run.has_let_go, true) {
                    let mut memory = Ledger::clone(&run.memory);
                    let_go(&mut Hands { world: &self.world, disk }, &mut memory.unfinished);
                    run.memory = Rc::new(memory);
                    run.began = self.world.borrow().awake();
                }
                return self.look(disk, run);
            }
            Step::Ask(index) => self.ask(disk, run.number, index),
            Step::Arrives(index, table, seen) => {
                run.tables[index] = Some(table);
                run.missing -= 1;
                self.world.borrow_mut().grips[disk].seen.extend(seen);
                if run.missing == 0 {
                    return self.read(disk, run);
                }
            }
            Step::CloseAt(request) => self.close_at(disk, run.number, request),
            Step::DeleteAt(request, asked) => self.delete_at(disk, run.number, &request, asked),
            Step::Answered(victim, answer) => {
                if self.world.borrow().story.is_some() {
                    self.world.borrow_mut().say(|_| format!("    gateway answers {answer:?}"));
                }
                return self.drive(disk, run, Some(Event::Answered { victim, answer }));
            }
            Step::Recheck(question) => {
                let (victim, verdict) = (question.victim, self.recheck(run, &question));
                return self.drive(disk, run, Some(Event::Rechecked { victim, verdict }));
            }
            Step::Poll => return self.drive(disk, run, None),
        }
        false
    }

    /// Does what the planner wants. Returns whether the run is over.
    fn look(&mut self, disk: usize, run: &mut Run) -> bool {
        let Some(mut planner) = run.planner.take() else { return true };
        let now = self.world.borrow().awake();
        match planner.next(now) {
            looking::Next::Look(extent) => {
                let roots: Vec<Pid> = planner.roots().flatten().collect();
                let known = planner.known();
                let mut world = self.world.borrow_mut();
                run.view = world.look(run.process, extent, (&roots, &known), &mut run.watcher);
                planner.looked(&run.view);
            }
            looking::Next::ReadTables => {
                run.asked = now;
                let is_asked =
                    |table: &Option<TableView>| !table.as_ref().is_some_and(TableView::is_asked_once);
                let asked: Vec<usize> =
                    (0..run.tables.len()).filter(|index| is_asked(&run.tables[*index])).collect();
                let mut world = self.world.borrow_mut();
                (world.grips[disk].asked, world.grips[disk].written) = (world.now, world.now);
                world.grips[disk].seen.clear();
                drop(world);
                run.missing = asked.len();
                run.planner = Some(planner);
                for index in &asked {
                    self.plan(disk, run.number, 1, Step::Ask(*index));
                }
                return asked.is_empty() && self.read(disk, run);
            }
            looking::Next::LookAt(pids) => self.world.borrow().look_at_all(&pids, &mut run.view),
            looking::Next::Done => {
                let roots: Vec<Option<Pid>> = planner.roots().collect();
                let (whole_look, lost) = planner.finish();
                run.watcher.lost = lost;
                return self.judge(disk, run, &roots, whole_look);
            }
        }
        run.planner = Some(planner);
        self.plan(disk, run.number, 0, Step::Next);
        false
    }

    /// All tables are read.
    fn read(&mut self, disk: usize, run: &mut Run) -> bool {
        if let Some(planner) = &mut run.planner {
            planner.read(&run.tables);
        }
        self.plan(disk, run.number, 0, Step::Next);
        false
    }

    fn ask(&mut self, disk: usize, number: u64, index: usize) {
        let mut world = self.world.borrow_mut();
        world.grips[disk].written = world.now;
        let hangs = world.gateways[index].hangs_until;
        let answer = match world.table_fault(index) {
            _ if hangs > world.now + TABLE_TIMEOUT => None,
            Some(TableFault::Late(by)) if by >= TABLE_TIMEOUT => None,
            Some(TableFault::Late(by)) => Some(by),
            _ => Some(hangs.saturating_sub(world.now)),
        };
        let (delay, table, seen) = match answer {
            Some(delay) => (delay.max(1), world.table(index), world.witness(index)),
            None => (TABLE_TIMEOUT, TableView::unreachable("no answer in time"), Vec::new()),
        };
        drop(world);
        self.plan(disk, number, delay, Step::Arrives(index, table, seen));
    }

    fn judge(
        &mut self,
        disk: usize,
        run: &mut Run,
        roots: &[Option<Pid>],
        whole_look: Option<Awake>,
    ) -> bool {
        let mut world = self.world.borrow_mut();
        let tables = std::mem::take(&mut run.tables);
        let gateways = tables.into_iter().enumerate().map(|(index, table)| {
            let table = table.unwrap_or(TableView::unreachable("not asked"));
            world.observed(index, roots[index], (table, run.asked), &run.memory, &run.view)
        });
        let gateways: Vec<_> = gateways.collect();
        let boot = world.boot_id();
        let rhythm = world.setup.reapers[disk];
        let interval = Duration::from_millis(rhythm.every);
        let remembered = run.memory.looked.filter(|_| run.memory.boot.as_ref() == Some(&boot));
        let last = run.watcher.looked.or_else(|| remembered.map(|at| Looked { began: at, ended: at }));
        let last = last.filter(|_| rhythm.watches);
        let longest_read = Duration::from_millis(TABLE_TIMEOUT);
        let this = Looked { began: run.began, ended: world.awake() };
        let unobserved = last.map(|last| last.unobserved_until(this, interval, longest_read));
        let unobserved = unobserved.unwrap_or_default();
        run.watcher.looked = Some(this);
        let mut seen = Observation {
            boot: boot.clone(),
            processes: std::mem::take(&mut run.view),
            gateways,
            unobserved,
            forbidden: Vetoes::default(),
        };
        let now = world.awake();
        let decision = decide_as_a_run(&mut world, &mut seen, &run.memory, now);
        world.count_sights(disk, &seen);
        world.note_listed(disk, &decision.gateways);
        let mut warrants = Vec::new();
        let mut remaining: Option<Duration> = None;
        for judged in decision.gateways.into_iter().flat_map(|plan| plan.judged) {
            match judged.verdict {
                Verdict::Reap { warrant, waited } => {
                    if world.story.is_some() {
                        let subject = judged.subject.id();
                        world.say(|_| {
                            format!("    reaper: reap {subject}, {} after {waited:?}", warrant.orphan())
                        });
                    }
                    warrants.push((*warrant, waited));
                }
                Verdict::Wait { remaining: left, .. } => {
                    remaining = Some(remaining.map_or(left, |sooner| sooner.min(left)));
                }
                Verdict::Keep(keep) => {
                    if world.story.is_some() && world.setup.tells_keeps {
                        let subject = judged.subject.id();
                        world.say(|_| format!("    reaper: keep {subject}, {keep}"));
                    }
                }
                Verdict::Deferred { .. } => {}
            }
        }
        run.due = remaining.map(|left| world.now + u64::try_from(left.as_millis()).unwrap_or(u64::MAX) + 1);
        run.memory = Rc::new(Ledger { whole_look, looked: Some(now), ..decision.ledger });
        // What can't be remembered isn't acted on.
        if world.writable(disk).is_err() {
            world.say(|_| "    reaper: the state directory can't be written".to_owned());
            return true;
        }
        world.disks[disk].save(&boot, &run.memory, true);
        world.commit_sights(disk);
        world.note_known(disk, &run.memory, &seen.processes);
        drop(world);
        run.warrants = warrants.iter().map(|(warrant, _)| warrant.clone()).collect();
        run.teardown = Some(Teardown::new(warrants));
        self.drive(disk, run, None)
    }

    /// Looks and decides once more for one victim. A gateway that is slow with its table doesn't get to answer.
    fn recheck(&mut self, run: &mut Run, question: &Question) -> Recheck {
        let mut world = self.world.borrow_mut();
        let found = world.find_gateways();
        let mut planner =
            Planner::new(Rc::clone(&run.memory), found, Series::Continued, run.watcher.lost.clone());
        let (mut view, mut asked) = (ProcessView::default(), world.awake());
        let mut tables: Vec<Option<TableView>> = vec![None; world.gateways.len()];
        loop {
            match planner.next(world.awake()) {
                looking::Next::Look(extent) => {
                    let roots: Vec<Pid> = planner.roots().flatten().collect();
                    let known = planner.known();
                    view = world.look(run.process, extent, (&roots, &known), &mut run.watcher);
                    planner.looked(&view);
                }
                looking::Next::ReadTables => {
                    asked = world.awake();
                    world.grips[run.disk].asked = world.now;
                    for (index, table) in tables.iter_mut().enumerate() {
                        let late = matches!(world.table_fault(index), Some(TableFault::Late(_)));
                        let is_silent = late || world.gateways[index].hangs_until > world.now;
                        let silence = || TableView::unreachable("no answer in time");
                        *table = Some(if is_silent { silence() } else { world.table(index) });
                    }
                    planner.read(&tables);
                }
                looking::Next::LookAt(pids) => world.look_at_all(&pids, &mut view),
                looking::Next::Done => break,
            }
        }
        let roots: Vec<Option<Pid>> = planner.roots().collect();
        let gateways = tables.into_iter().flatten().enumerate();
        let gateways = gateways
            .map(|(index, table)| world.observed(index, roots[index], (table, asked), &run.memory, &view));
        let gateways: Vec<_> = gateways.collect();
        let tree: Vec<Pid> = question.under_way.iter().flatten().map(|process| process.pid).collect();
        world.look_below(&tree, &mut view);
        let mut seen = Observation {
            boot: world.boot_id(),
            processes: view,
            gateways,
            unobserved: Duration::ZERO,
            forbidden: Vetoes::default(),
        };
        let now = world.awake();
        let decision = decide_as_a_run(&mut world, &mut seen, &run.memory, now);
        let verdict =
            Again::new(&seen, &decision).judge(&run.warrants[question.victim], question.under_way.as_deref());
        world.say(|_| match &verdict {
            Recheck::Stands { until, .. } => {
                format!("    reaper: another look says Stands {{ until: {until:?} }}")
            }
            other => format!("    reaper: another look says {other:?}"),
        });
        verdict
    }

    /// The request reaches the gateway, whether or not the reaper still lives.
    pub(crate) fn close_at(&mut self, disk: usize, number: u64, request: CloseRequest) {
        let mut world = self.world.borrow_mut();
        let index = (0..world.gateways.len())
            .find(|index| super::setup::gateway_name(*index) == request.gateway.as_str())
            .unwrap();
        let id = request.order.id.as_str();
        let timeout = u64::try_from(request.within.as_millis()).unwrap();
        let failed = |why: &str| CloseAnswer::Failed { why: why.into() };
        let fault = world.gateways[index].close_fault.filter(|(_, until)| world.now < *until);
        let run = world.gateways[index].run;
        let other_run = world.setup.gateways[index].tells.instance
            && request.order.instance.as_ref().is_some_and(|seen| seen.as_str() != format!("run {run}"));
        let gone = world.gateways[index].process.is_none_or(|process| world.procs.alive(process).is_none());
        let (delay, answer) = if gone {
            (1, failed("connection refused"))
        } else if other_run {
            (1, CloseAnswer::Kept { reason: Refusal::OtherRun })
        } else {
            match fault.map(|(fault, _)| fault) {
                Some(CloseFault::Fails) => (1, failed("500")),
                Some(CloseFault::Mute) => {
                    world.close_if_orphan(index, id, false);
                    (timeout, failed("no answer in time"))
                }
                Some(CloseFault::Hollow) => (3, world.close_if_orphan(index, id, true)),
                Some(CloseFault::Late(by)) => {
                    let session = id.to_owned();
                    world.plan(by, Happening::LateClose { gateway: index, session, run });
                    (timeout, failed("no answer in time"))
                }
                Some(CloseFault::Slow(by)) => {
                    let answer = world.close_if_orphan(index, id, false);
                    if by < timeout { (by, answer) } else { (timeout, failed("no answer in time")) }
                }
                None if world.setup.gateways[index].closes_blindly => {
                    match world.orphan_to_close(index, id) {
                        Ok(_) => {
                            let (delay, asked) = (1 + world.moment(14), world.now);
                            drop(world);
                            return self.plan(disk, number, delay, Step::DeleteAt(request, asked));
                        }
                        Err(answer) => (3, answer),
                    }
                }
                None => (3, world.close_if_orphan(index, id, false)),
            }
        };
        drop(world);
        self.plan(disk, number, delay, Step::Answered(request.victim, answer));
    }

    /// The reaper tells a gateway that takes no condition to end a session, unless its answer has got old meanwhile: a stopped reaper goes on
    /// where it was.
    fn delete_at(&mut self, disk: usize, number: u64, request: &CloseRequest, asked: u64) {
        let mut world = self.world.borrow_mut();
        let answer = if world.now > asked + ANSWER_GOOD_FOR {
            CloseAnswer::Failed { why: "what it said of the session got too old".into() }
        } else {
            world.close_blindly(request.gateway.as_str(), request.order.id.as_str())
        };
        drop(world);
        self.plan(disk, number, 2, Step::Answered(request.victim, answer));
    }

    /// Passes on what happened, in the order of the runtime, until the run has nothing more to do now.
    fn drive(&mut self, disk: usize, run: &mut Run, told: Option<Event>) -> bool {
        let Some(mut teardown) = run.teardown.take() else { return false };
        let world = std::rc::Rc::clone(&self.world);
        let mut hands = Hands { world: &world, disk };
        if let Some(event) = told {
            let next = teardown.handle(event, &mut hands);
            self.take_up(disk, run, next);
        }
        if run.then == Then::Begin {
            let next = teardown.handle(Event::Begin, &mut hands);
            // A run that died meanwhile sends nothing any more.
            if world.borrow().grips[disk].dead {
                return true;
            }
            self.take_up(disk, run, next);
        }
        loop {
            let exits = world.borrow().exits;
            let has_exited = |place: &Place| {
                teardown.held(*place).is_none_or(|held| world.borrow().procs.alive(*held).is_none())
            };
            let (exited, waits) = std::mem::take(&mut run.waits).into_iter().partition(has_exited);
            run.waits = waits;
            let exited: Vec<Place> = exited;
            if !exited.is_empty() {
                let victims = exited.into_iter().map(|place| place.victim).collect();
                let next = teardown.handle(Event::Exited { victims }, &mut hands);
                self.take_up(disk, run, next);
            }
            let next = teardown.handle(Event::Tick, &mut hands);
            self.take_up(disk, run, next);
            run.exits = exits;
            if world.borrow().grips[disk].dead {
                return true;
            }
            let due = run.deadline.is_some_and(|at| at <= world.borrow().awake());
            if !due && world.borrow().exits == exits {
                break;
            }
        }
        if run.then != Then::Done {
            if run.then == Then::Begin {
                self.plan(disk, run.number, 0, Step::Poll);
            }
            if let Some(at) = run.deadline {
                let wait = at.since(world.borrow().awake());
                self.plan(disk, run.number, u64::try_from(wait.as_millis()).unwrap() + 1, Step::Poll);
            }
            run.teardown = Some(teardown);
            return false;
        }
        let mut world = world.borrow_mut();
        let mut any = false;
        // Whatever befell the state directory meanwhile: this run remembers, and writes it again.
        if !run.warrants.is_empty() && world.writable(disk).is_ok() {
            world.commit_sights(disk);
        }
        for (warrant, ending) in run.warrants.iter().zip(teardown.into_endings()) {
            let Some(ending) = ending else {
                world.breach("a teardown is done without an ending");
                continue;
            };
            settle(Rc::make_mut(&mut run.memory), warrant, &ending);
            world.note_refusal(disk, warrant, &ending);
            any = true;
        }
        if any && world.writable(disk).is_ok() {
            let boot = world.boot_id();
            world.disks[disk].save(&boot, &run.memory, false);
        }
        true
    }

    /// Does what the teardown says.
    fn take_up(&mut self, disk: usize, run: &mut Run, next: Next) {
        if let Some(request) = next.close {
            let delay = {
                let mut world = self.world.borrow_mut();
                world.check_close(disk, &request);
                world.moment(5)
            };
            self.plan(disk, run.number, delay, Step::CloseAt(request));
        }
        for question in next.recheck {
            let delay = self.world.borrow_mut().moment(5);
            self.plan(disk, run.number, delay, Step::Recheck(question));
        }
        run.waits.extend(next.wait_for);
        (run.deadline, run.then) = (next.deadline, next.then);
    }

    /// Whether somebody has exited since the run last looked.
    pub(crate) fn wants_poll(&self, run: &Run) -> bool {
        run.teardown.is_some() && self.world.borrow().exits != run.exits
    }
}

/// Decides, as the product does: what is due is looked at closely.
fn decide_as_a_run(world: &mut World, seen: &mut Observation, memory: &Ledger, now: Awake) -> Decision {
    let rules = world.rules.clone();
    let decision = decide_closely::<Infallible>(seen, memory, &rules, now, |seen, _, roots| {
        world.look_below(roots, &mut seen.processes);
        Ok(())
    });
    let Ok(decision) = decision;
    decision
}

/// The reaper's own process goes with its run.
pub(crate) fn finish(world: &mut World, run: &Run) {
    world.die(run.process);
}
