//! The small world: sessions of one gateway, their workers, two runs that want the lock. All that can happen next, and what may never be.

use std::time::Duration;

use gateway_reaper::domain::ids::Pid;
use gateway_reaper::domain::ledger::Ledger;
use gateway_reaper::domain::process::ProcessIdentity;
use gateway_reaper::domain::time::Awake;

use super::reaper::Phase;

/// A unit of time; both graces are two of them.
pub(crate) const TICK: Duration = Duration::from_secs(10);
pub(crate) const GRACE: u64 = 2;

/// What tells the reaper of a client that came and went between two looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tells {
    Activity,
    Clocks,
}

/// How much may happen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) sessions: usize,
    pub(crate) client_steps: u32,
    pub(crate) restarts: u32,
    pub(crate) crashes: u32,
    pub(crate) ticks: u64,
    pub(crate) tells: Tells,
    pub(crate) rival: Rival,
}

/// What a second run can get at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rival {
    /// The same state directory, so that its lock turns one of them away.
    Locked,
    /// A state directory of its own: both act at once.
    OwnState,
}

/// A session, if it is there, and all workers that were ever started for it.
#[derive(Debug, Clone)]
pub(crate) struct Sess {
    pub(crate) is_live: bool,
    pub(crate) is_attached: bool,
    pub(crate) is_running: bool,
    pub(crate) activity: u32,
    pub(crate) detached_at: u64,
    pub(crate) idle_at: u64,
    /// The truth.
    pub(crate) orphan_since: Option<u64>,
    /// How often it was opened: its present id and worker.
    pub(crate) generation: u32,
}

/// A worker that is not dead.
#[derive(Debug, Clone)]
pub(crate) struct Worker {
    pub(crate) pid: u32,
    pub(crate) key: String,
    pub(crate) session: usize,
    pub(crate) generation: u32,
    pub(crate) parent: u32,
}

/// Everything.
#[derive(Debug, Clone)]
pub(crate) struct State {
    pub(crate) now: u64,
    pub(crate) run: u32,
    pub(crate) sessions: Vec<Sess>,
    pub(crate) workers: Vec<Worker>,
    pub(crate) runs: [Phase; 2],
    pub(crate) ledgers: [Ledger; 2],
    rival: Rival,
    pub(crate) tells: Tells,
    pub(crate) breach: Option<String>,
    client_steps: u32,
    restarts: u32,
    crashes: u32,
}

impl State {
    pub(crate) fn new(bounds: &Bounds) -> Self {
        let session = Sess {
            is_live: false,
            is_attached: false,
            is_running: false,
            activity: 0,
            detached_at: 0,
            idle_at: 0,
            orphan_since: None,
            generation: 0,
        };
        let mut state = Self {
            now: 0,
            run: 0,
            sessions: vec![session; bounds.sessions],
            workers: Vec::new(),
            runs: [Phase::Off, Phase::Off],
            ledgers: [Ledger::default(), Ledger::default()],
            rival: bounds.rival,
            tells: bounds.tells,
            breach: None,
            client_steps: bounds.client_steps,
            restarts: bounds.restarts,
            crashes: bounds.crashes,
        };
        for index in 0..bounds.sessions {
            state.open(index);
        }
        state
    }

    pub(crate) fn print(&self) -> u128 {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let text = format!("{self:?}");
        let hash = |salt: u64| {
            let mut hasher = DefaultHasher::new();
            (salt, &text).hash(&mut hasher);
            u128::from(hasher.finish())
        };
        hash(1) << 64 | hash(2)
    }

    /// Everything that can happen next.
    pub(crate) fn steps(&self, bounds: &Bounds) -> Vec<(String, Self)> {
        let mut next = Vec::new();
        let mut step = |name: String, change: &dyn Fn(&mut Self)| {
            let mut state = self.clone();
            change(&mut state);
            next.push((name, state));
        };
        if self.client_steps > 0 {
            for (index, session) in self.sessions.iter().enumerate() {
                let mut client = |what: &str, change: &dyn Fn(&mut Self)| {
                    step(format!("at {} session {index} {what}", self.now), &|state| {
                        state.client_steps -= 1;
                        change(state);
                        state.settle(index);
                    });
                };
                match session {
                    Sess { is_live: false, .. } => client("opens", &|state| state.open(index)),
                    Sess { is_attached: true, .. } => client("drops", &|state| state.drop_client(index)),
                    Sess { .. } => client("attaches", &|state| state.stir(index).is_attached = true),
                }
                if session.is_live && !session.is_running {
                    client("prompts", &|state| state.stir(index).is_running = true);
                }
                if session.is_live && session.is_running {
                    client("turn ends", &|state| {
                        let now = state.now;
                        let session = state.stir(index);
                        (session.is_running, session.idle_at) = (false, now);
                    });
                }
            }
        }
        if self.restarts > 0 {
            step(format!("at {} the gateway restarts", self.now), &|state| {
                state.restarts -= 1;
                state.restart();
            });
        }
        if self.now < bounds.ticks {
            step("time passes".to_owned(), &|state| state.now += 1);
        }
        for run in 0..self.runs.len() {
            if self.crashes > 0 && !matches!(self.runs[run], Phase::Off) {
                step(format!("at {} run {run} is killed", self.now), &|state| {
                    state.crashes -= 1;
                    state.kill(run);
                });
            }
        }
        for run in 0..self.runs.len() {
            if let Some((what, state)) = self.advance(run) {
                next.push((format!("at {} run {run} {what}", self.now), state));
            }
        }
        next
    }

    pub(crate) fn is_sound(&self) -> Result<(), String> {
        self.breach.clone().map_or(Ok(()), Err)
    }

    /// With no run in hand and no more clients, crashes or restarts, all that is an orphan now is gone after its grace and a few looks.
    pub(crate) fn ends_clean(&self) -> Result<(), String> {
        let mut state = self.clone();
        for _ in 0..2 * GRACE + 3 {
            while let Some((_, next)) = state.advance(0) {
                state = next;
                if matches!(state.runs[0], Phase::Off) {
                    break;
                }
            }
            state.now += 1;
        }
        state.is_sound()?;
        if let Some(index) = state.sessions.iter().position(|session| session.orphan_since.is_some()) {
            return Err(format!("session {index} is never reaped"));
        }
        match state.workers.iter().find(|worker| !state.is_wanted(worker)) {
            Some(worker) => Err(format!("worker {} is never reaped", worker.pid)),
            None => Ok(()),
        }
    }

    fn open(&mut self, index: usize) {
        let now = self.now;
        let session = &mut self.sessions[index];
        session.generation += 1;
        session.is_live = true;
        session.is_attached = true;
        session.is_running = false;
        session.activity = 0;
        (session.detached_at, session.idle_at) = (now, now);
        let generation = session.generation;
        self.workers.push(Worker {
            pid: 100 + 10 * u32::try_from(index).unwrap() + generation,
            key: self.key(index),
            session: index,
            generation,
            parent: self.gateway().pid.get(),
        });
        self.settle(index);
    }

    /// The session does something: its grace starts again, whatever it is.
    fn stir(&mut self, index: usize) -> &mut Sess {
        let session = &mut self.sessions[index];
        session.activity += 1;
        session.orphan_since = None;
        session
    }

    fn drop_client(&mut self, index: usize) {
        let now = self.now;
        let session = self.stir(index);
        (session.is_attached, session.detached_at) = (false, now);
    }

    pub(crate) fn settle(&mut self, index: usize) {
        let now = self.now;
        let session = &mut self.sessions[index];
        let is_orphan = session.is_live && !session.is_attached && !session.is_running;
        session.orphan_since = if is_orphan { session.orphan_since.or(Some(now)) } else { None };
    }

    fn restart(&mut self) {
        self.run += 1;
        for index in 0..self.sessions.len() {
            self.sessions[index].is_live = false;
            self.settle(index);
        }
        for worker in &mut self.workers {
            worker.parent = 1;
        }
    }

    fn kill(&mut self, run: usize) {
        if !matches!(self.runs[run], Phase::Off) {
            self.runs[run] = Phase::Off;
        }
    }

    /// Whether the lock turns this run away. Two runs with one state directory are alike, so it is always the second; that one comes when the
    /// other is gone is what the first does anyway.
    pub(crate) fn is_locked_out(&self, run: usize) -> bool {
        self.rival == Rival::Locked && run > 0
    }

    /// The same with both runs killed where they are.
    pub(crate) fn without_runs(&self) -> Self {
        let mut state = self.clone();
        for run in 0..state.runs.len() {
            state.kill(run);
        }
        state
    }

    /// Whether a live session has this worker.
    pub(crate) fn is_wanted(&self, worker: &Worker) -> bool {
        let session = &self.sessions[worker.session];
        session.is_live && session.generation == worker.generation
    }

    pub(crate) fn awake(&self) -> Awake {
        Awake::from_nanos(0) + TICK * u32::try_from(self.now).unwrap()
    }

    pub(crate) fn id(&self, index: usize) -> String {
        format!("s{index}.{}", self.sessions[index].generation)
    }

    pub(crate) fn key(&self, index: usize) -> String {
        format!("k{index}.{}", self.sessions[index].generation)
    }

    pub(crate) fn gateway(&self) -> ProcessIdentity {
        ProcessIdentity {
            pid: Pid::new(u64::from(10 + self.run)).unwrap(),
            start_ticks: u64::from(self.run),
            inode: 0,
        }
    }

    pub(crate) fn identity(worker: &Worker) -> ProcessIdentity {
        ProcessIdentity { pid: Pid::new(worker.pid.into()).unwrap(), start_ticks: 50, inode: 0 }
    }
}
