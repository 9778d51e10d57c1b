//! Along a path, step by step: each folder is held open while the next is looked at, so that nothing can be exchanged under way.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, Stat, fstat, openat, readlinkat};
use rustix::io::Errno;

use super::refusal::{Kind, Refusal};
use super::trust::{Trust, Unsafe};

/// As many links as the kernel follows.
const MOST_LINKS: usize = 40;
const LOOK: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

pub(super) fn to_file(path: &Path, trust: &Trust) -> Result<File, Refusal> {
    // A link may lead elsewhere; what counts as well is where it lies.
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        let mut walk = Walk::new(parent, trust)?;
        walk.along()?;
        walk.check_last_folder()?;
    }
    let mut walk = Walk::new(path, trust)?;
    let (name, stat) = walk.along()?.ok_or(Refusal::NotAFile(Kind::Directory))?;
    if let Some(kind) = other_kind(&stat) {
        return Err(Refusal::NotAFile(kind));
    }
    walk.check_last_folder()?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let fd = openat(&walk.folder, &name, flags, Mode::empty()).map_err(unreadable)?;
    let opened = fstat(&fd).map_err(unreadable)?;
    // What was opened counts, should it be another one by now.
    if let Some(kind) = other_kind(&opened) {
        return Err(Refusal::NotAFile(kind));
    }
    trust.check_file(&opened)?;
    Ok(File::from(fd))
}

pub(super) fn to_folder(path: &Path, trust: &Trust) -> Result<(), Refusal> {
    match Walk::new(path, trust)?.along()? {
        None => Ok(()),
        Some(_) => Err(unreadable(Errno::NOTDIR)),
    }
}

struct Walk<'a> {
    trust: &'a Trust,
    /// Whose "/" is.
    root: u32,
    folder: OwnedFd,
    /// Where it is, for messages.
    place: PathBuf,
    ahead: VecDeque<OsString>,
    links: usize,
}

impl<'a> Walk<'a> {
    fn new(path: &Path, trust: &'a Trust) -> Result<Self, Refusal> {
        let path = std::path::absolute(path).map_err(Refusal::Unreadable)?;
        let folder = openat(CWD, "/", LOOK | OFlags::DIRECTORY, Mode::empty()).map_err(unreadable)?;
        let root = fstat(&folder).map_err(unreadable)?.st_uid;
        let mut walk = Self { trust, root, folder, place: "/".into(), ahead: VecDeque::new(), links: 0 };
        walk.put_ahead(&path);
        walk.check_folder()?;
        Ok(walk)
    }

    fn put_ahead(&mut self, path: &Path) {
        let steps = path.components().filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
        });
        steps.rev().for_each(|step| self.ahead.push_front(step));
    }

    /// Goes to the end of the path: to the name of what is there in the last folder, or, if it is a folder itself, into it.
    fn along(&mut self) -> Result<Option<(OsString, Stat)>, Refusal> {
        while let Some(step) = self.ahead.pop_front() {
            let next = openat(&self.folder, &step, LOOK, Mode::empty()).map_err(unreadable)?;
            let stat = fstat(&next).map_err(unreadable)?;
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Symlink => self.follow(&step, &next, &stat)?,
                FileType::Directory => {
                    self.folder = next;
                    if step == OsStr::new("..") {
                        _ = self.place.pop()
                    } else {
                        self.place.push(&step)
                    }
                    self.check_folder()?;
                }
                _ if self.ahead.is_empty() => return Ok(Some((step, stat))),
                _ => return Err(unreadable(Errno::NOTDIR)),
            }
        }
        Ok(None)
    }

    /// A link counts as its owner's word: in a folder like /tmp any user may have made it.
    fn follow(&mut self, step: &OsStr, link: &OwnedFd, stat: &Stat) -> Result<(), Refusal> {
        self.links += 1;
        if self.links > MOST_LINKS {
            return Err(unreadable(Errno::LOOP));
        }
        if !self.trust.has(stat.st_uid) && stat.st_uid != self.root {
            return Err(Refusal::LinkOwner { link: self.place.join(step), owner: stat.st_uid });
        }
        let target = readlinkat(link.as_fd(), "", Vec::new()).map_err(unreadable)?;
        let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
        if target.is_absolute() {
            self.folder = openat(CWD, "/", LOOK | OFlags::DIRECTORY, Mode::empty()).map_err(unreadable)?;
            self.place = "/".into();
        }
        self.put_ahead(&target);
        Ok(())
    }

    fn check_folder(&self) -> Result<(), Refusal> {
        let stat = fstat(&self.folder).map_err(unreadable)?;
        self.trust.check_folder(&stat, self.root).map_err(|what| self.refusal(&stat, what))
    }

    fn check_last_folder(&self) -> Result<(), Refusal> {
        let stat = fstat(&self.folder).map_err(unreadable)?;
        self.trust.check_last_folder(&stat).map_err(|what| self.refusal(&stat, what))
    }

    fn refusal(&self, stat: &Stat, what: Unsafe) -> Refusal {
        let (folder, owner, mode) = (self.place.clone(), stat.st_uid, stat.st_mode & 0o7777);
        match what {
            Unsafe::Owner => Refusal::FolderOwner { folder, owner, mode },
            Unsafe::Writable => Refusal::FolderWritable { folder, owner, mode },
        }
    }
}

fn other_kind(stat: &Stat) -> Option<Kind> {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => None,
        FileType::Directory => Some(Kind::Directory),
        FileType::Fifo => Some(Kind::Pipe),
        FileType::CharacterDevice | FileType::BlockDevice => Some(Kind::Device),
        FileType::Socket => Some(Kind::Socket),
        _ => Some(Kind::Other),
    }
}

fn unreadable(error: Errno) -> Refusal {
    Refusal::Unreadable(io::Error::from(error))
}
