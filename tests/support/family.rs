//! Real process families that say who they are and never outlive their test.
//!
//! A member is this test binary, started again: it runs the test [`stand_in`], which finds its [`Part`] in the environment and plays it. So
//! no interpreter is needed. Each one announces itself on the family's common output and then stays until the family's common input ends,
//! which it does when the test is over, however it ends. Those that can't read (stopped ones) are killed through pidfds that were opened
//! while they were known to be alive.

#![allow(dead_code, reason = "each test binary uses its own part of this")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use gateway_reaper::domain::ids::Pid;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use tokio::signal::unix::SignalKind;

const PART: &str = "GATEWAY_REAPER_TEST_PART";
const PATIENCE: Duration = Duration::from_secs(20);

/// One member: what it is called in the test, what its argv looks like, what it does.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Part {
    tag: String,
    argv: Vec<String>,
    variables: Vec<(String, String)>,
    steps: Vec<Step>,
}

/// What a member does before it announces itself, in order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Step {
    /// Takes a name, as the kernel's `comm` of its main thread.
    Name(String),
    /// `setsid`.
    NewSession,
    /// `setpgid(0, 0)`.
    NewGroup,
    /// Adopts orphaned descendants from now on.
    Subreaper,
    /// Survives SIGTERM.
    Deaf,
    /// When SIGTERM comes, starts a child, takes some milliseconds, and exits.
    ForkWhileDying(Part, u64),
    /// Computes from now on.
    Compute,
    /// Computes from SIGUSR1 on.
    ComputeWhenTold,
    /// Starts a child when SIGUSR1 comes.
    StartWhenTold(Part),
    /// Starts a child.
    Start(Part),
    /// The same from a thread that stays.
    StartFromThread(Part),
    /// Lets some milliseconds pass, so that what starts next is seen to be younger.
    Pause(u64),
    /// Ends at once, without having announced itself. Children stay.
    Exit,
    /// Announces itself, then becomes something else with `exec`, which announces itself again.
    Become(Part),
}

/// A part that just stays.
pub(crate) fn part(tag: &str) -> Part {
    Part { tag: tag.into(), argv: vec![format!("family-{tag}")], variables: Vec::new(), steps: Vec::new() }
}

impl Part {
    /// With this argv. The test harness would take an option for its own, so where there is one the whole is put into the first element,
    /// which is free; joined by spaces it reads the same.
    pub(crate) fn argv<'a>(self, argv: impl IntoIterator<Item = &'a str>) -> Self {
        let argv: Vec<&str> = argv.into_iter().collect();
        let options = argv.iter().skip(1).any(|element| element.starts_with('-'));
        let argv = if options { vec![argv.join(" ")] } else { argv.into_iter().map(Into::into).collect() };
        Self { argv, ..self }
    }

    /// With this in its environment, which those below it inherit.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// With one more step.
    pub(crate) fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// With one more child.
    pub(crate) fn child(self, child: Self) -> Self {
        self.then(Step::Start(child))
    }

    /// Starts the family and waits until all of these have announced themselves.
    pub(crate) fn start(self, tags: &[&str]) -> Family {
        let mut child = command(&self)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the test binary starts");
        let said = BufReader::new(child.stdout.take().expect("piped"));
        let mut family = Family { root: child, said: Some(said), members: BTreeMap::new() };
        family.await_all(tags);
        family
    }
}

/// The command that plays a part. Argv after the first element is taken by the test harness for names of tests to run besides; with
/// `--exact` none has them.
fn command(part: &Part) -> Command {
    #[expect(clippy::disallowed_methods, reason = "a member is this binary, started again")]
    let mut command = Command::new("/proc/self/exe");
    let stand_in = concat!(module_path!(), "::stand_in");
    let stand_in = stand_in.split_once("::").map_or(stand_in, |(_, path)| path);
    let (name, rest) = part.argv.split_first().expect("an argv has a first element");
    command
        .arg0(name)
        .args(rest)
        .args(["--exact", "--nocapture", "--test-threads=1", stand_in])
        .envs(part.variables.iter().cloned())
        .env(PART, serde_json::to_string(part).expect("a part is JSON"))
        .stderr(Stdio::inherit());
    command
}

/// A family that is alive.
#[derive(Debug)]
pub(crate) struct Family {
    root: Child,
    said: Option<BufReader<ChildStdout>>,
    members: BTreeMap<String, (Pid, OwnedFd)>,
}

impl Family {
    /// The PID of a member that has announced itself.
    pub(crate) fn pid(&self, tag: &str) -> Pid {
        self.members.get(tag).unwrap_or_else(|| panic!("nobody called {tag} has announced itself")).0
    }

    /// Sends a signal to a member, and to no other process.
    pub(crate) fn signal(&self, tag: &str, signal: Signal) {
        let (_, pidfd) = self.members.get(tag).unwrap_or_else(|| panic!("nobody called {tag}"));
        let _gone = pidfd_send_signal(pidfd, signal);
    }

    /// Kills the member and waits for its end.
    pub(crate) fn kill(&self, tag: &str) {
        self.signal(tag, Signal::KILL);
        eventually(&format!("{tag} is dead"), || self.has_ended(tag));
    }

    /// Whether a member has exited; a zombie has.
    pub(crate) fn has_ended(&self, tag: &str) -> bool {
        let (_, pidfd) = self.members.get(tag).unwrap_or_else(|| panic!("nobody called {tag}"));
        let mut fds = [PollFd::new(pidfd, PollFlags::IN)];
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut fds, Some(&at_once)).expect("a pidfd can be polled") > 0
    }

    /// Reaps the first member once it was killed.
    pub(crate) fn reap_root(&mut self) {
        self.root.wait().expect("a child can be waited for");
    }

    /// Waits until all of these have announced themselves, again if they did before.
    pub(crate) fn await_all(&mut self, tags: &[&str]) {
        let mut awaited: Vec<&str> = tags.to_vec();
        awaited.retain(|tag| !self.members.contains_key(*tag));
        let said = self.said.as_mut().expect("open until dropped");
        while !awaited.is_empty() {
            if said.buffer().is_empty() {
                let mut fds = [PollFd::new(said.get_ref(), PollFlags::IN)];
                let ready =
                    poll(&mut fds, Some(&Timespec { tv_sec: PATIENCE.as_secs().cast_signed(), tv_nsec: 0 }));
                assert!(ready.expect("a pipe can be polled") > 0, "{awaited:?} never announced themselves");
            }
            let mut line = String::new();
            let read = said.read_line(&mut line).expect("the family's output can be read");
            assert!(read > 0, "the family ended before {awaited:?} announced themselves");
            let Some((tag, pid)) =
                line.trim().strip_prefix("@family ").and_then(|rest| rest.rsplit_once(' '))
            else {
                continue;
            };
            let pid: i32 = pid.parse().expect("a PID is a number");
            let raw = rustix::process::Pid::from_raw(pid).expect("a PID isn't 0");
            let pidfd = pidfd_open(raw, PidfdFlags::empty()).expect("who announced itself stays");
            let pid = Pid::new(u64::try_from(pid).unwrap()).unwrap();
            self.members.insert(tag.to_owned(), (pid, pidfd));
            awaited.retain(|awaited| *awaited != tag);
        }
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        for (_, pidfd) in self.members.values() {
            let _gone = pidfd_send_signal(pidfd, Signal::KILL);
        }
        drop(self.root.stdin.take());
        let _reaped = self.root.kill();
        let _reaped = self.root.wait();
        // The output ends when its last holder has ended.
        if let Some(mut said) = self.said.take() {
            let _rest = said.read_to_end(&mut Vec::new());
        }
    }
}

/// Waits for something that a real process does in its own time.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    #[expect(clippy::disallowed_methods, reason = "real processes take real time")]
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "it never came true that {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Plays a part, if this process was started for one; as a test of its own it does nothing.
#[test]
fn stand_in() {
    #[expect(clippy::disallowed_methods, reason = "how a member is told its part")]
    let Ok(part) = std::env::var(PART) else { return };
    play(&serde_json::from_str(&part).expect("a part is JSON"));
}

fn play(part: &Part) -> ! {
    for step in &part.steps {
        match step {
            Step::Name(name) => {
                std::fs::write("/proc/self/comm", name).expect("a process may name itself");
            }
            Step::NewSession => drop(rustix::process::setsid().expect("a child isn't a leader")),
            Step::NewGroup => rustix::process::setpgid(None, None).expect("a child may lead a group"),
            Step::Subreaper => {
                let own = Some(rustix::process::getpid());
                rustix::process::set_child_subreaper(own).expect("Linux has subreapers");
            }
            Step::Deaf => deafen(),
            Step::ForkWhileDying(heir, millis) => {
                fork_while_dying(heir.clone(), Duration::from_millis(*millis))
            }
            Step::Compute => drop(std::thread::spawn(|| compute())),
            Step::ComputeWhenTold => when_it_comes(SignalKind::user_defined1(), || compute()),
            Step::StartWhenTold(child) => {
                let child = child.clone();
                when_it_comes(SignalKind::user_defined1(), move || start(&child));
            }
            Step::Start(child) => start(child),
            Step::StartFromThread(child) => {
                let child = child.clone();
                let (started, has_started) = std::sync::mpsc::channel();
                std::thread::spawn(move || {
                    start(&child);
                    started.send(()).expect("awaited");
                    stay();
                });
                has_started.recv().expect("the thread stays");
            }
            Step::Pause(millis) => std::thread::sleep(Duration::from_millis(*millis)),
            Step::Exit => std::process::exit(0),
            Step::Become(next) => {
                announce(part);
                let error = command(next).exec();
                panic!("exec failed: {error}");
            }
        }
    }
    announce(part);
    stay()
}

/// Starts a child and lets it be: what waits for it, if anything does, is the subject of the test.
fn start(part: &Part) {
    #[expect(clippy::zombie_processes, reason = "zombies are wanted")]
    let _child = command(part).spawn().expect("the test binary starts");
}

fn compute() -> ! {
    loop {
        std::hint::spin_loop();
    }
}

fn announce(part: &Part) {
    let line = format!("\n@family {} {}\n", part.tag, std::process::id());
    rustix::io::write(std::io::stdout(), line.as_bytes()).expect("the family's output is open");
}

fn stay() -> ! {
    let _end = std::io::stdin().lock().read_to_end(&mut Vec::new());
    std::process::exit(0)
}

/// A handler that does nothing, by way of tokio: the safe one at hand.
fn deafen() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let _guard = runtime.enter();
    let term = tokio::signal::unix::signal(SignalKind::terminate());
    std::mem::forget((term.expect("a handler"), runtime.handle().clone()));
    drop(_guard);
    std::mem::forget(runtime);
}

fn fork_while_dying(heir: Part, takes: Duration) {
    when_it_comes(SignalKind::terminate(), move || {
        start(&heir);
        std::thread::sleep(takes);
        std::process::exit(0);
    });
}

/// Does that in a thread once the signal has come.
fn when_it_comes(kind: SignalKind, act: impl FnOnce() + Send + 'static) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let signal = {
        let _guard = runtime.enter();
        tokio::signal::unix::signal(kind)
    };
    let mut signal = signal.expect("a handler");
    std::thread::spawn(move || {
        runtime.block_on(signal.recv());
        act();
    });
}
