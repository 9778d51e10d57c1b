//! A state directory: the ledger with its sequence number, the lock file that repeats it, the journal of trees in hand. And, beside it,
//! the truth about what the looks that it remembers have seen.

use std::collections::BTreeMap;

use gateway_reaper::domain::ids::BootId;
use gateway_reaper::domain::ledger::{Ledger, Unfinished};
use gateway_reaper::domain::process::ProcessIdentity;
use gateway_reaper::domain::time::Awake;

/// A line of the journal. Process identities mean nothing in another boot, so each line says its own.
#[derive(Debug, Clone)]
pub(crate) enum Line {
    InHand(BootId, Unfinished),
    PutDown(ProcessIdentity),
}

#[derive(Debug, Clone, Default)]
struct Content {
    ledger: Option<(u64, Ledger)>,
    lock: u64,
    journal: Vec<Line>,
}

/// What the looks that count have seen of a session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sight {
    /// The first look of an unbroken row of them that saw it as an orphan.
    pub(crate) first: u64,
}

/// A state directory.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    now: Content,
    before: Vec<Content>,
    /// Nothing can be written until then.
    pub(crate) full_until: u64,
    /// Sessions as the remembered looks saw them, by serial number.
    pub(crate) sights: BTreeMap<u64, Sight>,
    /// When a remembered look saw it as no orphan, by serial number.
    pub(crate) spared: BTreeMap<u64, u64>,
    /// When the gateway's clocks started at the latest, as the remembered looks saw them, by serial number.
    pub(crate) starts: BTreeMap<u64, u64>,
    /// When the tables of the last look were written.
    pub(crate) looked: Option<u64>,
    /// Stopped until then.
    pub(crate) frozen_until: u64,
    /// So long each line of the audit log takes, until then.
    pub(crate) slow: (u64, u64),
    /// It was put back whole, which nothing can tell: the rows of looks in it may have gaps.
    pub(crate) gaps: bool,
    /// How often memory was lost.
    pub(crate) losses: u64,
}

impl Disk {
    /// What a run finds: the ledger, if it can be of use, with what is unfinished.
    pub(crate) fn load(&self, boot: &BootId, now: Awake) -> Ledger {
        let fit = |(seq, ledger): &(u64, Ledger)| {
            let fits = *seq == self.now.lock && ledger.check(boot, now).is_ok();
            fits.then(|| ledger.clone())
        };
        let mut ledger = self.now.ledger.as_ref().and_then(fit).unwrap_or_default();
        ledger.unfinished = self.unfinished(boot);
        ledger
    }

    /// The trees in hand: the last line of each worker wins.
    pub(crate) fn unfinished(&self, boot: &BootId) -> Vec<Unfinished> {
        let mut open: Vec<Unfinished> = Vec::new();
        for line in &self.now.journal {
            match line {
                Line::InHand(of, tree) if of == boot => {
                    open.retain(|other| other.worker != tree.worker);
                    open.push(tree.clone());
                }
                Line::InHand(..) => {}
                Line::PutDown(worker) => open.retain(|other| other.worker != *worker),
            }
        }
        open
    }

    /// Writes the ledger, the number of the lock file last, and starts the journal again with what is unfinished.
    pub(crate) fn save(&mut self, boot: &BootId, ledger: &Ledger, afresh: bool) {
        self.before.push(self.now.clone());
        if self.before.len() > 4 {
            self.before.remove(0);
        }
        // A new count begins where no earlier one has been, as the real one does.
        let last = if self.now.lock == 0 { self.losses << 32 } else { self.now.lock };
        let seq = last + 1;
        let mut kept = ledger.clone();
        if afresh {
            self.now.journal =
                kept.unfinished.drain(..).map(|tree| Line::InHand(boot.clone(), tree)).collect();
        }
        kept.unfinished.clear();
        self.now.ledger = Some((seq, kept));
        self.now.lock = seq;
    }

    pub(crate) fn write(&mut self, line: Line) {
        self.now.journal.push(line);
    }

    /// Nothing is left of it.
    pub(crate) fn lose(&mut self) {
        self.now = Content::default();
        self.forget();
    }

    pub(crate) fn tear_ledger(&mut self) {
        self.now.ledger = None;
        self.forget();
    }

    pub(crate) fn tear_journal(&mut self) {
        let half = self.now.journal.len() / 2;
        self.now.journal.truncate(half);
        self.losses += 1;
    }

    /// An older ledger under the present lock file.
    pub(crate) fn roll_ledger_back(&mut self) {
        if let Some(older) = self.before.first() {
            self.now.ledger = older.ledger.clone();
            self.forget();
        }
    }

    /// Everything as it was a while ago.
    pub(crate) fn roll_back(&mut self) {
        if let Some(older) = self.before.first() {
            self.now = older.clone();
            self.gaps = true;
            self.losses += 1;
        }
    }

    /// Another machine's.
    pub(crate) fn replace(&mut self) {
        let foreign = BootId::from("another machine");
        if let Some((_, ledger)) = &mut self.now.ledger {
            ledger.boot = Some(foreign.clone());
        }
        for line in &mut self.now.journal {
            if let Line::InHand(boot, _) = line {
                *boot = foreign.clone();
            }
        }
        self.forget();
    }

    fn forget(&mut self) {
        self.sights.clear();
        self.spared.clear();
        self.starts.clear();
        self.looked = None;
        self.losses += 1;
    }
}
