//! The journal of unfinished teardowns. Each is written before its first signal: if the run is killed in the middle, nothing else names
//! the processes that are left. Empty whenever no teardown is under way.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::files;
use crate::domain::ids::BootId;
use crate::domain::ledger::Unfinished;
use crate::domain::process::ProcessIdentity;

const NAME: &str = "in-hand.jsonl";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Line {
    /// The boot that all identities below belong to.
    Boot(BootId),
    /// The teardown of a tree is begun; of several lines on one worker the last counts.
    Take(Unfinished),
    /// It is finished.
    Put(ProcessIdentity),
}

/// The journal of the run that holds the lock.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    boot: BootId,
    open: Option<File>,
    unfinished: Vec<Unfinished>,
}

impl Journal {
    /// Reads what an earlier run left unfinished. What is damaged or of another boot is left out: the processes it speaks of can't be told.
    ///
    /// # Errors
    /// The file is there and can't be read.
    pub fn load(dir: &Path, boot: &BootId) -> io::Result<Self> {
        let path = dir.join(NAME);
        let bytes = files::read(&path)?.unwrap_or_default();
        let (unfinished, damaged) = parse(&bytes, boot);
        if damaged > 0 {
            tracing::warn!(
                path = %path.display(),
                "the journal of unfinished teardowns is damaged ({damaged} lines); what only they tell of is not ended"
            );
        }
        Ok(Self { path, boot: boot.clone(), open: None, unfinished })
    }

    /// Reads it without the lock, for a command that only reads.
    pub fn peek(dir: &Path, boot: &BootId) -> Vec<Unfinished> {
        Self::load(dir, boot).map(|journal| journal.unfinished).unwrap_or_default()
    }

    /// What is unfinished.
    pub fn unfinished(&self) -> &[Unfinished] {
        &self.unfinished
    }

    /// The file is gone with its directory: writes it anew.
    ///
    /// # Errors
    /// It could not be written.
    pub fn make_again(&mut self) -> io::Result<()> {
        self.rewrite()
    }

    /// Keeps only these, as the decision found them.
    ///
    /// # Errors
    /// It could not be written.
    pub fn keep(&mut self, left: Vec<Unfinished>) -> io::Result<()> {
        if self.unfinished == left {
            return Ok(());
        }
        self.unfinished = left;
        self.rewrite()
    }

    /// The teardown of a tree is begun.
    ///
    /// # Errors
    /// It could not be written; then nothing of it must be signalled.
    pub fn begun(&mut self, tree: &Unfinished) -> io::Result<()> {
        self.append(&Line::Take(tree.clone()))?;
        self.unfinished.retain(|known| known.worker != tree.worker);
        self.unfinished.push(tree.clone());
        Ok(())
    }

    /// The teardown of a tree is finished. If that can't be written, the next run finds its processes gone, or judges them anew.
    pub fn finished(&mut self, worker: &ProcessIdentity) {
        self.unfinished.retain(|known| known.worker != *worker);
        let written =
            if self.unfinished.is_empty() { self.rewrite() } else { self.append(&Line::Put(*worker)) };
        if let Err(error) = written {
            tracing::warn!(path = %self.path.display(), %error, "the journal of unfinished teardowns could not be updated");
        }
    }

    fn append(&mut self, line: &Line) -> io::Result<()> {
        let file = match &mut self.open {
            Some(file) => file,
            none => {
                files::replace(&self.path, &image(&self.boot, &self.unfinished)?)?;
                none.insert(files::open_to_append(&self.path)?)
            }
        };
        let written = file.write_all(&bytes_of(line)?);
        if written.is_err() {
            // Half a line may be there, and would spoil the next one: begin a new file then.
            self.open = None;
        }
        written
    }

    fn rewrite(&mut self) -> io::Result<()> {
        self.open = None;
        if !self.unfinished.is_empty() {
            return files::replace(&self.path, &image(&self.boot, &self.unfinished)?);
        }
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// The whole file: the boot, and what is unfinished.
fn image(boot: &BootId, unfinished: &[Unfinished]) -> io::Result<Vec<u8>> {
    let mut bytes = bytes_of(&Line::Boot(boot.clone()))?;
    for tree in unfinished {
        bytes.extend(bytes_of(&Line::Take(tree.clone()))?);
    }
    Ok(bytes)
}

fn bytes_of(line: &Line) -> io::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// What of these bytes is unfinished in this boot, and how many lines say nothing.
pub fn parse(bytes: &[u8], boot: &BootId) -> (Vec<Unfinished>, usize) {
    let mut unfinished: Vec<Unfinished> = Vec::new();
    let mut of_this_boot = false;
    let mut damaged = 0;
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        match serde_json::from_slice(line) {
            Ok(Line::Boot(of)) => of_this_boot = of == *boot,
            Ok(Line::Take(tree)) if of_this_boot => {
                unfinished.retain(|known| known.worker != tree.worker);
                unfinished.push(tree);
            }
            Ok(Line::Put(worker)) => unfinished.retain(|known| known.worker != worker),
            Ok(Line::Take(_)) => {}
            Err(_) => damaged += 1,
        }
    }
    (unfinished, damaged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::Pid;
    use crate::domain::orphan::OrphanKind;

    fn tree(pid: u64) -> Unfinished {
        let pid = Pid::new(pid).unwrap();
        let worker = ProcessIdentity { pid, start_ticks: 7, inode: None };
        let orphan = OrphanKind::OwnerlessWorker;
        Unfinished {
            gateway: "gw".into(),
            orphan,
            asked: None,
            worker,
            members: vec![worker],
            stopping: false,
            may_be_of: Vec::new(),
        }
    }

    fn boot() -> BootId {
        "this boot".into()
    }

    #[test]
    fn what_is_begun_is_unfinished_for_the_next_run_until_it_is_finished() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::load(dir.path(), &boot()).unwrap();
        journal.begun(&tree(1)).unwrap();
        journal.begun(&tree(2)).unwrap();
        let grown = Unfinished { members: Vec::new(), ..tree(2) };
        journal.begun(&grown).unwrap();
        assert_eq!(journal.unfinished(), [tree(1), grown.clone()]);
        assert_eq!(Journal::load(dir.path(), &boot()).unwrap().unfinished(), journal.unfinished());
        journal.finished(&tree(1).worker);
        assert_eq!(journal.unfinished(), std::slice::from_ref(&grown));
        assert_eq!(Journal::peek(dir.path(), &boot()), [grown]);
        journal.finished(&tree(2).worker);
        assert!(!dir.path().join(NAME).exists());
        assert_eq!(Journal::peek(dir.path(), &boot()), []);
    }

    #[test]
    fn another_boot_has_nothing_unfinished() {
        let dir = tempfile::tempdir().unwrap();
        Journal::load(dir.path(), &boot()).unwrap().begun(&tree(1)).unwrap();
        assert_eq!(Journal::peek(dir.path(), &"another boot".into()), []);
    }

    #[test]
    fn what_is_kept_is_all_that_the_next_run_finds() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::load(dir.path(), &boot()).unwrap();
        journal.begun(&tree(1)).unwrap();
        journal.keep(vec![tree(2)]).unwrap();
        assert_eq!(Journal::peek(dir.path(), &boot()), [tree(2)]);
        journal.begun(&tree(3)).unwrap();
        assert_eq!(Journal::peek(dir.path(), &boot()), [tree(2), tree(3)]);
        journal.keep(Vec::new()).unwrap();
        assert!(!dir.path().join(NAME).exists());
    }

    #[test]
    fn half_a_line_that_a_full_disk_left_does_not_spoil_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::load(dir.path(), &boot()).unwrap();
        journal.begun(&tree(1)).unwrap();
        let path = dir.path().join(NAME);
        files::open_to_append(&path).unwrap().write_all(b"{\"take\":{\"gate").unwrap();
        journal.open = Some(File::open(&path).unwrap());
        journal.begun(&tree(2)).unwrap_err();
        assert_eq!(journal.unfinished(), [tree(1)]);
        journal.begun(&tree(3)).unwrap();
        assert_eq!(Journal::peek(dir.path(), &boot()), [tree(1), tree(3)]);
    }

    #[test]
    fn one_that_somebody_removed_is_as_good_as_emptied_and_one_that_cannot_be_removed_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NAME);
        let mut journal = Journal::load(dir.path(), &boot()).unwrap();
        journal.begun(&tree(1)).unwrap();
        std::fs::remove_file(&path).unwrap();
        journal.keep(Vec::new()).unwrap();
        journal.begun(&tree(1)).unwrap();
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        journal.keep(Vec::new()).unwrap_err();
    }

    #[test]
    fn damaged_lines_are_counted_and_what_is_of_no_boot_or_finished_is_not_unfinished() {
        let line = |line: Line| serde_json::to_string(&line).unwrap();
        let [of, other] = [boot(), "another boot".into()].map(|boot| line(Line::Boot(boot)));
        let [one, two, three] = [1, 2, 3].map(|pid| line(Line::Take(tree(pid))));
        let put = line(Line::Put(tree(2).worker));
        let text = [&*one, &of, "", "{", &two, &three, "no", &put, &other, &two].join("\n");
        assert_eq!(parse(text.as_bytes(), &boot()), (vec![tree(3)], 2));
    }

    #[test]
    fn damage_is_told_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let told = |text: &str| {
            std::fs::write(dir.path().join(NAME), text).unwrap();
            let writer = std::sync::Arc::new(File::create(&log).unwrap());
            let subscriber = tracing_subscriber::fmt().with_writer(writer).finish();
            tracing::subscriber::with_default(subscriber, || Journal::load(dir.path(), &boot())).unwrap();
            std::fs::read_to_string(&log).unwrap()
        };
        assert_eq!(told(""), "");
        let said = told("half\na line");
        assert!(said.contains("the journal of unfinished teardowns is damaged (2 lines)"), "{said}");
    }
}
