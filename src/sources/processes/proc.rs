//! `/proc`, read so that everything told of one process was read from that very process.
//!
//! A directory `/proc/PID` that is held open belongs to one process for good: once that is gone, reading below it fails, whatever process has the
//! PID then. So the directory is opened first, then the pidfd for the inode, then `stat` is read through the directory: that it can still
//! be read proves that the PID had not changed hands in between. Where a process is held by a pidfd anyway, that is the proof, and it is read
//! by its path.
//!
//! The effective user is the directory's owner. (Files below it go to root when a process isn't dumpable; the directory never does.)

use std::os::fd::OwnedFd;

use rustix::fs::{Access, AtFlags, CWD, Mode, OFlags, accessat, fstat, openat, readlinkat, statat};
use rustix::io::Errno;

use super::argv;
use super::dir::{Children, ProcessDir, Threads, children, has_threads};
use super::error::ProcessesError;
use super::files::{BUFFER, DIRECTORY, Reading, numbers, read_again, read_file, read_line, sort};
use super::pidfd::{Named, Pidfds};
use super::stat::{Stat, Traces};
use crate::domain::ids::Pid;
use crate::domain::process::{PidNamespace, PidfdInode, Process, ProcessIdentity};

/// Inode of the machine's first PID namespace, `PROC_PID_INIT_INO` in the kernel. Unlike kthreadd it shows under `hidepid` as well.
const FIRST_PID_NAMESPACE: PidNamespace = PidNamespace::Inode(0xEFFF_FFFC);

/// The open `/proc` of this PID namespace.
#[derive(Debug)]
pub(crate) struct Proc {
    root: OwnedFd,
    pidfds: Pidfds,
    page_size: u64,
    namespace: Option<PidNamespace>,
    children_files: bool,
    warned_of_hidden: bool,
    buffer: Vec<u8>,
}

impl Proc {
    pub(crate) fn open() -> Result<Self, ProcessesError> {
        let failed =
            |what: &str, errno: Errno| ProcessesError::Read { what: what.into(), source: errno.into() };
        let root = openat(CWD, "/proc", DIRECTORY, Mode::empty()).map_err(|errno| failed("/proc", errno))?;
        let own = readlinkat(&root, "self", Vec::new()).map_err(|e| failed("/proc/self", e))?;
        if own.to_bytes() != std::process::id().to_string().as_bytes() {
            return Err(ProcessesError::OtherNamespace);
        }
        let namespace = statat(&root, "self/ns/pid", AtFlags::empty());
        let children_files = accessat(&root, "thread-self/children", Access::EXISTS, AtFlags::empty());
        let own_pid = Pid::new(std::process::id().into()).unwrap_or(Pid::INIT);
        Ok(Self {
            root,
            pidfds: Pidfds::probe().map_err(|source| ProcessesError::Pidfd { pid: own_pid, source })?,
            page_size: u64::try_from(rustix::param::page_size()).unwrap_or(4096),
            namespace: namespace.ok().map(|namespace| PidNamespace::Inode(namespace.st_ino)),
            children_files: children_files.is_ok(),
            warned_of_hidden: false,
            buffer: Vec::with_capacity(BUFFER),
        })
    }

    /// Whether PID 1 is the machine's init.
    pub(crate) fn init_is_init(&self) -> bool {
        self.namespace == Some(FIRST_PID_NAMESPACE)
    }

    /// The PID namespace that the reaper is in.
    pub(crate) fn own_namespace(&self) -> Option<PidNamespace> {
        self.namespace
    }

    /// The process's PID namespace, which it keeps for life. `None`: it is gone, or nothing tells.
    ///
    /// A reaper that may not trace the process (without capabilities, beside root's gateway) can't read the inode. It reads `status`
    /// instead, which any user may: that has one PID for a process of the reader's own namespace, and more for one below it. Which
    /// namespace below it is isn't known then.
    pub(crate) fn namespace(&mut self, dir: &ProcessDir) -> Option<PidNamespace> {
        if let Ok(namespace) = statat(&dir.fd, "ns/pid", AtFlags::empty()) {
            return Some(PidNamespace::Inode(namespace.st_ino));
        }
        read_file(&dir.fd, "status", &mut self.buffer, BUFFER).ok()?;
        let text = String::from_utf8_lossy(&self.buffer);
        let pids = text.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
        if pids.split_ascii_whitespace().count() == 1 {
            self.namespace
        } else {
            Some(PidNamespace::SomeBelow)
        }
    }

    /// Whether the process that has this PID isn't known to be in another PID namespace than the reaper.
    pub(crate) fn is_here(&mut self, pid: Pid) -> bool {
        let namespace = self.process(pid).ok().flatten().and_then(|dir| self.namespace(&dir));
        namespace.is_none() || self.namespace.is_none() || namespace == self.namespace
    }

    /// The process whose thread has this id. `None`: it is no thread's, or that of a main thread.
    pub(super) fn process_of_thread(&mut self, id: Pid) -> Option<Pid> {
        read_file(&self.root, &format!("{id}/status"), &mut self.buffer, BUFFER).ok()?;
        let text = String::from_utf8_lossy(&self.buffer);
        let process = text.lines().find_map(|line| line.strip_prefix("Tgid:"))?;
        process.trim().parse().ok().and_then(Pid::new).filter(|process| *process != id)
    }

    /// What there is of pidfds.
    pub(crate) fn pidfds(&self) -> Pidfds {
        self.pidfds
    }

    /// Whether the kernel has `children` files (`CONFIG_PROC_CHILDREN`).
    pub(crate) fn has_children_files(&self) -> bool {
        self.children_files
    }

    /// The process that has this PID now, by its directory. `None`: there is none, or it is hidden.
    pub(crate) fn process(&mut self, pid: Pid) -> Result<Option<ProcessDir>, ProcessesError> {
        let opened = openat(&self.root, pid.to_string(), DIRECTORY, Mode::empty());
        Ok(self.visible(pid, sort(&pid.to_string(), opened)?).map(|fd| ProcessDir { pid, fd }))
    }

    /// The effective user of whatever has this PID now. `None`: nothing has it, or it is hidden.
    pub(crate) fn owner(&mut self, pid: Pid) -> Result<Option<u32>, ProcessesError> {
        let owner = statat(&self.root, pid.to_string(), AtFlags::empty());
        Ok(self.visible(pid, sort(&pid.to_string(), owner)?).map(|owner| owner.st_uid))
    }

    /// The argv of whatever has this PID now, joined by single spaces.
    pub(super) fn argv_of(&mut self, pid: Pid) -> Result<Option<String>, ProcessesError> {
        let read = read_file(&self.root, &format!("{pid}/cmdline"), &mut self.buffer, argv::LONGEST + 1);
        let whole = self.visible(pid, sort(&format!("{pid}/cmdline"), read)?);
        Ok(whole.filter(|whole| *whole).and_then(|_| argv::joined(&self.buffer)))
    }

    /// Everything but argv. `None`: it is gone, or hidden.
    pub(crate) fn describe(&mut self, dir: &ProcessDir) -> Result<Option<(Process, Traces)>, ProcessesError> {
        let Named::Process(inode) = self.pidfds.named(dir.pid)? else { return Ok(None) };
        self.describe_as(dir, inode)
    }

    /// The same where the inode is known: of a pidfd that was opened before the directory, and which says afterwards that its process is
    /// still there.
    pub(crate) fn describe_as(
        &mut self,
        dir: &ProcessDir,
        inode: Option<PidfdInode>,
    ) -> Result<Option<(Process, Traces)>, ProcessesError> {
        let pid = dir.pid;
        let owner = fstat(&dir.fd);
        let Some(owner) = self.visible(pid, sort(&pid.to_string(), owner)?) else { return Ok(None) };
        let read = read_line(&dir.fd, "stat", &mut self.buffer);
        let Some(stat) = self.stat(read, pid)? else { return Ok(None) };
        let traces = stat.traces;
        Ok(Some((self.process_of(pid, inode, owner.st_uid, stat), traces)))
    }

    /// The process that has this PID now, without argv, by its path as in [`standing`](Self::standing). `inode`: of the pidfd by which it is
    /// held.
    pub(super) fn describe_held(
        &mut self,
        pid: Pid,
        inode: Option<PidfdInode>,
    ) -> Result<Option<Process>, ProcessesError> {
        let Some(uid) = self.owner(pid)? else { return Ok(None) };
        let Some(stat) = self.standing(pid)? else { return Ok(None) };
        Ok(Some(self.process_of(pid, inode, uid, stat)))
    }

    fn process_of(&self, pid: Pid, inode: Option<PidfdInode>, uid: u32, stat: Stat) -> Process {
        Process {
            identity: ProcessIdentity { pid, start_ticks: stat.start_ticks, inode },
            parent: stat.parent,
            group: stat.group,
            session: stat.session,
            comm: stat.comm,
            uid,
            namespace: None,
            zombie: stat.zombie,
            kernel: stat.kernel,
            argv: None,
            rss_bytes: Some(stat.rss_pages.saturating_mul(self.page_size)),
        }
    }

    /// The `stat` line of the process that has this PID now. `None`: there is none, or it is hidden. By its path, which takes fewer calls
    /// than a directory: for a caller that holds a process and asks afterwards whether it was still there.
    pub(crate) fn standing(&mut self, pid: Pid) -> Result<Option<Stat>, ProcessesError> {
        let read = read_line(&self.root, &format!("{pid}/stat"), &mut self.buffer);
        self.stat(read, pid)
    }

    /// Its argv, joined by single spaces. `None`: it has none, or it can't be read whole.
    pub(crate) fn argv(&mut self, dir: &ProcessDir) -> Result<Option<String>, ProcessesError> {
        let pid = dir.pid;
        let read = read_file(&dir.fd, "cmdline", &mut self.buffer, argv::LONGEST + 1);
        let Some(whole) = self.visible(pid, sort(&format!("{pid}/cmdline"), read)?) else { return Ok(None) };
        if !whole {
            tracing::debug!(%pid, limit = argv::LONGEST, "argv too long to be judged, so it is taken for no worker");
            return Ok(None);
        }
        Ok(argv::joined(&self.buffer))
    }

    /// Its proportional set size in bytes: what it shares with others is counted by its share. `None`: that can't be read.
    pub(crate) fn proportional_memory(&mut self, dir: &ProcessDir) -> Option<u64> {
        read_file(&dir.fd, "smaps_rollup", &mut self.buffer, BUFFER).ok()?;
        let text = String::from_utf8_lossy(&self.buffer);
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
        let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kilobytes.saturating_mul(1024))
    }

    /// What a core dump of the process that has this PID would hold, as bits. `None`: it can't be read.
    pub(crate) fn dump_filter(&mut self, pid: Pid) -> Option<u16> {
        read_line(&self.root, &format!("{pid}/coredump_filter"), &mut self.buffer).ok()?;
        parse_dump_filter(std::str::from_utf8(&self.buffer).ok()?)
    }

    /// Sets it to what is made of it, where that is something, and returns what it was. `is_there`: whether the process that is meant is still
    /// there, asked once its file is open.
    pub(crate) fn change_dump_filter(
        &mut self,
        pid: Pid,
        is_there: impl FnOnce() -> bool,
        change: impl FnOnce(u16) -> Option<u16>,
    ) -> Option<u16> {
        let path = format!("{pid}/coredump_filter");
        let file = openat(&self.root, path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).ok();
        let file = file.filter(|_| is_there())?;
        let before = parse_dump_filter(read_again(&file, &mut self.buffer)?)?;
        let value = change(before)?;
        match rustix::io::write(&file, format!("{value:#x}").as_bytes()) {
            Ok(_) => Some(before),
            Err(error) => {
                tracing::debug!(%pid, %error, "its mark can't be changed");
                None
            }
        }
    }

    /// The children in the kernel's lists of the main thread or of all. None where the process is gone.
    pub(super) fn children(
        &mut self,
        dir: &ProcessDir,
        threads: Threads,
    ) -> Result<Children, ProcessesError> {
        let has_more = threads == Threads::All && has_threads(dir)?;
        let threads = if has_more { Threads::All } else { Threads::Main };
        children(&dir.fd, "task", dir.pid, threads, &mut self.buffer)
    }

    /// The children of all of its threads. None where the process is gone.
    pub(crate) fn children_of_process(&mut self, dir: &ProcessDir) -> Result<Vec<Pid>, ProcessesError> {
        Ok(self.children(dir, Threads::All)?.pids)
    }

    /// The same of the process that has this PID now, by its path as in [`standing`](Self::standing), whose line is asked whether there is
    /// more than one thread.
    pub(crate) fn children_of(&mut self, pid: Pid, stat: &Stat) -> Result<Children, ProcessesError> {
        let threads = if stat.threads > 1 { Threads::All } else { Threads::Main };
        children(&self.root, &format!("{pid}/task"), pid, threads, &mut self.buffer)
    }

    /// Every PID that is to be seen.
    pub(crate) fn pids(&self) -> Result<Vec<Pid>, ProcessesError> {
        let failed = |errno: Errno| ProcessesError::Read { what: "/proc".into(), source: errno.into() };
        let root = openat(&self.root, ".", DIRECTORY, Mode::empty()).map_err(failed)?;
        numbers(&root).map_err(failed)
    }

    /// One `stat` line of every process that is to be seen, three system calls each.
    pub(crate) fn scan(&mut self, each: impl FnMut(Pid, Stat)) -> Result<(), ProcessesError> {
        self.scan_and_count(each).map(drop)
    }

    /// The same; returns how many were listed and gone, or hidden, when their line was read.
    pub(crate) fn scan_and_count(
        &mut self,
        mut each: impl FnMut(Pid, Stat),
    ) -> Result<usize, ProcessesError> {
        let mut missing = 0;
        for pid in self.pids()? {
            match self.standing(pid)? {
                Some(stat) => each(pid, stat),
                None => missing += 1,
            }
        }
        Ok(missing)
    }

    /// What the line in the buffer says, if it could be read.
    fn stat(&mut self, read: Result<(), Errno>, pid: Pid) -> Result<Option<Stat>, ProcessesError> {
        let Some(()) = self.visible(pid, sort(&format!("{pid}/stat"), read)?) else { return Ok(None) };
        Stat::parse(&self.buffer).map_err(|_| ProcessesError::Malformed { pid })
    }

    /// What is hidden is left out like what is gone, but it's said, once.
    fn visible<T>(&mut self, pid: Pid, reading: Reading<T>) -> Option<T> {
        match reading {
            Reading::Done(value) => Some(value),
            Reading::Vanished => None,
            Reading::Hidden => {
                self.warn_of_hidden(pid);
                None
            }
        }
    }

    /// Says once that there are processes that `/proc` doesn't show.
    pub(super) fn warn_of_hidden(&mut self, pid: Pid) {
        if !std::mem::replace(&mut self.warned_of_hidden, true) {
            tracing::warn!(
                %pid,
                "/proc hides processes of other users (hidepid), so their workers are neither seen nor reaped; \
                 run as the gateway's user, or join the group named by the mount's gid option"
            );
        }
    }
}

fn parse_dump_filter(text: &str) -> Option<u16> {
    u16::from_str_radix(text.trim(), 16).ok()
}

/// Whether some process has this PID, hidden or not.
pub(crate) fn exists(pid: Pid) -> bool {
    let raw = i32::try_from(pid.get()).ok().and_then(rustix::process::Pid::from_raw);
    raw.is_some_and(|raw| rustix::process::test_kill_process(raw) != Err(Errno::SRCH))
}
