//! One world from beginning to end: the plan's events, the runs of the reapers, and what must be true when all is calm again.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::event::Event;
use super::look::Watcher;
use super::rng::Rng;
use super::run::{self, Run, Step};
use super::setup::Setup;
use super::world::{Happening, World};

/// Stands for a run's number where a look is planned because somebody will be due.
const DUE: u64 = u64::MAX;

/// Everything that is decided before the world begins.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) setup: Setup,
    /// By time, in milliseconds.
    pub(crate) events: Vec<(u64, Event)>,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) breach: Option<String>,
    pub(crate) story: Vec<String>,
    /// Acts of the reaper: closes and signals.
    pub(crate) acts: u64,
    pub(crate) runs: u64,
}

/// A world at work.
#[derive(Debug)]
pub(crate) struct Sim {
    pub(crate) world: Rc<RefCell<World>>,
    runs: Vec<Option<Run>>,
    /// What the watching process of each state directory knows.
    watchers: Vec<Watcher>,
    steps: BTreeMap<(u64, u64), (usize, u64, Option<Step>)>,
    count: u64,
    number: u64,
    /// No more faults.
    is_calm: bool,
    rhythm: Rng,
}

/// Lives a plan through.
pub(crate) fn live(plan: &Plan, told: bool) -> End {
    let mut sim = Sim::new(plan, told);
    // What happens on the way may make it longer.
    let mut end = 0;
    while end < sim.world.borrow().ends_at() {
        end = sim.world.borrow().ends_at();
        sim.run_until(end);
    }
    let mut world = sim.world.borrow_mut();
    world.check_end();
    End {
        breach: world.breach.take(),
        story: world.story.take().unwrap_or_default(),
        acts: world.acts,
        runs: sim.number,
    }
}

impl Sim {
    pub(crate) fn new(plan: &Plan, told: bool) -> Self {
        let mut world = World::new(plan.setup.clone(), plan.seed, told);
        for (at, event) in &plan.events {
            world.plan_at(*at, Happening::Event(event.clone()));
        }
        let reapers = plan.setup.reapers.len();
        let mut sim = Self {
            world: Rc::new(RefCell::new(world)),
            runs: (0..reapers).map(|_| None).collect(),
            watchers: vec![Watcher::default(); reapers],
            steps: BTreeMap::new(),
            count: 0,
            number: 0,
            is_calm: false,
            rhythm: Rng::new(plan.seed, 3),
        };
        for disk in 0..reapers {
            sim.plan_wake(disk, 500);
        }
        sim
    }

    /// Lets a run take a step in so many milliseconds.
    pub(crate) fn plan(&mut self, disk: usize, number: u64, delay: u64, step: Step) {
        let at = self.world.borrow().now + delay;
        self.count += 1;
        self.steps.insert((at, self.count), (disk, number, Some(step)));
    }

    fn plan_wake(&mut self, disk: usize, delay: u64) {
        let at = self.world.borrow().now + delay;
        self.plan_wake_at(disk, at);
    }

    fn plan_wake_at(&mut self, disk: usize, at: u64) {
        self.count += 1;
        self.steps.insert((at, self.count), (disk, 0, None));
    }

    pub(crate) fn run_until(&mut self, end: u64) {
        loop {
            if self.world.borrow().breach.is_some() {
                return;
            }
            self.attend();
            let calm_at = self.world.borrow().setup.calm_at;
            let step = self.steps.first_key_value().map(|((at, _), _)| *at);
            let event = self.world.borrow().next_at();
            let Some(at) = step.into_iter().chain(event).min().filter(|at| *at <= end) else {
                self.world.borrow_mut().pass_until(end);
                return;
            };
            // A step may take its time, and end after that.
            let now = self.world.borrow().now;
            if !self.is_calm && at >= calm_at {
                self.world.borrow_mut().pass_until(calm_at.max(now));
                self.world.borrow_mut().calm();
                self.is_calm = true;
                continue;
            }
            if event.is_some_and(|event| step.is_none_or(|step| event <= step)) {
                self.world.borrow_mut().pass_until(at);
                continue;
            }
            self.world.borrow_mut().pass_until(at);
            if let Some((_, (disk, number, step))) = self.steps.pop_first() {
                // What was sent is on its way, also when its sender is stopped.
                let thaws = self.world.borrow().disks[disk].frozen_until;
                if thaws > at && !matches!(step, Some(Step::CloseAt(_))) {
                    self.count += 1;
                    self.steps.insert((thaws, self.count), (disk, number, step));
                    continue;
                }
                match step {
                    None => self.wake(disk, number == DUE),
                    Some(step) => self.advance(disk, number, step),
                }
            }
        }
    }

    /// The next look of the rhythm, or one because somebody is due.
    fn wake(&mut self, disk: usize, is_due: bool) {
        let rhythm = self.world.borrow().setup.reapers[disk];
        if is_due && self.runs[disk].is_some() {
            return;
        }
        if !is_due && rhythm.every > 0 {
            let jitter = self.rhythm.between(0, rhythm.jitter);
            self.plan_wake(disk, rhythm.every + jitter);
        }
        self.begin(disk);
    }

    fn begin(&mut self, disk: usize) {
        if self.runs[disk].is_some() {
            self.world.borrow_mut().say(|_| "    another run holds the lock".to_owned());
            return;
        }
        self.number += 1;
        let watcher = std::mem::take(&mut self.watchers[disk]);
        let run = run::start(&mut self.world.borrow_mut(), disk, self.number, watcher);
        if let Some(run) = run {
            self.plan(disk, run.number, 1, Step::Next);
            self.runs[disk] = Some(run);
        }
    }

    fn advance(&mut self, disk: usize, number: u64, step: Step) {
        let current = self.runs[disk].take_if(|run| run.number == number);
        let Some(mut run) = current else {
            // What a dead run sent is on its way all the same.
            if let Step::CloseAt(request) = step {
                self.close_at(disk, number, request);
            }
            return;
        };
        if self.step(disk, &mut run, step) {
            self.end_run(disk, &run);
        } else {
            self.runs[disk] = Some(run);
        }
    }

    fn end_run(&mut self, disk: usize, run: &Run) {
        run::finish(&mut self.world.borrow_mut(), run);
        let rhythm = self.world.borrow().setup.reapers[disk];
        // What is killed, or isn't a watcher, leaves nothing to the next run but the state directory.
        if rhythm.watches && !self.world.borrow().grips[disk].dead {
            self.watchers[disk] = run.watcher.clone();
        }
        if let (true, Some(due)) = (rhythm.watches, run.due) {
            let at = due.max(self.world.borrow().now + 1);
            self.count += 1;
            self.steps.insert((at, self.count), (disk, DUE, None));
        }
    }

    /// What the world wants of the runs: some are killed, some are to be started, some to be told of exits.
    fn attend(&mut self) {
        let (killed, wanted) = {
            let mut world = self.world.borrow_mut();
            (std::mem::take(&mut world.killed), std::mem::take(&mut world.wanted))
        };
        for disk in killed {
            if let Some(run) = self.runs[disk].take() {
                run::finish(&mut self.world.borrow_mut(), &run);
            }
        }
        for disk in wanted.into_iter().filter(|disk| *disk < self.runs.len()).collect::<Vec<_>>() {
            self.begin(disk);
        }
        for disk in 0..self.runs.len() {
            let is_frozen = { self.world.borrow().disks[disk].frozen_until > self.world.borrow().now };
            let poll = self.runs[disk]
                .as_ref()
                .filter(|run| !is_frozen && self.wants_poll(run))
                .map(|run| run.number);
            if let Some(number) = poll {
                self.advance(disk, number, Step::Poll);
            }
        }
    }
}
