//! The teardown's operating system: Linux, through pidfds and through nothing else.
//!
//! A signal that goes through a pidfd can't reach another process than the one it was opened for. Where there are no pidfds, nothing is
//! signalled: `kill(pid)` may reach another process that has the PID by then.

use std::collections::{HashMap, HashSet};
use std::io;
use std::num::NonZero;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::thread::{self, available_parallelism};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, pidfd_send_signal, setrlimit};

use super::kernel::{Delivery, Family, Kernel, KernelError, Listing, Mark, Reread, Signal};
use super::marks::Marks;
use crate::domain::ids::Pid;
use crate::domain::process::{Mark as SessionMark, PidfdInode, Process, ProcessIdentity};
use crate::domain::time::Awake;
use crate::sources::clock;
use crate::sources::processes::{
    Detail, Marker, Members, Pidfds, Proc, ProcessesError, exists, full_scan, memory_of, open_pidfd, read,
    read_held,
};

/// Linux.
#[derive(Debug)]
pub struct LinuxKernel {
    proc: Proc,
    has_children_files: bool,
    most: RawFd,
    marks: Option<Marks>,
    members: Members,
}

/// So many descriptors are left to everything else: files of the state directory, connections, looks in `/proc`.
const RESERVE: u64 = 16;

/// The memory of so many processes is read by one thread. It takes a tenth of a millisecond for a small one, and milliseconds for a large.
const READ_BY_ONE: usize = 32;

/// Scans for marks at most: where processes come and go all the time, none is settled.
const MARK_SCANS: usize = 4;

/// Whether a scan can have missed a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scan {
    /// It can't.
    Settled,
    /// What was listed had exited when it was read: it may have started another one, that was not there to be listed.
    Moving,
}

/// One process, held by its pidfd. Where there are too few descriptors for that it is known by its identity alone, and a pidfd is opened, and
/// the identity compared, for each signal.
#[derive(Debug)]
pub struct Held {
    fd: Option<OwnedFd>,
    identity: ProcessIdentity,
    /// Descriptors from this number on are for others.
    most: RawFd,
}

impl Held {
    /// A descriptor that becomes readable when the process exits, if there is one to spare.
    pub fn to_wait_on(&self) -> Option<OwnedFd> {
        let fd = self.fd.as_ref()?.try_clone().ok()?;
        (fd.as_raw_fd() < self.most).then_some(fd)
    }
}

impl LinuxKernel {
    /// Opens `/proc`.
    ///
    /// # Errors
    /// There is no `/proc`, or it belongs to another PID namespace.
    pub fn new() -> Result<Self, ProcessesError> {
        let proc = Proc::open()?;
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let most = RawFd::try_from(limit.saturating_sub(RESERVE)).unwrap_or(RawFd::MAX);
        let members = Members::default();
        Ok(Self { has_children_files: proc.has_children_files(), proc, most, marks: None, members })
    }

    /// The same, with what marks the processes of the gateways.
    #[must_use]
    pub fn marked_by(self, markers: Vec<Marker>) -> Self {
        Self { members: Members::of(markers), ..self }
    }

    fn read(
        &mut self,
        pid: Pid,
        inode: Option<PidfdInode>,
        what: Reread,
    ) -> Result<Option<Process>, KernelError> {
        let detail = match what {
            Reread::User => Detail::Bare,
            Reread::UserAndArgv => Detail::WithArgv,
        };
        read_held(&mut self.proc, pid, inode, detail).map_err(|error| unreadable(pid, error))
    }

    /// Adds what bears a mark and isn't found yet.
    fn scan_for_marks(&mut self, found: &mut Vec<(Mark, Process)>) -> Result<Scan, KernelError> {
        let Some(marks) = self.marks.as_ref().filter(|marks| marks.are_given()) else {
            return Ok(Scan::Settled);
        };
        let (mut pids, mut is_moving) = (Vec::new(), false);
        let vanished = self.proc.scan_and_count(|pid, stat| {
            if stat.start_ticks() < marks.since {
            } else if stat.is_over() {
                is_moving = true;
            } else {
                pids.push(pid);
            }
        });
        is_moving |= vanished.map_err(|error| unreadable(Pid::INIT, error))? > 0;
        for pid in pids {
            // The process first: what holds it afterwards knows that the mark was its own.
            let Some(process) =
                read(&mut self.proc, pid, Detail::Bare).map_err(|error| unreadable(pid, error))?
            else {
                is_moving = true;
                continue;
            };
            // One in a container may bear a mark that a reaper in there has given.
            let borne = marks.borne(&mut self.proc, pid).filter(|_| self.proc.is_here(pid));
            match borne {
                Some(_) if found.iter().any(|(_, known)| known.identity == process.identity) => {}
                Some(mark) => found.push((mark, process)),
                None => {}
            }
        }
        Ok(if is_moving { Scan::Moving } else { Scan::Settled })
    }

    /// A pidfd of this very process, and the process as it is after that was opened. `None`: it is gone.
    fn open(&mut self, who: ProcessIdentity) -> Result<Option<(OwnedFd, Process)>, KernelError> {
        let pid = who.pid;
        if self.proc.pidfds() == Pidfds::Missing {
            return Err(KernelError { what: "pidfd_open", pid, source: no_pidfds() });
        }
        let opened = open_pidfd(pid).map_err(|errno| refused("pidfd_open", pid, errno))?;
        let Some(fd) = opened else { return Ok(None) };
        let inode = self.proc.pidfds().inode_of(&fd, pid).map_err(|error| unreadable(pid, error))?;
        let process = self.read(pid, inode, Reread::UserAndArgv)?;
        if process.is_none() && !has_exited(&fd, pid)? {
            return Err(hidden(pid));
        }
        let Some(process) = process.filter(|process| process.identity == who && !process.zombie) else {
            return Ok(None);
        };
        // Still running: so the PID can't have changed hands since the pidfd was opened, and what was read is what is held.
        Ok((!has_exited(&fd, pid)?).then_some((fd, process)))
    }
}

impl Kernel for LinuxKernel {
    type Held = Held;

    fn now(&self) -> Awake {
        clock::awake_now()
    }

    fn ticks(&self) -> u64 {
        clock::ticks_now()
    }

    fn ticks_at(&self, at: Awake) -> u64 {
        // One less: both are cut off at a whole tick.
        self.ticks().saturating_sub(clock::ticks(self.now().since(at)) + 1)
    }

    fn hold(&mut self, who: ProcessIdentity) -> Result<Option<(Held, Process)>, KernelError> {
        let most = self.most;
        let opened = self.open(who)?;
        Ok(opened.map(|(fd, process)| {
            // The lowest number that is free is taken, so a high one says that few are left.
            let fd = (fd.as_raw_fd() < most).then_some(fd);
            (Held { fd, identity: who, most }, process)
        }))
    }

    fn reread(&mut self, held: &Held, what: Reread) -> Result<Option<Process>, KernelError> {
        let pid = held.identity.pid;
        let Some(fd) = &held.fd else {
            return Ok(self.open(held.identity)?.map(|(_, process)| process));
        };
        let process = self.read(pid, held.identity.inode, what)?;
        // Not exited afterwards: so what was read is of the held process.
        if has_exited(fd, pid)? {
            return Ok(None);
        }
        process.map(Some).ok_or_else(|| hidden(pid))
    }

    fn session_marks(&mut self, held: &Held) -> Result<Option<Vec<SessionMark>>, KernelError> {
        if self.members.is_idle() {
            return Ok(None);
        }
        let pid = held.identity.pid;
        let marks = self.members.of_process(&mut self.proc, pid).map_err(|error| unreadable(pid, error))?;
        // Not exited afterwards, so what was read is of the held process. What has exited says nothing.
        Ok(marks.filter(|_| self.exited(held).is_ok_and(|exited| !exited)))
    }

    fn memory(&mut self, who: ProcessIdentity) -> Option<u64> {
        memory_of(&mut self.proc, who).ok().flatten()
    }

    fn memory_of_all(&mut self, all: &[ProcessIdentity]) -> HashMap<ProcessIdentity, u64> {
        let threads = available_parallelism().map_or(1, NonZero::get).min(all.len().div_ceil(READ_BY_ONE));
        let mut parts = all.chunks(all.len().div_ceil(threads.max(1)).max(1));
        let own = parts.next().unwrap_or_default();
        thread::scope(|scope| {
            let start = |part| {
                let read = move || Some(memory_among(&mut Proc::open().ok()?, part));
                (part, thread::Builder::new().name("memory".into()).spawn_scoped(scope, read))
            };
            let others: Vec<_> = parts.map(start).collect();
            let mut memory = memory_among(&mut self.proc, own);
            for (part, thread) in others {
                let read = thread.ok().and_then(|thread| thread.join().ok().flatten());
                // Where there may be no other thread, this one reads all.
                memory.extend(read.unwrap_or_else(|| memory_among(&mut self.proc, part)));
            }
            memory
        })
    }

    fn expect(&mut self, victims: usize) {
        self.marks = Some(Marks::new(clock::ticks_now(), victims));
    }

    fn new_mark(&mut self) -> Option<Mark> {
        self.marks.get_or_insert_with(|| Marks::new(clock::ticks_now(), 1)).give(&mut self.proc)
    }

    fn mark(&mut self, held: &Held, mark: Mark) -> Option<Mark> {
        let (fd, pid) = (held.fd.as_ref()?, held.identity.pid);
        let is_there = || has_exited(fd, pid).is_ok_and(|exited| !exited);
        self.proc.change_dump_filter(pid, is_there, |_| Some(mark.0)).map(Mark)
    }

    fn withdraw(&mut self, mark: Mark, before: Option<Mark>) {
        if let Some(marks) = &mut self.marks {
            marks.withdraw(mark, before);
        }
    }

    fn unmark_heirs(&mut self) {
        if let Some(marks) = &self.marks
            && let Err(error) = marks.restore(&mut self.proc)
        {
            tracing::debug!(%error, "what inherited a mark keeps it");
        }
    }

    fn marked(&mut self) -> Result<Vec<(Mark, Process)>, KernelError> {
        let mut found = Vec::new();
        for pass in 1..=MARK_SCANS {
            if self.scan_for_marks(&mut found)? == Scan::Settled && pass > 1 {
                break;
            }
        }
        Ok(found)
    }

    fn signal(&mut self, held: &Held, signal: Signal) -> Result<Delivery, KernelError> {
        let signal = match signal {
            Signal::Term => rustix::process::Signal::TERM,
            Signal::Stop => rustix::process::Signal::STOP,
            Signal::Kill => rustix::process::Signal::KILL,
            Signal::Continue => rustix::process::Signal::CONT,
        };
        let opened;
        let fd = match &held.fd {
            Some(fd) => fd,
            None => match self.open(held.identity)? {
                Some((fd, _)) => {
                    opened = fd;
                    &opened
                }
                None => return Ok(Delivery::Gone),
            },
        };
        match pidfd_send_signal(fd, signal) {
            Ok(()) => Ok(Delivery::Sent),
            Err(Errno::SRCH) => Ok(Delivery::Gone),
            Err(errno) => Err(refused("pidfd_send_signal", held.identity.pid, errno)),
        }
    }

    fn exited(&mut self, held: &Held) -> Result<bool, KernelError> {
        match &held.fd {
            Some(fd) => has_exited(fd, held.identity.pid),
            None => Ok(self.open(held.identity)?.is_none()),
        }
    }

    fn family(&mut self, of: Pid, listing: Listing) -> Result<Option<Family>, KernelError> {
        let failed = |error| unreadable(of, error);
        let Some(stat) = self.proc.standing(of).map_err(failed)? else {
            return if exists(of) { Err(hidden(of)) } else { Ok(None) };
        };
        let (children, is_childless) = if self.has_children_files {
            let children = self.proc.children_of(of, &stat).map_err(failed)?;
            let is_childless = listing == Listing::Whole && children.are_none();
            (children.pids, is_childless)
        } else {
            (full_scan().map_err(failed)?.remove(&of).unwrap_or_default(), false)
        };
        Ok(Some(Family { group: stat.group, session: stat.session, children, is_childless }))
    }

    fn look(&mut self, pid: Pid) -> Result<Option<Process>, KernelError> {
        let process = read(&mut self.proc, pid, Detail::WithArgv).map_err(|error| unreadable(pid, error))?;
        Ok(process.filter(|process| !process.zombie))
    }

    fn led_by(&mut self, leaders: &[Pid]) -> Result<Vec<Process>, KernelError> {
        let numbers: HashSet<u32> = leaders.iter().map(|leader| leader.get()).collect();
        let led = |group: u32, session: u32| numbers.contains(&group) || numbers.contains(&session);
        let mut pids = Vec::new();
        let scanned = self.proc.scan(|pid, stat| pids.extend(led(stat.group, stat.session).then_some(pid)));
        scanned.map_err(|error| unreadable(leaders.first().copied().unwrap_or(Pid::INIT), error))?;
        let mut members = Vec::new();
        for pid in pids {
            let member =
                read(&mut self.proc, pid, Detail::WithArgv).map_err(|error| unreadable(pid, error))?;
            members.extend(member.filter(|member| led(member.group, member.session) && !member.zombie));
        }
        Ok(members)
    }
}

fn memory_among(proc: &mut Proc, all: &[ProcessIdentity]) -> HashMap<ProcessIdentity, u64> {
    all.iter().filter_map(|&who| Some((who, memory_of(proc, who).ok().flatten()?))).collect()
}

/// Whether the process of this pidfd has exited; a zombie has.
fn has_exited(fd: &OwnedFd, pid: Pid) -> Result<bool, KernelError> {
    let mut fds = [PollFd::new(fd, PollFlags::IN)];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    let ready = rustix::io::retry_on_intr(|| poll(&mut fds, Some(&at_once)));
    ready.map(|ready| ready > 0).map_err(|errno| refused("poll of the pidfd", pid, errno))
}

/// Lets this process have as many descriptors as it may: each victim of a run takes one.
///
/// # Errors
/// The system refused.
pub fn raise_descriptor_limit() -> io::Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?)
}

fn no_pidfds() -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        "no pidfds here, and without them a signal could hit another process: expected Linux 5.3 or later and a seccomp \
         profile that allows pidfd_open and pidfd_send_signal",
    )
}

fn refused(what: &'static str, pid: Pid, errno: Errno) -> KernelError {
    let source = match errno {
        Errno::NOSYS => no_pidfds(),
        Errno::PERM => io::Error::new(
            io::ErrorKind::PermissionDenied,
            "not permitted: run as the user the process belongs to, or allow pidfd_open and pidfd_send_signal in the seccomp \
             profile",
        ),
        Errno::MFILE | Errno::NFILE => io::Error::new(
            io::Error::from(errno).kind(),
            "no descriptor left: raise `ulimit -n` or lower max_reaps",
        ),
        _ => errno.into(),
    };
    KernelError { what, pid, source }
}

/// What exists and can't be looked at isn't gone.
fn hidden(pid: Pid) -> KernelError {
    let source = io::Error::new(
        io::ErrorKind::PermissionDenied,
        "it exists but /proc hides it (hidepid): run as its user, or join the group named by the mount's gid option",
    );
    KernelError { what: "a look in /proc", pid, source }
}

fn unreadable(pid: Pid, error: ProcessesError) -> KernelError {
    KernelError { what: "a look in /proc", pid, source: io::Error::other(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_by_the_system_is_told_with_its_remedy() {
        for (errno, remedy) in [
            (Errno::NOSYS, "expected Linux 5.3 or later"),
            (Errno::PERM, "run as the user the process belongs to"),
            (Errno::MFILE, "raise `ulimit -n`"),
            (Errno::NFILE, "raise `ulimit -n`"),
        ] {
            let told = refused("pidfd_open", Pid::INIT, errno).source.to_string();
            assert!(told.contains(remedy), "{errno}: {told}");
        }
    }
}
