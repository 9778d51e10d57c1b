//! The small world: the sessions of one gateway and their workers. It knows ages instead of times, and no more of each than can matter.

use super::snapshot::{Look, Row, Table};

/// Ticks since something happened, up to [`LONG`].
pub(crate) type Age = u8;
/// Names one of several: a run of the gateway, an opening of a session, what a session did last. Only sameness and order mean anything.
pub(crate) type Token = u8;

/// Both graces, in ticks.
pub(crate) const GRACE: Age = 2;
/// A table is waited for at most so long.
pub(crate) const PATIENCE: Age = 1;
/// What is older than that is as old as that: whatever is asked of it, the grace has passed.
pub(crate) const LONG: Age = GRACE + PATIENCE;
/// Above all tokens of a tidy state.
pub(crate) const FRESH: Token = 100;

/// What tells the reaper of a client that came and went between two looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Tells {
    Activity,
    Clocks,
}

/// One opening of a session, by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Name {
    pub(crate) place: u8,
    pub(crate) opening: Token,
}

/// A session that is there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Sess {
    pub(crate) opening: Token,
    pub(crate) is_attached: bool,
    pub(crate) is_running: bool,
    pub(crate) detached: Age,
    pub(crate) idle: Age,
    pub(crate) activity: Token,
    /// The truth: how long it has been an orphan.
    pub(crate) orphan: Option<Age>,
}

/// A worker that is not dead.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Worker {
    pub(crate) name: Name,
    /// A process of the gateway, or init.
    pub(crate) parent: Option<Token>,
    /// The truth: how long nobody has needed it.
    pub(crate) unwanted: Option<Age>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct World {
    /// The gateway's process; the run that began with it has the same token.
    pub(crate) process: Token,
    pub(crate) run: Token,
    pub(crate) sessions: Vec<Option<Sess>>,
    pub(crate) workers: Vec<Worker>,
    /// A token that nobody has had.
    pub(crate) next: Token,
}

/// What a client does to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    Opens,
    Attaches,
    Drops,
    Prompts,
    TurnEnds,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Luck {
    Good,
    /// It is carried out, and the answer is lost.
    NoAnswer,
    /// It is lost.
    Lost,
}

/// What a gateway answers to the conditional reap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Answer {
    Reaped,
    Gone,
    NoOrphan,
    AnotherRun,
    None,
}

impl World {
    pub(crate) fn new(sessions: usize) -> Self {
        let mut world =
            Self { process: 1, run: 1, sessions: vec![None; sessions], workers: Vec::new(), next: FRESH };
        for place in 0..sessions {
            world.client(place, Deed::Opens);
        }
        world
    }

    /// What a client can do to this session now.
    pub(crate) fn deeds(&self, place: usize) -> &'static [Deed] {
        match &self.sessions[place] {
            None => &[Deed::Opens],
            Some(Sess { is_attached: true, is_running: false, .. }) => &[Deed::Drops, Deed::Prompts],
            Some(Sess { is_attached: true, is_running: true, .. }) => &[Deed::Drops, Deed::TurnEnds],
            Some(Sess { is_running: false, .. }) => &[Deed::Attaches, Deed::Prompts],
            Some(_) => &[Deed::Attaches, Deed::TurnEnds],
        }
    }

    fn fresh(&mut self) -> Token {
        self.next += 1;
        self.next - 1
    }

    pub(crate) fn client(&mut self, place: usize, deed: Deed) {
        let fresh = self.fresh();
        if deed == Deed::Opens {
            let name = Name { place: u8::try_from(place).unwrap(), opening: fresh };
            self.workers.push(Worker { name, parent: Some(self.process), unwanted: None });
            self.sessions[place] = Some(Sess {
                opening: fresh,
                is_attached: true,
                is_running: false,
                detached: 0,
                idle: 0,
                activity: fresh,
                orphan: None,
            });
        }
        let Some(session) = &mut self.sessions[place] else { return };
        match deed {
            Deed::Opens => {}
            Deed::Attaches => session.is_attached = true,
            Deed::Drops => (session.is_attached, session.detached) = (false, 0),
            Deed::Prompts => session.is_running = true,
            Deed::TurnEnds => (session.is_running, session.idle) = (false, 0),
        }
        session.activity = fresh;
        session.orphan = (!session.is_attached && !session.is_running).then_some(0);
    }

    /// Another run of the gateway in another process; its sessions are gone, its workers are init's.
    pub(crate) fn restart(&mut self) {
        self.run = self.fresh();
        self.process = self.run;
        self.sessions.fill(None);
        for worker in &mut self.workers {
            worker.parent = None;
            worker.unwanted = worker.unwanted.or(Some(0));
        }
    }

    /// Another run of the gateway in the same process (exec), which takes its sessions over: every grace starts again, and so do its own
    /// clocks.
    pub(crate) fn reload(&mut self) {
        self.run = self.fresh();
        for session in self.sessions.iter_mut().flatten() {
            (session.detached, session.idle) = (0, 0);
            session.orphan = session.orphan.map(|_| 0);
        }
    }

    pub(crate) fn age(&mut self) {
        let older = |age: &mut Age| *age = LONG.min(*age + 1);
        for session in self.sessions.iter_mut().flatten() {
            older(&mut session.detached);
            older(&mut session.idle);
            session.orphan.as_mut().map(older);
        }
        for worker in &mut self.workers {
            worker.unwanted.as_mut().map(older);
        }
    }

    pub(crate) fn look(&self) -> Look {
        let workers = self.workers.iter().map(|worker| (worker.name, worker.parent)).collect();
        Look { process: self.process, workers }
    }

    pub(crate) fn table(&self, tells: Tells) -> Table {
        let clocks = tells == Tells::Clocks;
        let told = |age: Age, told: bool| told.then_some(age.min(GRACE));
        let row = |(place, session): (usize, &Option<Sess>)| {
            let session = session.as_ref()?;
            let name = Name { place: u8::try_from(place).unwrap(), opening: session.opening };
            Some(Row {
                name,
                is_attached: session.is_attached,
                is_running: session.is_running,
                detached_for: told(session.detached, clocks && !session.is_attached),
                idle_for: told(session.idle, clocks && !session.is_running),
                activity: (!clocks).then_some(session.activity),
                has_worker: self.workers.iter().any(|worker| worker.name == name),
                orphan_for: session.orphan.map(|age| age.min(GRACE)),
            })
        };
        Table {
            process: self.process,
            run: self.run,
            rows: self.sessions.iter().enumerate().filter_map(row).collect(),
        }
    }

    /// The gateway closes the session only if it is an orphan now. Its worker stays: gateways leak.
    pub(crate) fn close(&mut self, name: Name, run: Token, luck: Luck) -> Answer {
        if luck == Luck::Lost {
            return Answer::None;
        }
        let place = usize::from(name.place);
        let answer = match &self.sessions[place] {
            _ if run != self.run => Answer::AnotherRun,
            Some(session) if session.opening == name.opening && session.orphan.is_none() => Answer::NoOrphan,
            Some(session) if session.opening == name.opening => Answer::Reaped,
            _ => Answer::Gone,
        };
        if answer == Answer::Reaped {
            self.sessions[place] = None;
            for worker in self.workers.iter_mut().filter(|worker| worker.name == name) {
                worker.unwanted = Some(0);
            }
        }
        if luck == Luck::NoAnswer { Answer::None } else { answer }
    }

    /// The worker's end, if it is still that very process.
    pub(crate) fn signal(&mut self, name: Name) -> Result<(), String> {
        let Some(place) = self.workers.iter().position(|worker| worker.name == name) else { return Ok(()) };
        let worker = self.workers.remove(place);
        match worker.unwanted {
            None => Err(format!("a signal to {name:?}, the worker of a live session")),
            Some(_) => Ok(()),
        }
    }

    /// What is left that nobody needs.
    pub(crate) fn leftover(&self) -> Option<String> {
        let session = self.sessions.iter().flatten().find(|session| session.orphan.is_some());
        let worker = self.workers.iter().find(|worker| worker.unwanted.is_some());
        session
            .map(|session| format!("{session:?} is never reaped"))
            .or_else(|| worker.map(|worker| format!("{worker:?} is never reaped")))
    }
}
