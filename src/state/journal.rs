//! The journal of trees in hand: written before the first signal of a teardown, so that a run that is killed in the middle of one leaves
//! word of processes that nothing else would lead to any more. Empty whenever no teardown is under way.

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
    /// A tree is taken in hand; the last word on its worker counts.
    Take(Unfinished),
    /// A tree is done with.
    Put(ProcessIdentity),
}

/// The journal of the run that holds the lock.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    boot: BootId,
    open: Option<File>,
    in_hand: Vec<Unfinished>,
}

impl Journal {
    /// Reads what an earlier run left in hand. What is damaged or of another boot is left out: the processes it speaks of can't be told.
    ///
    /// # Errors
    /// The file is there and can't be read.
    pub fn load(dir: &Path, boot: &BootId) -> io::Result<Self> {
        let path = dir.join(NAME);
        let bytes = files::read(&path)?.unwrap_or_default();
        let (in_hand, damaged) = parse(&bytes, boot);
        if damaged > 0 {
            tracing::warn!(
                path = %path.display(),
                "the journal of trees in hand is damaged ({damaged} lines); what only they speak of is not gone after"
            );
        }
        Ok(Self { path, boot: boot.clone(), open: None, in_hand })
    }

    /// Reads it without the lock, for somebody who only looks.
    pub fn peek(dir: &Path, boot: &BootId) -> Vec<Unfinished> {
        Self::load(dir, boot).map(|journal| journal.in_hand).unwrap_or_default()
    }

    /// What is in hand.
    pub fn in_hand(&self) -> &[Unfinished] {
        &self.in_hand
    }

    /// Keeps only these, as the decision found them.
    ///
    /// # Errors
    /// It could not be written.
    pub fn keep(&mut self, left: Vec<Unfinished>) -> io::Result<()> {
        if self.in_hand == left {
            return Ok(());
        }
        self.in_hand = left;
        self.rewrite()
    }

    /// Takes a tree in hand.
    ///
    /// # Errors
    /// It could not be written; then nothing of it must be signalled.
    pub fn take(&mut self, tree: &Unfinished) -> io::Result<()> {
        self.append(&Line::Take(tree.clone()))?;
        self.in_hand.retain(|known| known.worker != tree.worker);
        self.in_hand.push(tree.clone());
        Ok(())
    }

    /// Done with a tree. If that can't be written, the next run finds its processes gone, or judges them anew.
    pub fn put(&mut self, worker: &ProcessIdentity) {
        self.in_hand.retain(|known| known.worker != *worker);
        let written = if self.in_hand.is_empty() { self.rewrite() } else { self.append(&Line::Put(*worker)) };
        if let Err(error) = written {
            tracing::warn!(path = %self.path.display(), %error, "the journal of trees in hand could not be updated");
        }
    }

    fn append(&mut self, line: &Line) -> io::Result<()> {
        let file = match &mut self.open {
            Some(file) => file,
            none => {
                files::replace(&self.path, &image(&self.boot, &self.in_hand)?)?;
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
        if !self.in_hand.is_empty() {
            return files::replace(&self.path, &image(&self.boot, &self.in_hand)?);
        }
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// The whole file: the boot, and what is in hand.
fn image(boot: &BootId, in_hand: &[Unfinished]) -> io::Result<Vec<u8>> {
    let mut bytes = bytes_of(&Line::Boot(boot.clone()))?;
    for tree in in_hand {
        bytes.extend(bytes_of(&Line::Take(tree.clone()))?);
    }
    Ok(bytes)
}

fn bytes_of(line: &Line) -> io::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// What of these bytes is in hand in this boot, and how many lines say nothing.
pub fn parse(bytes: &[u8], boot: &BootId) -> (Vec<Unfinished>, usize) {
    let mut in_hand: Vec<Unfinished> = Vec::new();
    let mut of_this_boot = false;
    let mut damaged = 0;
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        match serde_json::from_slice(line) {
            Ok(Line::Boot(of)) => of_this_boot = of == *boot,
            Ok(Line::Take(tree)) if of_this_boot => {
                in_hand.retain(|known| known.worker != tree.worker);
                in_hand.push(tree);
            }
            Ok(Line::Put(worker)) => in_hand.retain(|known| known.worker != worker),
            Ok(Line::Take(_)) => {}
            Err(_) => damaged += 1,
        }
    }
    (in_hand, damaged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::Pid;
    use crate::domain::orphan::OrphanKind;

    fn tree(pid: u64) -> Unfinished {
        let pid = Pid::new(pid).unwrap();
        let worker = ProcessIdentity { pid, start_ticks: 7, inode: 0 };
        let orphan = OrphanKind::OwnerlessWorker;
        Unfinished { gateway: "gw".into(), orphan, asked: None, worker, members: vec![worker] }
    }

    fn boot() -> BootId {
        "this boot".into()
    }

    #[test]
    fn what_is_taken_is_in_hand_for_a_successor_until_it_is_put_down() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::load(dir.path(), &boot()).unwrap();
        journal.take(&tree(1)).unwrap();
        journal.take(&tree(2)).unwrap();
        let grown = Unfinished { members: Vec::new(), ..tree(2) };
        journal.take(&grown).unwrap();
        assert_eq!(journal.in_hand(), [tree(1), grown.clone()]);
        assert_eq!(Journal::load(dir.path(), &boot()).unwrap().in_hand(), journal.in_hand());
        journal.put(&tree(1).worker);
        assert_eq!(journal.in_hand(), std::slice::from_ref(&grown));
        assert_eq!(Journal::peek(dir.path(), &boot()), [grown]);
        journal.put(&tree(2).worker);
        assert!(!dir.path().join(NAME).exists());
        assert_eq!(Journal::peek(dir.path(), &boot()), []);
    }

    #[test]
    fn another_boot_has_nothing_in_hand() {
        let dir = tempfile::tempdir().unwrap();
        Journal::load(dir.path(), &boot()).unwrap().take(&tree(1)).unwrap();
        assert_eq!(Journal::peek(dir.path(), &"another boot".into()), []);
    }

    #[test]
    fn what_is_kept_is_all_that_a_successor_finds() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::load(dir.path(), &boot()).unwrap();
        journal.take(&tree(1)).unwrap();
        journal.keep(vec![tree(2)]).unwrap();
        assert_eq!(Journal::peek(dir.path(), &boot()), [tree(2)]);
        journal.take(&tree(3)).unwrap();
        assert_eq!(Journal::peek(dir.path(), &boot()), [tree(2), tree(3)]);
        journal.keep(Vec::new()).unwrap();
        assert!(!dir.path().join(NAME).exists());
    }

    #[test]
    fn half_a_line_that_a_full_disk_left_does_not_spoil_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::load(dir.path(), &boot()).unwrap();
        journal.take(&tree(1)).unwrap();
        let path = dir.path().join(NAME);
        files::open_to_append(&path).unwrap().write_all(b"{\"take\":{\"gate").unwrap();
        journal.open = Some(File::open(&path).unwrap());
        journal.take(&tree(2)).unwrap_err();
        assert_eq!(journal.in_hand(), [tree(1)]);
        journal.take(&tree(3)).unwrap();
        assert_eq!(Journal::peek(dir.path(), &boot()), [tree(1), tree(3)]);
    }

    #[test]
    fn one_that_somebody_removed_is_as_good_as_emptied_and_one_that_cannot_be_removed_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NAME);
        let mut journal = Journal::load(dir.path(), &boot()).unwrap();
        journal.take(&tree(1)).unwrap();
        std::fs::remove_file(&path).unwrap();
        journal.keep(Vec::new()).unwrap();
        journal.take(&tree(1)).unwrap();
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        journal.keep(Vec::new()).unwrap_err();
    }

    #[test]
    fn damaged_lines_are_counted_and_what_is_of_no_boot_or_put_down_is_not_in_hand() {
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
        assert!(said.contains("the journal of trees in hand is damaged (2 lines)"), "{said}");
    }
}
