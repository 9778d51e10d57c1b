//! A session as its gateway knows it, with the truth about how long it has been an orphan.

use std::collections::BTreeMap;
use std::time::Duration;

use gateway_reaper::domain::ids::Pid;
use gateway_reaper::domain::table::{Session, Told, Transport, Turn};

use super::event::{Field, Slot};
use super::procs::Serial;
use super::setup::{Clocks, Tells};

/// Where a session is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    /// Its worker is there before its row is.
    Unlisted,
    Live,
    /// Its gateway's process gives no table any more, and goes on with it.
    Draining,
    /// Its gateway is down; the next run takes it back.
    Suspended,
    /// Its gateway closed it.
    Closed,
}

/// One session.
#[derive(Debug, Clone)]
pub(crate) struct Sess {
    pub(crate) serial: u64,
    pub(crate) slot: Slot,
    pub(crate) id: String,
    pub(crate) key: String,
    pub(crate) gateway: usize,
    pub(crate) life: Life,
    pub(crate) transport: Transport,
    pub(crate) turn: Turn,
    pub(crate) holds: Vec<&'static str>,
    pub(crate) close_on_disconnect: bool,
    pub(crate) obscured: Option<Field>,
    pub(crate) misnamed: Option<u32>,
    /// What started its worker, and exited: its row names that.
    pub(crate) launcher: Option<u32>,
    pub(crate) worker: Option<Serial>,
    pub(crate) detached_at: u64,
    pub(crate) idle_at: u64,
    /// How long the machine had slept by then.
    pub(crate) detached_slept: u64,
    pub(crate) idle_slept: u64,
    pub(crate) activity: u64,
    /// The truth: it has been an orphan since, without a break.
    pub(crate) orphan_since: Option<u64>,
    /// Its gateway closed it, or died, then.
    pub(crate) closed_at: Option<u64>,
    /// A reaper that had every reason to asked for its end.
    pub(crate) condemned: bool,
    /// Its gateway closed it because a reaper asked.
    pub(crate) taken: bool,
    /// Its worker was started below this one, another session's.
    pub(crate) nested_in: Option<Serial>,
    /// What its rows say as its key, if its conversation got another one since the worker was started.
    pub(crate) rotated: Option<String>,
}

/// What a row depends on besides its session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    pub(crate) now: u64,
    pub(crate) slept: u64,
    pub(crate) counts_sleep: bool,
    pub(crate) hides_keys: bool,
}

impl Sess {
    /// Detached, idle and not held: the whole truth.
    pub(crate) fn is_orphan(&self) -> bool {
        self.life == Life::Live
            && self.transport == Transport::Detached
            && self.turn == Turn::Idle
            && self.holds.is_empty()
    }

    /// It did something: the gateway's activity changes.
    pub(crate) fn acts(&mut self, now: u64) {
        self.activity += 1;
        self.settles(now);
    }

    /// Writes down whether it is an orphan now.
    pub(crate) fn settles(&mut self, now: u64) {
        if self.life == Life::Closed {
            self.closed_at.get_or_insert(now);
        }
        self.orphan_since = if self.is_orphan() { self.orphan_since.or(Some(now)) } else { None };
    }

    /// Anything at all happened to it: whatever its clock said, it starts again.
    pub(crate) fn stirs(&mut self, now: u64) {
        self.orphan_since = None;
        self.acts(now);
    }

    /// Its row of the table.
    /// The key that its rows say.
    pub(crate) fn told_key(&self) -> &str {
        self.rotated.as_deref().unwrap_or(&self.key)
    }

    pub(crate) fn row(&self, tells: &Tells, worker: Option<u32>, now: Clock) -> Session {
        let odd = |field| self.obscured == Some(field);
        let nonsense = || "?!".into();
        let clock = |since: u64, slept: u64, told: bool| {
            let slept = if now.counts_sleep { now.slept.saturating_sub(slept) } else { 0 };
            told.then(|| Duration::from_millis(now.now - since + slept))
        };
        let (detached, idle) = (self.transport == Transport::Detached, self.turn == Turn::Idle);
        let told = |field, value| if odd(field) { Told::NotUnderstood(nonsense()) } else { value };
        Session {
            id: self.id.as_str().into(),
            key: if odd(Field::Key) {
                Told::NotUnderstood(nonsense())
            } else if now.hides_keys {
                Told::Absent
            } else {
                Told::Known(self.told_key().into())
            },
            transport: match self.obscured {
                Some(Field::Transport) => Told::NotUnderstood(nonsense()),
                Some(Field::TransportMissing) => Told::Absent,
                _ => Told::Known(self.transport),
            },
            turn: match self.obscured {
                Some(Field::Turn) => Told::NotUnderstood(nonsense()),
                Some(Field::TurnMissing) => Told::Absent,
                _ => Told::Known(self.turn),
            },
            detached_for: clock(
                self.detached_at,
                self.detached_slept,
                detached && matches!(tells.clocks, Clocks::Both | Clocks::DetachedOnly),
            ),
            idle_for: clock(
                self.idle_at,
                self.idle_slept,
                idle && matches!(tells.clocks, Clocks::Both | Clocks::IdleOnly),
            ),
            activity: tells.activity.then(|| self.activity.to_string().into()),
            close_on_disconnect: if odd(Field::CloseOnDisconnect) {
                Told::NotUnderstood(nonsense())
            } else {
                Told::Known(self.close_on_disconnect)
            },
            holds: if odd(Field::Holds) {
                Told::NotUnderstood(nonsense())
            } else {
                Told::Known(self.holds.iter().map(|hold| Box::from(*hold)).collect())
            },
            worker: told_worker(told(Field::Worker, Told::Absent), self.misnamed.or(worker), tells),
            shown: Default::default(),
        }
    }
}

fn told_worker(odd: Told<()>, worker: Option<u32>, tells: &Tells) -> Told<Option<Pid>> {
    match (odd, worker) {
        (Told::NotUnderstood(what), _) => Told::NotUnderstood(what),
        (_, worker) if tells.worker_pids => Told::Known(worker.and_then(|pid| Pid::new(pid.into()))),
        _ => Told::Absent,
    }
}

/// All sessions there ever were, by serial number, and who plays which part now.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    all: BTreeMap<u64, Sess>,
    cast: BTreeMap<Slot, u64>,
}

impl Sessions {
    pub(crate) fn get(&self, serial: u64) -> Option<&Sess> {
        self.all.get(&serial)
    }

    pub(crate) fn get_mut(&mut self, serial: u64) -> Option<&mut Sess> {
        self.all.get_mut(&serial)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Sess> {
        self.all.values()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Sess> {
        self.all.values_mut()
    }

    /// Who plays this part now.
    pub(crate) fn at(&self, slot: Slot) -> Option<&Sess> {
        self.all.get(self.cast.get(&slot)?)
    }

    pub(crate) fn next_serial(&self) -> u64 {
        self.all.len() as u64
    }

    pub(crate) fn add(&mut self, session: Sess) {
        self.cast.insert(session.slot, session.serial);
        self.all.insert(session.serial, session);
    }
}
