//! The ledger on disk. Damaged, foreign, put back from a copy or dated in the future: every one of those means to start the clocks
//! again, to say so, and to go on.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::lock::{self, Lock};
use super::{StateError, files};
use crate::domain::ids::BootId;
use crate::domain::ledger::Ledger;
use crate::domain::time::Awake;

const VERSION: u32 = 1;
const NAME: &str = "ledger.json";

#[derive(Serialize, Deserialize)]
struct Stored<L> {
    version: u32,
    sequence: u64,
    ledger: L,
}

/// What there was to remember.
#[derive(Debug)]
pub enum Remembered {
    /// This.
    Kept(Ledger),
    /// Nothing yet.
    Nothing,
    /// Something that is of no use, and why; every grace starts again.
    StartedAgain(String),
}

impl Remembered {
    /// The ledger to go on with.
    pub fn into_ledger(self) -> Ledger {
        match self {
            Self::Kept(ledger) => ledger,
            Self::Nothing | Self::StartedAgain(_) => Ledger::default(),
        }
    }
}

/// The ledger of the run that holds the lock.
#[derive(Debug)]
pub struct LedgerFile {
    /// As it is on disk, so that nothing is written when nothing changed.
    on_disk: Option<Ledger>,
    sequence: u64,
}

impl LedgerFile {
    /// Reads it.
    ///
    /// # Errors
    /// It is there and can't be read at all.
    pub fn load(
        dir: &Path,
        lock: &Lock,
        boot: &BootId,
        now: Awake,
    ) -> Result<(Self, Remembered), StateError> {
        let path = dir.join(NAME);
        let unusable = |source| StateError::Unusable { path: path.clone(), what: "read", source };
        let expected = lock.sequence().map_err(unusable)?;
        let remembered = judge(files::read(&path).map_err(unusable)?.as_deref(), expected, boot, now);
        let on_disk = match &remembered {
            Remembered::Kept(ledger) => Some(ledger.clone()),
            Remembered::Nothing | Remembered::StartedAgain(_) => None,
        };
        Ok((Self { on_disk, sequence: expected.unwrap_or(0) }, remembered))
    }

    /// Writes it, if it isn't what is there already.
    ///
    /// # Errors
    /// It could not be written; what is there is the old one, or one that will be recognised as not the last.
    pub fn save(&mut self, dir: &Path, lock: &Lock, ledger: &Ledger) -> io::Result<()> {
        if self.on_disk.as_ref() == Some(ledger) {
            return Ok(());
        }
        let sequence = self.sequence.saturating_add(1);
        let bytes = serde_json::to_vec(&Stored { version: VERSION, sequence, ledger })?;
        // The number first: if this run dies in between, the ledger is not the last one, and the graces start again.
        lock.set_sequence(sequence)?;
        self.sequence = sequence;
        self.on_disk = None;
        files::replace(&dir.join(NAME), &bytes)?;
        self.on_disk = Some(Ledger { unfinished: Vec::new(), ..ledger.clone() });
        Ok(())
    }
}

/// Reads the ledger without the lock, for somebody who only looks.
pub fn peek(dir: &Path, boot: &BootId, now: Awake) -> Remembered {
    let read = || -> io::Result<_> { Ok((lock::sequence_of(dir)?, files::read(&dir.join(NAME))?)) };
    match read() {
        Ok((expected, bytes)) => judge(bytes.as_deref(), expected, boot, now),
        Err(error) => Remembered::StartedAgain(format!("it can't be read: {error}")),
    }
}

/// What the bytes of a ledger are worth; `expected` is the number of the one that was written last.
pub fn judge(bytes: Option<&[u8]>, expected: Option<u64>, boot: &BootId, now: Awake) -> Remembered {
    let Some(bytes) = bytes else {
        return match expected {
            None => Remembered::Nothing,
            Some(_) => Remembered::StartedAgain("it is missing".into()),
        };
    };
    let stored: Stored<Ledger> = match serde_json::from_slice(bytes) {
        Ok(stored) => stored,
        Err(error) => return Remembered::StartedAgain(format!("it is damaged: {error}")),
    };
    if stored.version != VERSION {
        return Remembered::StartedAgain(format!("it has version {}, not {VERSION}", stored.version));
    }
    if Some(stored.sequence) != expected {
        return Remembered::StartedAgain("it is not the one that was written last".into());
    }
    match stored.ledger.check(boot, now) {
        Ok(()) => Remembered::Kept(stored.ledger),
        Err(why) => Remembered::StartedAgain(why.into()),
    }
}
