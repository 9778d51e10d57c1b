//! A log of JSON lines that rotates by itself: `NAME.jsonl`, before it `NAME.1.jsonl`, and so on. It may be renamed, truncated or damaged by
//! others: what is written goes on, and what can't be read is counted and passed over.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::files;
use crate::text::to_json;

/// A line of these logs is some hundred bytes. What is longer was not written by this tool, and is passed over as damaged.
const LONGEST_LINE: u64 = 1 << 20;

/// How large a log may grow, and how many older files of it are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// Beyond this a new file is begun.
    pub max_bytes: u64,
    /// Older files that are kept. Never zero.
    pub keep: u32,
}

impl Default for Rotation {
    /// Half a million acts: years of a busy gateway, in 80 MiB at most.
    fn default() -> Self {
        Self { max_bytes: 16 << 20, keep: 4 }
    }
}

/// Opened at the first line, so that a run without one costs nothing.
#[derive(Debug)]
pub(crate) struct Log {
    path: PathBuf,
    rotation: Rotation,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    length: u64,
}

impl Log {
    pub(crate) fn new(path: PathBuf, rotation: Rotation) -> Self {
        Self { path, rotation, open: None }
    }

    /// Appends one line, in one write, straight to the kernel: it outlives this process.
    pub(crate) fn append(&mut self, line: &impl Serialize) -> io::Result<()> {
        let mut bytes = to_json(line)?;
        bytes.push(b'\n');
        let too_large = self.open.as_ref().is_some_and(|open| open.length > self.rotation.max_bytes);
        if too_large {
            self.open = None;
        }
        let open = match &mut self.open {
            Some(open) => open,
            none => none.insert(open_to_write(&self.path, self.rotation)?),
        };
        let written = open.file.write_all(&bytes);
        open.length = open.length.saturating_add(bytes.len() as u64);
        if written.is_err() {
            // Half a line may be there: opened again, it is ended first.
            self.open = None;
        }
        written
    }

    #[cfg(test)]
    pub(super) fn replace_file(&mut self, file: File) {
        self.open = Some(Open { file, length: 0 });
    }
}

/// The path of an older file; generation 0 is the one that is written to.
fn generation(path: &Path, number: u32) -> PathBuf {
    if number == 0 { path.to_owned() } else { path.with_extension(format!("{number}.jsonl")) }
}

fn open_to_write(path: &Path, rotation: Rotation) -> io::Result<Open> {
    let mut file = files::open_to_append(path)?;
    let mut length = file.metadata()?.len();
    if length > rotation.max_bytes {
        match rotate(path, rotation.keep) {
            Ok(()) => {
                file = files::open_to_append(path)?;
                length = file.metadata()?.len();
            }
            // A large log is better than an act that is not written down.
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "the log can't be rotated, and grows")
            }
        }
    }
    // Half a line that a full disk left is ended, so that it doesn't spoil the next.
    let mut last = [b'\n'];
    if length > 0 {
        file.read_exact_at(&mut last, length - 1)?;
    }
    if last != *b"\n" {
        file.write_all(b"\n")?;
    }
    Ok(Open { file, length })
}

/// Puts each file one further back; the oldest goes.
fn rotate(path: &Path, keep: u32) -> io::Result<()> {
    for number in (0..keep.max(1)).rev() {
        match std::fs::rename(generation(path, number), generation(path, number + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// What could be read of a log, oldest line first.
#[derive(Debug)]
pub struct Lines<T> {
    /// The lines that could be understood.
    pub lines: Vec<T>,
    /// How many could not.
    pub damaged: usize,
    /// Files that are there and can't be read, with the system's answer.
    pub unreadable: Vec<(PathBuf, io::Error)>,
}

/// Reads every generation of a log that `wanted` asks for, oldest first. Lines that are no JSON of the right shape are counted, not fatal.
pub fn read<T: DeserializeOwned>(path: &Path, wanted: impl Fn(&T) -> bool) -> Lines<T> {
    let mut found = Lines { lines: Vec::new(), damaged: 0, unreadable: Vec::new() };
    // More may be there than are kept now: the setting may have been larger.
    let mut numbers: Vec<u32> = (1..=99).filter(|number| generation(path, *number).exists()).collect();
    numbers.reverse();
    for number in numbers.into_iter().chain([0]) {
        let path = generation(path, number);
        let read = match files::open_to_read(&path) {
            Ok(file) => read_file(file, &wanted, &mut found),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = read {
            found.unreadable.push((path, error));
        }
    }
    found
}

fn read_file<T: DeserializeOwned>(
    file: File,
    wanted: &impl Fn(&T) -> bool,
    found: &mut Lines<T>,
) -> io::Result<()> {
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = io::Read::take(&mut reader, LONGEST_LINE).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(());
        }
        let text = line.trim_ascii();
        // A file that was truncated while it was open has a hole of zeros at its beginning.
        let text = text.iter().position(|byte| *byte != 0).map_or(&[][..], |at| &text[at..]);
        if text.is_empty() {
            continue;
        }
        match serde_json::from_slice(text) {
            Ok(value) if wanted(&value) => found.lines.push(value),
            Ok(_) => {}
            Err(_) => found.damaged += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const SMALL: Rotation = Rotation { max_bytes: 100, keep: 2 };

    fn number_of(line: &Value) -> u64 {
        line["n"].as_u64().unwrap()
    }

    fn numbers(path: &Path) -> Vec<u64> {
        read::<Value>(path, |_| true).lines.iter().map(number_of).collect()
    }

    #[test]
    fn it_rotates_within_a_run_and_keeps_as_many_files_as_it_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.jsonl");
        let mut log = Log::new(path.clone(), SMALL);
        for n in 0..100 {
            log.append(&json!({ "n": n, "padding": "012345678901234567890123456789" })).unwrap();
        }
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 3);
        let read = numbers(&path);
        assert_eq!(read.last(), Some(&99));
        assert!(read.windows(2).all(|pair| pair[0] + 1 == pair[1]), "in order and without a gap: {read:?}");
        assert!(read.len() >= 6, "{read:?}");
    }

    #[test]
    fn it_may_be_renamed_removed_or_truncated_while_it_is_open() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.jsonl");
        let mut log = Log::new(path.clone(), SMALL);
        log.append(&json!({ "n": 1 })).unwrap();
        std::fs::rename(&path, dir.path().join("audit.1.jsonl")).unwrap();
        log.append(&json!({ "n": 2 })).unwrap();
        assert_eq!(numbers(&path), [1, 2], "nothing is lost");
        Log::new(path.clone(), SMALL).append(&json!({ "n": 3 })).unwrap();
        let mut log = Log::new(path.clone(), SMALL);
        log.append(&json!({ "n": 4 })).unwrap();
        File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
        log.append(&json!({ "n": 5 })).unwrap();
        assert_eq!(numbers(&path), [1, 2, 5]);
    }

    #[test]
    fn damaged_lines_are_counted_and_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.jsonl");
        let holes = b"\0\0\0\0{\"n\":1}\n{\"n\":\n\n\xff\xfe\n{\"n\":2}\n{\"half";
        std::fs::write(&path, holes).unwrap();
        let read = read::<Value>(&path, |_| true);
        assert_eq!(read.lines.iter().map(number_of).collect::<Vec<_>>(), [1, 2]);
        assert_eq!((read.damaged, read.unreadable.len()), (3, 0));
    }

    #[test]
    fn a_log_that_is_not_there_is_empty_and_one_that_can_t_be_read_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.jsonl");
        assert_eq!(numbers(&path).len(), 0);
        std::fs::create_dir(&path).unwrap();
        assert_eq!(read::<Value>(&path, |_| true).unreadable[0].0, path);
    }
}
