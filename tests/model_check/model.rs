//! All that can happen next, and what may never be. There is no bound on how much happens, nor on how long it takes: times are ages that
//! stop where the grace has passed for certain, names are renumbered, and what nobody can meet any more is forgotten. So the states are
//! few enough for all of them to be gone to.

use std::collections::BTreeSet;

use super::memory::{Memory, Tie};
use super::reaper::{Due, Judge, Phase};
use super::snapshot::{Look, Table};
use super::world::{Deed, FRESH, GRACE, Luck, Name, PATIENCE, Tells, Token, World};

/// How much may happen. [`FREELY`] is as often as it likes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) sessions: usize,
    /// No session is opened while so many workers are there.
    pub(crate) workers: usize,
    /// Each with a state directory of its own. (Those that share one exclude each other by its lock, and are as good as one.)
    pub(crate) reapers: usize,
    pub(crate) tells: Tells,
    pub(crate) client_steps: u8,
    /// The gateway's: each in another process, or in the same.
    pub(crate) restarts: u8,
    /// The reapers'.
    pub(crate) crashes: u8,
    /// Requests or answers that are lost.
    pub(crate) losses: u8,
}

pub(crate) const FREELY: u8 = u8::MAX;

/// One thing that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Client(usize, Deed),
    GatewayRestarts,
    GatewayReloads,
    TimePasses,
    Killed(usize),
    Run(usize, Luck),
}

/// Everything.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) world: World,
    pub(crate) reapers: Vec<Reaper>,
    tells: Tells,
    client_steps: u8,
    restarts: u8,
    crashes: u8,
    losses: u8,
}

/// A state directory, and what the run that holds its lock is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Reaper {
    pub(crate) phase: Phase,
    pub(crate) ledger: Option<Memory>,
}

fn spend(budget: &mut u8) {
    if *budget != FREELY {
        *budget -= 1;
    }
}

impl State {
    pub(crate) fn new(bounds: &Bounds) -> Self {
        let mut state = Self {
            world: World::new(bounds.sessions),
            reapers: vec![Reaper { phase: Phase::Off, ledger: None }; bounds.reapers],
            tells: bounds.tells,
            client_steps: bounds.client_steps,
            restarts: bounds.restarts,
            crashes: bounds.crashes,
            losses: bounds.losses,
        };
        state.tidy();
        state
    }

    /// Everything that can happen next.
    pub(crate) fn steps(&self, bounds: &Bounds) -> Vec<Step> {
        let mut steps = Vec::new();
        if self.client_steps > 0 {
            for place in 0..self.world.sessions.len() {
                let is_full = self.world.workers.len() >= bounds.workers;
                let deeds = self.world.deeds(place).iter();
                let can = deeds.filter(|deed| !(is_full && **deed == Deed::Opens));
                steps.extend(can.map(|deed| Step::Client(place, *deed)));
            }
        }
        if self.restarts > 0 {
            steps.extend([Step::GatewayRestarts, Step::GatewayReloads]);
        }
        if self.reapers.iter().all(|reaper| reaper.phase.can_wait()) {
            steps.push(Step::TimePasses);
        }
        for (index, reaper) in self.reapers.iter().enumerate() {
            if self.crashes > 0 && reaper.phase != Phase::Off {
                steps.push(Step::Killed(index));
            }
            steps.push(Step::Run(index, Luck::Good));
            if self.losses > 0 {
                steps.extend(reaper.phase.misfortunes().iter().map(|luck| Step::Run(index, *luck)));
            }
        }
        steps
    }

    /// What comes of it, tidied.
    pub(crate) fn after(&self, step: Step, judge: &mut Judge) -> Result<Self, String> {
        let mut next = self.then(step, judge)?;
        next.tidy();
        Ok(next)
    }

    /// What comes of it.
    pub(crate) fn then(&self, step: Step, judge: &mut Judge) -> Result<Self, String> {
        let mut next = self.clone();
        match step {
            Step::Client(place, deed) => {
                spend(&mut next.client_steps);
                next.world.client(place, deed);
            }
            Step::GatewayRestarts => {
                spend(&mut next.restarts);
                next.world.restart();
            }
            Step::GatewayReloads => {
                spend(&mut next.restarts);
                next.world.reload();
            }
            Step::TimePasses => next.age(),
            Step::Killed(index) => {
                spend(&mut next.crashes);
                next.reapers[index].phase = Phase::Off;
            }
            Step::Run(index, luck) => {
                if luck != Luck::Good {
                    spend(&mut next.losses);
                }
                next.run(index, luck, judge)?;
            }
        }
        Ok(next)
    }

    fn run(&mut self, index: usize, luck: Luck, judge: &mut Judge) -> Result<(), String> {
        let (tells, reaper) = (self.tells, &mut self.reapers[index]);
        reaper.advance(&mut self.world, tells, luck, judge)
    }

    fn age(&mut self) {
        self.world.age();
        for reaper in &mut self.reapers {
            reaper.phase.age();
            if let Some(ledger) = &mut reaper.ledger {
                ledger.age();
            }
        }
    }

    /// The same with all runs killed where they are, and nothing more to come from outside.
    pub(crate) fn abandoned(&self) -> Self {
        let mut state = Self { client_steps: 0, restarts: 0, crashes: 0, losses: 0, ..self.clone() };
        for reaper in &mut state.reapers {
            reaper.phase = Phase::Off;
        }
        state.tidy();
        state
    }

    /// From there, whichever reaper is the one that goes on: what nobody needs is gone after its grace and a few looks.
    pub(crate) fn ends_clean(&self, judge: &mut Judge) -> Result<(), String> {
        for index in 0..self.reapers.len() {
            let mut state = self.clone();
            for _ in 0..2 * GRACE + 3 {
                state.run(index, Luck::Good, judge)?;
                while state.reapers[index].phase != Phase::Off {
                    state.run(index, Luck::Good, judge)?;
                }
                state.age();
                state.tidy();
            }
            if let Some(what) = state.world.leftover() {
                return Err(what);
            }
        }
        Ok(())
    }

    /// Renumbers names in their order, and forgets what nobody can meet any more. What can happen afterwards is what could happen before.
    pub(crate) fn tidy(&mut self) {
        let numbers = Numbers::of(self);
        let Self { world, reapers, tells, .. } = self;
        (world.process, world.run, world.next) = (numbers.run(world.process), numbers.run(world.run), FRESH);
        for (place, session) in world.sessions.iter_mut().enumerate() {
            let Some(session) = session else { continue };
            let name = Name { place: u8::try_from(place).unwrap(), opening: session.opening };
            session.opening = numbers.name(name).opening;
            match tells {
                Tells::Activity => (session.detached, session.idle) = (0, 0),
                Tells::Clocks => session.activity = 0,
            }
            session.activity = numbers.activity(name.place, session.activity);
        }
        for worker in &mut world.workers {
            worker.name = numbers.name(worker.name);
            worker.parent = worker.parent.map(|process| numbers.run(process));
        }
        for reaper in reapers.iter_mut() {
            reaper.phase.renumber(&numbers);
            if let Some(ledger) = &mut reaper.ledger {
                numbers.memory(ledger);
            }
        }
        // One is as good as another.
        reapers.sort();
    }
}

/// Who is there, or was when a run looked: everything that can still be met. What only memory speaks of is number 0 to it, or forgotten.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    /// And processes of the gateway.
    runs: BTreeSet<Token>,
    openings: BTreeSet<Name>,
    listed: BTreeSet<Name>,
    started: BTreeSet<Name>,
    activities: BTreeSet<(u8, Token)>,
    /// The gateway tells its own clocks, so that what bounds them can matter.
    clocks: bool,
}

impl Numbers {
    fn of(state: &State) -> Self {
        let mut numbers = Self { clocks: state.tells == Tells::Clocks, ..Self::default() };
        numbers.runs.extend([state.world.process, state.world.run]);
        for (place, session) in (0..).zip(&state.world.sessions) {
            let Some(session) = session else { continue };
            numbers.listed.insert(Name { place, opening: session.opening });
            if state.tells == Tells::Activity {
                numbers.activities.insert((place, session.activity));
            }
        }
        numbers.started.extend(state.world.workers.iter().map(|worker| worker.name));
        for reaper in &state.reapers {
            let (look, table) = reaper.phase.seen();
            if let Some(Look { process, workers }) = look {
                numbers.runs.insert(*process);
                numbers.runs.extend(workers.iter().filter_map(|(_, parent)| *parent));
                numbers.started.extend(workers.iter().map(|(name, _)| *name));
            }
            if let Some(Table { process, run, rows }) = table {
                numbers.runs.extend([*process, *run]);
                numbers.listed.extend(rows.iter().map(|row| row.name));
                numbers
                    .activities
                    .extend(rows.iter().filter_map(|row| Some((row.name.place, row.activity?))));
            }
        }
        numbers.openings = numbers.listed.union(&numbers.started).copied().collect();
        numbers
    }

    pub(crate) fn run(&self, run: Token) -> Token {
        place_in(&self.runs, |one| *one <= run, self.runs.contains(&run))
    }

    pub(crate) fn name(&self, name: Name) -> Name {
        let before = |one: &Name| one.place == name.place && one.opening <= name.opening;
        Name { opening: place_in(&self.openings, before, self.openings.contains(&name)), ..name }
    }

    pub(crate) fn activity(&self, place: u8, activity: Token) -> Token {
        let before = |one: &(u8, Token)| one.0 == place && one.1 <= activity;
        place_in(&self.activities, before, self.activities.contains(&(place, activity)))
    }

    /// What memory says of sessions and workers that are never seen again changes no decision.
    pub(crate) fn memory(&self, memory: &mut Memory) {
        memory.process = memory.process.map(|process| self.run(process));
        memory.run = memory.run.map(|run| self.run(run));
        memory.sessions.retain(|clock| self.listed.contains(&clock.name));
        memory.restart.retain(|name| self.listed.contains(name));
        memory.in_use.retain(|name| self.clocks && self.listed.contains(name));
        memory.started.retain(|(name, _)| self.clocks && self.listed.contains(name));
        for (name, _) in &mut memory.started {
            *name = self.name(*name);
        }
        // It bounds the gateway's own clocks.
        memory.looked = memory.looked.filter(|_| self.clocks);
        memory.workers.retain(|known| self.started.contains(&known.name));
        for clock in &mut memory.sessions {
            clock.activity = clock.activity.map(|activity| self.activity(clock.name.place, activity));
            clock.name = self.name(clock.name);
            clock.started = clock.started.filter(|_| self.clocks);
            clock.worker = clock.worker.map(|worker| self.name(worker));
        }
        for name in memory.restart.iter_mut().chain(&mut memory.in_use) {
            *name = self.name(*name);
        }
        for known in &mut memory.workers {
            known.name = self.name(known.name);
            if let Tie::Child(process) = &mut known.tie {
                *process = self.run(*process);
            }
        }
    }

    pub(crate) fn due(&self, due: &mut Due) {
        if let Some((name, run)) = &mut due.session {
            (*name, *run) = (self.name(*name), self.run(*run));
        }
        due.worker = due.worker.map(|name| self.name(name));
    }
}

/// The first has number 1.
fn place_in<T>(all: &BTreeSet<T>, before: impl Fn(&T) -> bool, is_in: bool) -> Token {
    if is_in { Token::try_from(all.iter().filter(|one| before(one)).count()).unwrap() } else { 0 }
}

impl Phase {
    /// Whether time can pass: a table isn't waited for for ever.
    fn can_wait(&self) -> bool {
        !matches!(self, Self::Asked { asked, .. } if *asked >= PATIENCE)
    }
}
