//! Whose files are read, and in which folders.

use rustix::fs::Stat;
use rustix::process::geteuid;

use super::refusal::Refusal;
use crate::users::is_private_group;

/// The mode of a folder in which every user can make files and remove only their own.
const STICKY: u32 = 0o1000;

/// Whose files are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    reader: u32,
    /// Besides root and the reader.
    others: Vec<u32>,
    /// Whether the file may lie in a folder like /tmp.
    shared_folder: bool,
}

impl Trust {
    /// For a file that was named: files of the reader, of root and, under sudo, of the user who called it.
    pub fn named() -> Self {
        let reader = geteuid().as_raw();
        let others = caller().filter(|_| reader == 0).into_iter().collect();
        Self { reader, others, shared_folder: true }
    }

    /// For a program that was named: like [`Trust::named`], and in a folder that only they may write.
    pub fn program() -> Self {
        Self { shared_folder: false, ..Self::named() }
    }

    /// For a file that was not named, and lies where the command was run: files of the reader and of root, in their own folders.
    pub fn found() -> Self {
        Self { reader: geteuid().as_raw(), others: Vec::new(), shared_folder: false }
    }

    /// Files of these users as well.
    pub fn and(mut self, users: impl IntoIterator<Item = u32>) -> Self {
        self.others.extend(users);
        self
    }

    /// For another user than this process'; for tests.
    #[cfg(test)]
    pub(super) fn with_reader(self, reader: u32) -> Self {
        Self { reader, ..self }
    }

    pub(super) fn has(&self, uid: u32) -> bool {
        uid == 0 || uid == self.reader || self.others.contains(&uid)
    }

    /// A file.
    pub(super) fn check_file(&self, stat: &Stat) -> Result<(), Refusal> {
        let (owner, mode) = (stat.st_uid, stat.st_mode & 0o7777);
        if !self.has(owner) {
            return Err(Refusal::Owner { owner, mode, reader: self.reader });
        }
        if self.others_may_write(stat) {
            return Err(Refusal::Writable { owner, mode });
        }
        Ok(())
    }

    /// Whether only trusted users can exchange an entry of a folder. In one like /tmp, only the owner of the entry can. The owner of `root`
    /// can exchange everything.
    pub(super) fn check_folder(&self, stat: &Stat, root: u32) -> Result<(), Unsafe> {
        if !self.has(stat.st_uid) && stat.st_uid != root {
            return Err(Unsafe::Owner);
        }
        if self.others_may_write(stat) && stat.st_mode & STICKY == 0 {
            return Err(Unsafe::Writable);
        }
        Ok(())
    }

    /// Whether the file itself may lie in a folder.
    pub(super) fn check_last_folder(&self, stat: &Stat) -> Result<(), Unsafe> {
        if self.others_may_write(stat) && !self.shared_folder { Err(Unsafe::Writable) } else { Ok(()) }
    }

    fn others_may_write(&self, stat: &Stat) -> bool {
        let by_group = stat.st_mode & 0o020 != 0
            && !([self.reader, stat.st_uid]
                .iter()
                .any(|uid| self.has(*uid) && is_private_group(stat.st_gid, *uid)));
        by_group || stat.st_mode & 0o002 != 0
    }
}

/// What is wrong with a folder.
pub(super) enum Unsafe {
    Owner,
    Writable,
}

/// Who called sudo.
#[expect(clippy::disallowed_methods, reason = "whose files are read is decided where they are opened")]
fn caller() -> Option<u32> {
    std::env::var("SUDO_UID").ok()?.parse().ok()
}
