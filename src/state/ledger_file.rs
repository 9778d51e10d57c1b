//! The ledger on disk. If it is damaged, of another boot, restored from a copy or dated in the future, the clocks start again, that is said,
//! and the run goes on.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::lock::{self, Last, Lock};
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

/// What was found of the ledger.
#[derive(Debug)]
pub enum Remembered {
    /// A ledger of this boot.
    Kept(Ledger),
    /// The same, but a later look could not be written down: what that saw is not known, so every grace starts again.
    Outdated(Ledger),
    /// There is none yet.
    Nothing,
    /// One that can't be used, and why; every grace starts again.
    StartedAgain(String),
}

impl Remembered {
    /// The ledger to go on with.
    pub fn into_ledger(self) -> Ledger {
        match self {
            Self::Kept(ledger) | Self::Outdated(ledger) => ledger,
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
        let unusable = |answer| StateError::Unusable { path: path.clone(), what: "read", answer };
        let last = lock.last().map_err(unusable)?;
        let remembered = judge_last(files::read(&path).map_err(unusable)?.as_deref(), last, boot, now);
        let on_disk = match &remembered {
            Remembered::Kept(ledger) => Some(ledger.clone()),
            Remembered::Outdated(_) | Remembered::Nothing | Remembered::StartedAgain(_) => None,
        };
        // A new count begins where no earlier one of this boot has been: a copy put back from before the loss must not fit by chance.
        Ok((Self { on_disk, sequence: last.map_or(now.as_nanos(), |last| last.sequence) }, remembered))
    }

    /// The file is gone with its directory: the next one is written whatever it says.
    pub fn is_gone(&mut self) {
        self.on_disk = None;
    }

    /// A look could not be written down: the ledger is of use to the next run, its grace clocks are not.
    ///
    /// # Errors
    /// That could not be written either.
    pub fn is_outdated(&mut self, lock: &Lock) -> io::Result<()> {
        self.on_disk = None;
        lock.set_outdated()
    }

    /// Writes it, if it isn't what is there already.
    ///
    /// # Errors
    /// It could not be written; what is there is the old one, or one that will be recognised as not the last.
    pub fn save(&mut self, dir: &Path, lock: &Lock, ledger: &Ledger) -> io::Result<()> {
        if self.on_disk.as_ref().is_some_and(|on_disk| ledger.is_told_by(on_disk)) {
            return Ok(());
        }
        let sequence = self.sequence.saturating_add(1);
        let bytes = serde_json::to_vec(&Stored { version: VERSION, sequence, ledger })?;
        // The number before the ledger: if this run dies in between, the ledger is not the last one, and the graces start again. And after
        // its bytes, for which there may be no room: then the old one stays of use.
        files::replace_after(&dir.join(NAME), &bytes, || {
            lock.set_sequence(sequence)?;
            (self.sequence, self.on_disk) = (sequence, None);
            Ok(())
        })?;
        self.on_disk = Some(Ledger { unfinished: Vec::new(), ..ledger.clone() });
        Ok(())
    }
}

/// One word for why a ledger can't be used, for the metrics.
pub fn word_of(why: &str) -> &'static str {
    const WORDS: [(&str, &str); 6] = [
        ("it is missing", "missing"),
        ("it is damaged", "damaged"),
        ("it has version", "version"),
        ("it is not the one", "replaced"),
        ("it is from before the machine", "boot"),
        ("it is dated in the future", "future"),
    ];
    WORDS.iter().find(|(begin, _)| why.starts_with(begin)).map_or("unreadable", |(_, word)| word)
}

/// Reads the ledger without the lock, for a command that only reads.
pub fn peek(dir: &Path, boot: &BootId, now: Awake) -> Remembered {
    let read = || -> io::Result<_> { Ok((lock::last_of(dir)?, files::read(&dir.join(NAME))?)) };
    match read() {
        Ok((last, bytes)) => judge_last(bytes.as_deref(), last, boot, now),
        Err(error) => Remembered::StartedAgain(format!("it can't be read: {error}")),
    }
}

/// The ledger in these bytes, if it can be used; `expected` is the number of the one that was written last.
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
        Ok(()) => Remembered::Kept(stored.ledger.as_read(now)),
        Err(why) => Remembered::StartedAgain(why.into()),
    }
}

/// The same where it is known whether a later look could not be written down.
fn judge_last(bytes: Option<&[u8]>, last: Option<Last>, boot: &BootId, now: Awake) -> Remembered {
    match judge(bytes, last.map(|last| last.sequence), boot, now) {
        Remembered::Kept(ledger) if last.is_some_and(|last| last.is_outdated) => {
            Remembered::Outdated(ledger.with_graces_to_start_again())
        }
        remembered => remembered,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ledger::{GatewayMemory, SessionClock, Unfinished};

    fn boot() -> BootId {
        "this boot".into()
    }

    const NOW: Awake = Awake::from_nanos(100);

    fn ledger(whole_look: u64) -> Ledger {
        Ledger { boot: Some(boot()), whole_look: Some(Awake::from_nanos(whole_look)), ..Ledger::default() }
    }

    /// One run: what it remembered, after it has saved this.
    fn run(dir: &Path, save: &Ledger) -> Remembered {
        let lock = lock::take(dir);
        let (mut file, remembered) = LedgerFile::load(dir, &lock, &boot(), NOW).unwrap();
        file.save(dir, &lock, save).unwrap();
        remembered
    }

    fn kept(remembered: Remembered) -> Ledger {
        match remembered {
            Remembered::Kept(ledger) => ledger,
            other => panic!("{other:?}"),
        }
    }

    fn why(remembered: Remembered) -> String {
        match remembered {
            Remembered::StartedAgain(why) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_one_run_saves_is_read_by_the_next_and_by_one_that_only_looks() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(peek(dir.path(), &boot(), NOW), Remembered::Nothing));
        assert!(matches!(run(dir.path(), &ledger(1)), Remembered::Nothing));
        assert_eq!(kept(peek(dir.path(), &boot(), NOW)), ledger(1));
        assert_eq!(kept(run(dir.path(), &ledger(2))), ledger(1));
        assert_eq!(kept(run(dir.path(), &ledger(3))), ledger(2));
        assert_eq!(kept(peek(dir.path(), &boot(), NOW)).whole_look, ledger(3).whole_look);
        assert_eq!(kept(Remembered::Kept(ledger(3))), Remembered::Kept(ledger(3)).into_ledger());
    }

    #[test]
    fn one_that_was_put_back_from_a_copy_is_not_taken_for_the_last_one() {
        let dir = tempfile::tempdir().unwrap();
        run(dir.path(), &ledger(1));
        let copy = std::fs::read(dir.path().join(NAME)).unwrap();
        run(dir.path(), &ledger(2));
        std::fs::write(dir.path().join(NAME), copy).unwrap();
        assert_eq!(why(run(dir.path(), &ledger(3))), "it is not the one that was written last");
        assert_eq!(kept(run(dir.path(), &ledger(4))), ledger(3));
    }

    #[test]
    fn one_that_could_not_be_written_leaves_the_old_one_of_use_but_for_its_graces() {
        let dir = tempfile::tempdir().unwrap();
        let in_the_way = dir.path().join("ledger.new");
        let with_a_clock = |whole_look| {
            let clock = SessionClock {
                since: Awake::from_nanos(1),
                activity: None,
                claims_after: None,
                started: None,
                worker: None,
                failures: 0,
            };
            let memory = GatewayMemory { sessions: [("a".into(), clock)].into(), ..GatewayMemory::default() };
            Ledger { gateways: [("desk".into(), memory)].into(), ..ledger(whole_look) }
        };
        let fails = |save: &Ledger| {
            let lock = lock::take(dir.path());
            let (mut file, _) = LedgerFile::load(dir.path(), &lock, &boot(), NOW).unwrap();
            std::fs::create_dir(&in_the_way).unwrap();
            file.save(dir.path(), &lock, save).unwrap_err();
            std::fs::remove_dir(&in_the_way).unwrap();
            file.is_outdated(&lock).unwrap();
            (lock, file)
        };
        let outdated = |remembered| match remembered {
            Remembered::Outdated(ledger) => ledger,
            other => panic!("{other:?}"),
        };
        run(dir.path(), &with_a_clock(1));
        drop(fails(&with_a_clock(2)));
        let read = outdated(peek(dir.path(), &boot(), NOW));
        assert_eq!(read.whole_look, ledger(1).whole_look);
        let memory = &read.gateways[&"desk".into()];
        assert!(memory.sessions.is_empty() && memory.restart.contains(&"a".into()), "{memory:?}");
        // What is read then is written whatever it says, so that the graces start again only once.
        assert_eq!(outdated(run(dir.path(), &read)), read);
        assert_eq!(kept(run(dir.path(), &with_a_clock(3))), read);
        // A copy that is put back is none the less not the last one.
        let copy = std::fs::read(dir.path().join(NAME)).unwrap();
        run(dir.path(), &with_a_clock(4));
        drop(fails(&with_a_clock(5)));
        std::fs::write(dir.path().join(NAME), copy).unwrap();
        assert_eq!(why(peek(dir.path(), &boot(), NOW)), "it is not the one that was written last");
        // The run that could not write goes on, and writes it when it can.
        run(dir.path(), &with_a_clock(6));
        let (lock, mut file) = fails(&with_a_clock(7));
        file.save(dir.path(), &lock, &with_a_clock(6)).unwrap();
        drop((lock, file));
        assert_eq!(kept(peek(dir.path(), &boot(), NOW)), with_a_clock(6));
    }

    #[test]
    fn nor_is_a_copy_from_before_everything_was_lost() {
        let dir = tempfile::tempdir().unwrap();
        let life = |now: Awake| {
            let lock = lock::take(dir.path());
            let (mut file, _) = LedgerFile::load(dir.path(), &lock, &boot(), now).unwrap();
            file.save(dir.path(), &lock, &ledger(1)).unwrap();
        };
        life(NOW);
        let copy = std::fs::read(dir.path().join(NAME)).unwrap();
        for file in std::fs::read_dir(&dir).unwrap() {
            std::fs::remove_file(file.unwrap().path()).unwrap();
        }
        life(NOW + std::time::Duration::from_secs(1));
        std::fs::write(dir.path().join(NAME), copy).unwrap();
        assert_eq!(why(peek(dir.path(), &boot(), NOW)), "it is not the one that was written last");
    }

    #[test]
    fn one_that_is_missing_damaged_or_of_another_version_starts_the_graces_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NAME);
        run(dir.path(), &ledger(1));
        let whole = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, whole.replace("\"version\":1", "\"version\":2")).unwrap();
        assert_eq!(why(peek(dir.path(), &boot(), NOW)), "it has version 2, not 1");
        std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        assert!(why(peek(dir.path(), &boot(), NOW)).starts_with("it is damaged: "));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(why(peek(dir.path(), &boot(), NOW)), "it is missing");
        std::fs::create_dir(&path).unwrap();
        assert!(why(peek(dir.path(), &boot(), NOW)).starts_with("it can't be read: "));
    }

    /// There an inode of 0 stands for none.
    #[test]
    fn one_of_an_earlier_release_is_read() {
        let workers = |inodes: [&str; 2]| {
            let [one, other] = inodes;
            format!(
                r#"{{"version":1,"sequence":1,"ledger":{{"boot":"this boot","whole_look":50,"gateways":{{"desk":{{"process":null,"run":null,"workers":[
                {{"identity":{{"pid":7,"start_ticks":70{one}}},"bond":"none"}},{{"identity":{{"pid":8,"start_ticks":70{other}}},"bond":"none"}}]}}}}}}}}"#
            )
        };
        let read = |text: String| kept(judge(Some(text.as_bytes()), Some(1), &boot(), NOW));
        let earlier = read(workers([r#","inode":0"#, r#","inode":9"#]));
        assert_eq!(earlier, read(workers(["", r#","inode":9"#])));
        let written = serde_json::to_string(&earlier).unwrap();
        assert!(written.contains(r#"{"pid":7,"start_ticks":70}"#), "{written}");
        assert!(written.contains(r#"{"pid":8,"start_ticks":70,"inode":9}"#), "{written}");
    }

    #[test]
    fn one_of_another_boot_or_from_the_future_starts_the_graces_again() {
        let dir = tempfile::tempdir().unwrap();
        run(dir.path(), &ledger(50));
        let of_another_boot = peek(dir.path(), &"another boot".into(), NOW);
        assert_eq!(why(of_another_boot), "it is from before the machine was started");
        assert_eq!(why(peek(dir.path(), &boot(), Awake::from_nanos(49))), "it is dated in the future");
        kept(peek(dir.path(), &boot(), Awake::from_nanos(50)));
    }

    #[test]
    fn nothing_is_written_when_nothing_changed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NAME);
        let lock = lock::take(dir.path());
        let (mut file, _) = LedgerFile::load(dir.path(), &lock, &boot(), NOW).unwrap();
        let worker = crate::domain::process::ProcessIdentity {
            pid: crate::domain::ids::Pid::INIT,
            start_ticks: 1,
            inode: None,
        };
        let orphan = crate::domain::orphan::OrphanKind::OwnerlessWorker;
        let begun = Unfinished {
            gateway: "gw".into(),
            orphan,
            asked: None,
            worker,
            members: vec![worker],
            stopping: false,
            may_be_of: Vec::new(),
        };
        let with_a_tree = Ledger { unfinished: vec![begun], ..ledger(1) };
        let is_written = |file: &mut LedgerFile, ledger: &Ledger| {
            let _ = std::fs::remove_file(&path);
            file.save(dir.path(), &lock, ledger).unwrap();
            path.exists()
        };
        assert!(is_written(&mut file, &with_a_tree));
        assert!(!is_written(&mut file, &ledger(1)), "trees in hand are the journal's");
        assert!(is_written(&mut file, &ledger(2)));
        assert!(!is_written(&mut file, &ledger(2)));
    }
}
