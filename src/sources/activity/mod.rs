//! Reads what a process' own account shows of its work: its main thread, its threads, the connections that it holds.
//!
//! Everything is read below one open `/proc/PID`, and all of it is of the process that was meant, or of none. One that was at rest is looked
//! at by little after that, see `resting`.

mod resting;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use super::processes::{Proc, ProcessDir, ProcessesError, exists};
use super::sockets::connected::{Connected, Network};
use crate::domain::activity::{Activity, Later, MainThread};
use crate::domain::ids::Pid;
use crate::domain::process::ProcessIdentity;
use resting::{Glance, Opened, Resting};

/// Reads activities.
#[derive(Debug)]
pub struct Activities {
    proc: Proc,
    buffer: Vec<u8>,
    resting: HashMap<Pid, Resting>,
    /// How many descriptors may stay open: half of those that there may be.
    room: usize,
}

impl Activities {
    /// Opens `/proc`.
    ///
    /// # Errors
    /// It isn't there, or of another PID namespace.
    pub fn open() -> Result<Self, ProcessesError> {
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let room = usize::try_from(limit / 2).unwrap_or(usize::MAX);
        Ok(Self { proc: Proc::open()?, buffer: Vec::new(), resting: HashMap::new(), room })
    }

    /// What this process shows now. `connected`: the inodes of all sockets that are connected ([`connected_inodes`]), among which its own
    /// are counted. `None`: it is gone.
    ///
    /// # Errors
    /// Something of it can't be read; nothing is known then.
    ///
    /// [`connected_inodes`]: super::sockets::connected_inodes
    pub fn read(
        &mut self,
        identity: &ProcessIdentity,
        connected: &HashSet<u64>,
    ) -> Result<Option<Activity>, ProcessesError> {
        let read = self.read_pid(identity.pid, connected)?;
        Ok(read.filter(|(found, _)| found == identity).map(|(_, activity)| activity))
    }

    /// The same of the process that has this PID now, and which process that is.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub fn read_pid(
        &mut self,
        pid: Pid,
        connected: &HashSet<u64>,
    ) -> Result<Option<(ProcessIdentity, Activity)>, ProcessesError> {
        let Some(dir) = self.dir_of(pid)? else { return Ok(None) };
        let Some(identity) = self.alive(&dir)? else { return Ok(None) };
        let read = self.read_below(&dir, pid, connected)?;
        self.there(read, &dir).map(|read| read.map(|(activity, _)| (identity, activity)))
    }

    /// `None`: it is gone. What `/proc` hides isn't, and may be at work.
    fn dir_of(&mut self, pid: Pid) -> Result<Option<ProcessDir>, ProcessesError> {
        match self.proc.process(pid)? {
            None if exists(pid) => {
                let what = format!("/proc/{pid}, which is hidden (hidepid)").into();
                Err(ProcessesError::Read { what, source: Errno::ACCESS.into() })
            }
            found => Ok(found),
        }
    }

    /// The same; of a process at rest as much stays open as the next look by little needs, if that is wanted.
    pub(crate) fn read_and_keep(
        &mut self,
        pid: Pid,
        (network, connected): (Network, &Arc<HashSet<u64>>),
        is_wanted: impl FnOnce(&ProcessIdentity) -> bool,
    ) -> Result<Option<(ProcessIdentity, Activity)>, ProcessesError> {
        self.resting.remove(&pid);
        let Some(dir) = self.dir_of(pid)? else { return Ok(None) };
        let Some(identity) = self.alive(&dir)? else { return Ok(None) };
        let kept: usize = self.resting.values().map(Resting::descriptors).sum();
        // Before the look, so that nothing that changes during it goes unseen. Where it can't be, the next look is a whole one.
        let opened = (kept < self.room && is_wanted(&identity)).then(|| Opened::of(&dir, &mut self.buffer));
        let opened = opened.and_then(|opened| opened.ok().flatten());
        let read = self.read_below(&dir, pid, connected)?;
        let Some((activity, sockets)) = self.there(read, &dir)? else { return Ok(None) };
        let opened = opened.filter(|opened| kept + opened.descriptors() <= self.room);
        let resting =
            opened.and_then(|opened| opened.seen(identity, (activity, sockets), (network, connected)));
        self.resting.extend(resting.map(|resting| (pid, resting)));
        Ok(Some((identity, activity)))
    }

    /// What a process that was at rest shows by little. `None`: it has to be looked at whole.
    pub(crate) fn glance(
        &mut self,
        pid: Pid,
        connected: &mut Connected,
    ) -> Option<(ProcessIdentity, Activity)> {
        let mut resting = self.resting.remove(&pid)?;
        let now = connected.seen_by(pid, resting.network)?;
        let ran = match resting.look(&mut self.buffer) {
            Glance::Rests(ran) => ran,
            Glance::Ran(ran) => {
                if connected.has_new(&now, &resting.connected) {
                    resting.sockets = self.sockets_of(&resting.identity)?;
                }
                ran
            }
            Glance::Differs => return None,
        };
        let connections = u32::try_from(resting.sockets.intersection(&now).count()).unwrap_or(u32::MAX);
        resting.connected = now;
        let (identity, activity) = (resting.identity, Activity { ran, connections, ..resting.last });
        if activity.work_now().is_none() {
            self.resting.insert(pid, resting);
        }
        Some((identity, activity))
    }

    /// The inodes of the sockets that this process has. `None`: it is gone, or they can't be read.
    fn sockets_of(&mut self, identity: &ProcessIdentity) -> Option<HashSet<u64>> {
        let dir = self.proc.process(identity.pid).ok()??;
        let sockets = sockets(&dir).ok()??;
        (self.alive(&dir).ok()?? == *identity).then_some(sockets)
    }

    /// Closes what is open of the processes that don't fit.
    pub(crate) fn keep(&mut self, is_wanted: impl Fn(&ProcessIdentity) -> bool) {
        self.resting.retain(|_, resting| is_wanted(&resting.identity));
    }

    /// What was read of a process that is there.
    fn there<T>(&mut self, read: Option<T>, dir: &ProcessDir) -> Result<Option<T>, ProcessesError> {
        // What isn't there is of a process that went away meanwhile, or this kernel doesn't tell it.
        if read.is_none() && self.alive(dir)?.is_some() {
            let what = format!("/proc/{}/task: what its threads did", dir.number()).into();
            return Err(ProcessesError::Read { what, source: Errno::NOENT.into() });
        }
        Ok(read)
    }

    /// How many threads and children this process has that began more than `after` after it did: not those that it started with, and maybe
    /// of work that goes on. `None`: it is gone.
    ///
    /// # Errors
    /// Something of it can't be read.
    pub fn begun_later(
        &mut self,
        identity: &ProcessIdentity,
        after: Duration,
    ) -> Result<Option<Later>, ProcessesError> {
        let Some(dir) = self.proc.process(identity.pid)? else { return Ok(None) };
        let ticks = after.as_secs().saturating_mul(rustix::param::clock_ticks_per_second());
        let latest = identity.start_ticks.saturating_add(ticks);
        let Some(threads) = dir.numbers("task")? else { return Ok(None) };
        let mut later = Later { threads: 0, children: 0 };
        for thread in threads {
            let line = dir.text(&format!("task/{thread}/stat"), &mut self.buffer)?;
            later.threads += u32::from(line.and_then(started).is_some_and(|started| started > latest));
        }
        for child in self.proc.children_of_process(&dir)? {
            let Some(child) = self.proc.process(child)? else { continue };
            let line = child.text("stat", &mut self.buffer)?;
            later.children += u32::from(line.and_then(started).is_some_and(|started| started > latest));
        }
        let is_it = self.alive(&dir)?.is_some_and(|found| found == *identity);
        Ok(is_it.then_some(later))
    }

    fn alive(&mut self, dir: &ProcessDir) -> Result<Option<ProcessIdentity>, ProcessesError> {
        let seen = self.proc.describe(dir)?;
        Ok(seen.filter(|(process, _)| !process.zombie).map(|(process, _)| process.identity))
    }

    fn read_below(
        &mut self,
        dir: &ProcessDir,
        pid: Pid,
        connected: &HashSet<u64>,
    ) -> Result<Option<(Activity, HashSet<u64>)>, ProcessesError> {
        let Some(status) = dir.text(&format!("task/{pid}/status"), &mut self.buffer)? else {
            return Ok(None);
        };
        let Some((asleep, switches, _)) = main_thread(status) else { return Ok(None) };
        let Some(threads) = dir.numbers("task")? else { return Ok(None) };
        let (mut ran, mut main_ran, mut count) = (Duration::ZERO, None, 0);
        for thread in threads {
            // One that ended since it was listed isn't counted.
            let path = format!("task/{thread}/schedstat");
            let Some(spent) = dir.text(&path, &mut self.buffer)?.and_then(spent) else { continue };
            ran += spent;
            count += 1;
            if thread == pid.get() {
                main_ran = Some(spent);
            }
        }
        let Some(main_ran) = main_ran else { return Ok(None) };
        let (children, commands) = self.children(dir)?;
        let Some(sockets) = sockets(dir)? else { return Ok(None) };
        let connections = u32::try_from(sockets.intersection(connected).count()).unwrap_or(u32::MAX);
        let main = MainThread { asleep, ran: main_ran, switches };
        Ok(Some((Activity { main, threads: count, ran, connections, children, commands }, sockets)))
    }

    /// How many children it has, and how many of them are commands. What a worker starts as a server talks to it over a stdin of its own;
    /// a command has none, or the worker's.
    fn children(&mut self, dir: &ProcessDir) -> Result<(u32, u32), ProcessesError> {
        let own = dir.link("fd/0")?;
        let children = self.proc.children_of_process(dir)?;
        let mut commands = 0;
        for child in &children {
            let Some(child) = self.proc.process(*child)? else { continue };
            let stdin = child.link("fd/0")?;
            let is_command = match &stdin {
                Some(stdin) => !talks(stdin) || own.as_ref() == Some(stdin),
                // It is gone, or it has closed its stdin.
                None => self.alive(&child)?.is_some(),
            };
            commands += u32::from(is_command && !listens_elsewhere(dir, &child)?);
        }
        Ok((u32::try_from(children.len()).unwrap_or(u32::MAX), commands))
    }
}

/// Whether a child reads from a pipe that its parent has made, at another descriptor than its stdin: servers that are made with Python's
/// `mcp` 2 move it there, and have /dev/null in its place.
fn listens_elsewhere(parent: &ProcessDir, child: &ProcessDir) -> Result<bool, ProcessesError> {
    let mut made = HashSet::new();
    for descriptor in parent.numbers("fd")?.unwrap_or_default().into_iter().filter(|number| *number > 2) {
        made.extend(parent.link(&format!("fd/{descriptor}"))?.filter(|link| link.starts_with("pipe:[")));
    }
    for descriptor in child.numbers("fd")?.unwrap_or_default() {
        let path = format!("fd/{descriptor}");
        if child.link(&path)?.is_some_and(|link| made.contains(&link)) && child.reads(&path) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The inodes of the sockets that a process has. `None`: it is gone.
fn sockets(dir: &ProcessDir) -> Result<Option<HashSet<u64>>, ProcessesError> {
    let Some(descriptors) = dir.numbers("fd")? else { return Ok(None) };
    let mut found = HashSet::new();
    for descriptor in descriptors {
        found.extend(dir.link(&format!("fd/{descriptor}"))?.as_deref().and_then(socket));
    }
    Ok(Some(found))
}

/// When it started, in clock ticks since boot: the 22nd field of `stat`. The name before it may hold anything.
fn started(stat: &str) -> Option<u64> {
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// Whether it sleeps, how often it was switched, and how many threads its process has.
fn main_thread(status: &str) -> Option<(bool, u64, u32)> {
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|line| line.split_ascii_whitespace().next())
    };
    let asleep = field("State")? == "S";
    let voluntary: u64 = field("voluntary_ctxt_switches")?.parse().ok()?;
    let involuntary: u64 = field("nonvoluntary_ctxt_switches")?.parse().ok()?;
    Some((asleep, voluntary.wrapping_add(involuntary), field("Threads")?.parse().ok()?))
}

/// The first field of `schedstat`: nanoseconds on a processor.
fn spent(schedstat: &str) -> Option<Duration> {
    schedstat.split_ascii_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// Whether a process at the other end may be there.
fn talks(link: &str) -> bool {
    link.starts_with("pipe:[") || link.starts_with("socket:[")
}

fn socket(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn the_kernels_lines_are_read_as_they_are_written() {
        let status = "Name:\tpython\nState:\tS (sleeping)\nThreads:\t3\nvoluntary_ctxt_switches:\t88\nnonvoluntary_ctxt_switches:\t2\n";
        assert_eq!(main_thread(status), Some((true, 90, 3)));
        assert_eq!(main_thread(&status.replace("S (sleeping)", "R (running)")), Some((false, 90, 3)));
        assert_eq!(main_thread("State:\tS (sleeping)\n"), None);
        assert_eq!(spent("700123456 1000 90\n"), Some(Duration::from_nanos(700_123_456)));
        assert_eq!(spent("\n"), None);
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 3 0 2578429 1 1";
        assert_eq!((started(stat), started("7 (a")), (Some(2_578_429), None));
        assert_eq!(
            (socket("socket:[4711]"), socket("pipe:[4711]"), socket("/dev/null")),
            (Some(4711), None, None)
        );
    }

    /// Starts a child with each of these as its stdin, and ends them with its own.
    const PARENT: &str = "import subprocess, sys\n\
        how = {'pipe': subprocess.PIPE, 'null': subprocess.DEVNULL, 'own': None}\n\
        def start(it):\n    \
            if it == 'moved': return subprocess.Popen(['sh', '-c', 'exec 9<&0 0</dev/null; echo; exec sleep 600'],\n        \
                stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n    \
            return subprocess.Popen(['sleep', '600'], stdin=how[it], stdout=subprocess.PIPE)\n\
        children = [start(it) for it in sys.argv[1:]]\n\
        for it, child in zip(sys.argv[1:], children): it == 'moved' and child.stdout.readline()\n\
        print('x', end='', flush=True)\n\
        sys.stdin.read()\n\
        for child in children: child.kill()";

    #[expect(clippy::disallowed_methods, reason = "a test starts a process of its own")]
    fn children(stdins: &[&str]) -> (u32, u32, Later) {
        let mut parent = Command::new("python3")
            .args(["-c", PARENT])
            .args(stdins)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        parent.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        let pid = Pid::new(parent.id().into()).unwrap();
        let mut activities = Activities::open().unwrap();
        let (identity, activity) = activities.read_pid(pid, &HashSet::new()).unwrap().unwrap();
        let later = activities.begun_later(&identity, Duration::from_secs(60)).unwrap().unwrap();
        drop(parent.stdin.take());
        parent.wait().unwrap();
        (activity.children, activity.commands, later)
    }

    #[test]
    fn a_child_that_does_not_talk_over_a_stdin_of_its_own_is_a_command() {
        let none_later = Later { threads: 0, children: 0 };
        assert_eq!(children(&[]), (0, 0, none_later));
        assert_eq!(children(&["pipe", "pipe"]), (2, 0, none_later));
        assert_eq!(children(&["pipe", "null", "own"]), (3, 2, none_later));
    }

    #[test]
    fn what_a_process_began_after_its_start_is_told_from_what_it_started_with() {
        // Of this process, which has been running for a while, by a span of no length: the thread that is started now is later.
        let mut activities = Activities::open().unwrap();
        let own = Pid::new(std::process::id().into()).unwrap();
        let (identity, _) = activities.read_pid(own, &HashSet::new()).unwrap().unwrap();
        std::thread::sleep(Duration::from_millis(30));
        let (over, wait) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || wait.recv());
        let later = activities.begun_later(&identity, Duration::ZERO).unwrap().unwrap();
        assert!(later.threads > 0, "{later:?}");
        drop(over);
        assert!(thread.join().unwrap().is_err());
        let another = ProcessIdentity { start_ticks: identity.start_ticks + 1, ..identity };
        assert_eq!(activities.begun_later(&another, Duration::ZERO).unwrap(), None);
    }
}
