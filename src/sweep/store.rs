//! The memory of the runs: opened and locked once, read once, written when it changed.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use super::recorder::{Holds, Recorder};
use crate::domain::ids::{BootId, GatewayName};
use crate::domain::ledger::{Ledger, Unfinished};
use crate::domain::time::Awake;
use crate::domain::veto::Vetoes;
use crate::operate::{Notebook, Runner};
use crate::reap::linux::LinuxKernel;
use crate::reap::release::let_go;
use crate::report::Report;
use crate::sources::clock;
use crate::sources::processes::ProcessesError;
use crate::state::audit::Audit;
use crate::state::holds;
use crate::state::journal::Journal;
use crate::state::ledger_file::{self, LedgerFile, Remembered};
use crate::state::lock::Lock;
use crate::state::log::Rotation;
use crate::state::{self, StateError};

/// The state directory in use.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    lock: Lock,
    file: LedgerFile,
    journal: Journal,
    ledger: Ledger,
    rotation: Rotation,
    /// Another process takes the next look.
    is_read_again: bool,
    notes: Notebook,
    /// What was held by hand at the last look.
    held: holds::Remembered,
    /// Why that can't be read, as the log was told.
    unread: Option<String>,
}

impl Store {
    /// Opens the state directory, takes its lock, and reads what is remembered. What is of no use is said, and started again.
    ///
    /// # Errors
    /// The directory can't be used, or another run holds its lock.
    pub fn open(dir: &Path, boot: &BootId, now: Awake) -> Result<Self, StateError> {
        state::open(dir, rustix::process::geteuid().as_raw())?;
        let lock = take_lock(dir)?;
        let (file, remembered) = LedgerFile::load(dir, &lock, boot, now)?;
        let unusable =
            |answer| StateError::Unusable { path: dir.join("in-hand.jsonl"), what: "read", answer };
        let journal = Journal::load(dir, boot).map_err(unusable)?;
        let mut notes = Notebook::open(dir);
        match &remembered {
            Remembered::StartedAgain(why) => notes.memory_was_reset(ledger_file::word_of(why)),
            Remembered::Outdated(_) => notes.memory_was_reset("outdated"),
            Remembered::Kept(_) | Remembered::Nothing => {}
        }
        let ledger = with_unfinished(tell(dir, remembered), &journal);
        let (dir, rotation, held) = (dir.to_owned(), Rotation::default(), holds::Remembered::default());
        let (is_read_again, unread) = (false, None);
        Ok(Self { dir, lock, file, journal, ledger, rotation, is_read_again, notes, held, unread })
    }

    /// Reads what runs with these gateways remember, without touching anything.
    pub fn peek(dir: &Path, gateways: &BTreeSet<GatewayName>, boot: &BootId, now: Awake) -> Ledger {
        let ledger = tell(dir, ledger_file::peek(dir, boot, now)).of_configuration(gateways);
        Ledger { unfinished: Journal::peek(dir, boot), ..ledger }
    }

    /// Says who makes the runs from now on, for which gateways, and how large their audit log may grow.
    pub fn run_by(&mut self, runner: &Runner, rotation: Rotation) {
        let gateways = runner.kinds.iter().map(|(name, _)| name.as_str().into()).collect();
        self.ledger = std::mem::take(&mut self.ledger).of_configuration(&gateways);
        self.rotation = rotation;
        self.is_read_again = runner.interval.is_none();
        self.notes.run_by(runner, rotation);
    }

    /// What is written down of every run, for people.
    pub fn notes(&mut self) -> &mut Notebook {
        &mut self.notes
    }

    /// What an operator forbids now.
    pub fn vetoes(&self) -> Vetoes {
        holds::vetoes(&self.dir, clock::wall_now())
    }

    /// The state directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What is remembered.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Remembers what is held by hand: if the directory is removed, it is held all the same.
    ///
    /// # Errors
    /// The directory was removed and can't be made again.
    pub(super) fn remember_holds(&mut self) -> io::Result<()> {
        let held = holds::Remembered::read(&self.dir, clock::wall_now());
        // Asked for after that was read: what is read of a directory that is removed meanwhile is not what is held.
        if !self.lock.is_in_place(&self.dir) {
            return self.make_again().map_err(io::Error::other);
        }
        // What can't be read forbids everything.
        match held {
            Ok(held) => (self.held, self.unread) = (held, None),
            Err(error) => {
                let why = Some(error.to_string());
                if self.unread != why {
                    let path = self.dir.join(holds::NAME);
                    tracing::warn!("nothing is reaped as long as {} can't be used: {error}", path.display());
                }
                self.unread = why;
            }
        }
        Ok(())
    }

    /// Lets go what an interrupted run left stopped.
    ///
    /// # Errors
    /// The processes can't be looked at.
    pub(super) fn let_go(&mut self) -> Result<(), ProcessesError> {
        if self.ledger.unfinished.iter().any(|tree| tree.stopping) {
            let_go(&mut LinuxKernel::new()?, &mut self.ledger.unfinished);
        }
        Ok(())
    }

    /// Remembers this from now on.
    ///
    /// # Errors
    /// It could not be written.
    pub fn remember(&mut self, ledger: Ledger) -> io::Result<()> {
        // Whether it can be written or not: what a look saw starts graces again.
        let before = std::mem::take(&mut self.ledger);
        self.ledger =
            Ledger { has_each_look: self.is_read_again, of: before.of, others: before.others, ..ledger };
        if !self.lock.is_in_place(&self.dir) {
            self.make_again().map_err(io::Error::other)?;
        }
        self.write().inspect_err(|_| {
            if let Err(error) = self.file.is_outdated(&self.lock) {
                tracing::debug!(%error, "that a look could not be written down can't be written down either");
            }
        })
    }

    fn write(&mut self) -> io::Result<()> {
        self.journal.keep(self.ledger.unfinished.clone())?;
        self.file.save(&self.dir, &self.lock, &self.ledger)
    }

    /// The directory, or the lock in it, was removed under a running `watch`: by a cleaner of temporary files, say. Nothing is lost but the
    /// files, unless another run has the lock by now.
    fn make_again(&mut self) -> Result<(), StateError> {
        state::open(&self.dir, rustix::process::geteuid().as_raw())?;
        self.lock = take_lock(&self.dir)?;
        let now = clock::wall_now();
        let unwritable =
            |answer| StateError::Unusable { path: self.dir.join("holds.json"), what: "write", answer };
        let held = self.held.put_back(&self.dir, now).map_err(unwritable)?;
        tracing::warn!(
            dir = %self.dir.display(),
            held,
            "the state directory was removed and is made again, with what was held; keep cleaners of temporary files away from it"
        );
        if let Ok(held) = holds::Remembered::read(&self.dir, now) {
            self.held = held;
        }
        self.file.is_gone();
        let unusable =
            |answer| StateError::Unusable { path: self.dir.join("in-hand.jsonl"), what: "write", answer };
        self.journal.make_again().map_err(unusable)
    }

    /// The record of a run's acts. What they leave unfinished is known to the next run.
    pub fn recorder(&mut self, report: &Report) -> Recorder<'_> {
        let audit = Audit::new(&self.dir, report.run(), self.rotation, self.notes.dossier(report));
        Recorder { audit, journal: &mut self.journal, holds: Holds::new(&self.dir) }
    }

    /// What acts left unfinished.
    pub fn unfinished(&self) -> Vec<Unfinished> {
        self.journal.unfinished().to_vec()
    }
}

fn take_lock(dir: &Path) -> Result<Lock, StateError> {
    let lock = Lock::take(dir)?;
    let arguments: Vec<_> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let command = arguments.join(" ");
    if let Err(error) = lock.held_by(&command, clock::wall_now()) {
        tracing::debug!(%error, "who holds the lock could not be written into it");
    }
    Ok(lock)
}

fn with_unfinished(ledger: Ledger, journal: &Journal) -> Ledger {
    Ledger { unfinished: journal.unfinished().to_vec(), ..ledger }
}

fn tell(dir: &Path, remembered: Remembered) -> Ledger {
    match &remembered {
        Remembered::StartedAgain(why) => {
            tracing::warn!(dir = %dir.display(), "the memory is of no use ({why}); every grace starts again");
        }
        Remembered::Outdated(_) => {
            tracing::warn!(dir = %dir.display(), "the last look could not be written down; every grace starts again");
        }
        Remembered::Kept(_) | Remembered::Nothing => {}
    }
    remembered.into_ledger()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::state::holds::Hold;

    fn hold(name: Option<&str>, why: &str) -> Hold {
        Hold {
            gateway: name.map(|_| "desk".into()),
            name: name.map(Into::into),
            key: None,
            pid: None,
            until: clock::wall_now() + Duration::from_secs(3600),
            why: Some(why.into()),
        }
    }

    /// As a command does it.
    fn write(dir: &Path, holds: &[Hold]) {
        state::open(dir, rustix::process::geteuid().as_raw()).unwrap();
        let _lock = holds::lock(dir).unwrap();
        holds::save(dir, holds.to_vec()).unwrap();
    }

    fn held(dir: &Path) -> Vec<(Option<String>, String)> {
        let holds = holds::load(dir, clock::wall_now()).unwrap();
        let mut held: Vec<_> = holds.into_iter().map(|hold| (hold.name, hold.why.unwrap())).collect();
        held.sort();
        held
    }

    fn store_with(dir: &Path, holds: &[Hold]) -> Store {
        let mut store = Store::open(dir, &BootId::from("boot"), clock::awake_now()).unwrap();
        write(dir, holds);
        store.remember_holds().unwrap();
        store
    }

    #[test]
    fn what_was_held_joins_what_is_held_since_the_directory_was_removed() {
        let above = tempfile::tempdir().unwrap();
        let dir = above.path().join("state");
        let mut store =
            store_with(&dir, &[hold(None, "paused"), hold(Some("a"), "old"), hold(Some("b"), "old")]);
        for _ in 0..2 {
            std::fs::remove_dir_all(&dir).unwrap();
            write(&dir, &[hold(Some("b"), "new"), hold(Some("c"), "new")]);
            store.remember_holds().unwrap();
            let said = |name: &str, why: &str| (Some(name.to_owned()), why.to_owned());
            let all = [(None, "paused".to_owned()), said("a", "old"), said("b", "new"), said("c", "new")];
            assert_eq!(held(&dir), all);
        }
    }

    #[test]
    fn what_was_released_stays_released_where_only_the_lock_was_removed() {
        let above = tempfile::tempdir().unwrap();
        let dir = above.path().join("state");
        let mut store = store_with(&dir, &[hold(Some("a"), "old"), hold(Some("b"), "old")]);
        write(&dir, &[hold(Some("b"), "old")]);
        std::fs::remove_file(dir.join("lock")).unwrap();
        store.remember_holds().unwrap();
        assert_eq!(held(&dir), [(Some("b".to_owned()), "old".to_owned())]);
    }

    #[test]
    fn what_was_released_before_the_last_look_is_not_put_back() {
        let above = tempfile::tempdir().unwrap();
        let dir = above.path().join("state");
        let mut store = store_with(&dir, &[hold(Some("a"), "old")]);
        write(&dir, &[]);
        store.remember_holds().unwrap();
        std::fs::remove_dir_all(&dir).unwrap();
        write(&dir, &[hold(Some("b"), "new")]);
        store.remember_holds().unwrap();
        assert_eq!(held(&dir), [(Some("b".to_owned()), "new".to_owned())]);
    }
}
