//! Looks at the process tree: only where workers can be, or at all of it.
//!
//! A view holds, each with identity and argv: the gateways, the children of all their threads, the known processes, and what was adopted;
//! around them, without argv: the ancestors of all up to PID 1, and the leaders of session and process group where they still live. The
//! reaper's own ancestors are always there. A PID that was asked after and that no process has is in the view's `gone`.
//!
//! [`Extent::Near`] costs the same on a host with 200 processes or 20,000. It can't see
//! - a worker that was adopted before this [`Processes`] ever saw it, by the time of its last whole look; of what is adopted later it sees
//!   everything that comes to init, to a known subreaper above a gateway, or to where another known worker went;
//! - a worker adopted by a program that isn't known to adopt and that shows it by no sign (see [`crate::domain::adoption`]), unless it
//!   was known before;
//! - a child the kernel's non-atomic `children` file happens to leave out; the next look has it.
//!
//! So the caller takes a [`Extent::Whole`] at the first sight of a gateway, when its instance or process changed or is gone, when a known
//! worker lost its parent, and every so often: how often is how late such a worker may be found at worst. A new [`Processes`] (each run of
//! `once`) knows no adopters yet, so its near look finds no orphan that the ledger doesn't name; only a whole one does.

mod adopters;
mod argv;
mod bereft;
mod candidates;
mod dir;
mod error;
mod files;
mod gathering;
mod held;
mod kinship;
mod members;
mod pidfd;
mod proc;
mod single;
mod stat;
mod stdin;

use std::collections::HashMap;

pub(crate) use bereft::gateway_named_by;
pub use candidates::Candidates;
pub use error::ProcessesError;
pub use members::Marker;
pub(crate) use members::Members;

use crate::domain::adoption::{Holder, sign_among};
use crate::domain::ids::Pid;
use crate::domain::looking::{Extent, Families};
use crate::domain::policy::Rules;
use crate::domain::policy::WorkerMatch;
use crate::domain::process::{Process, ProcessIdentity, ProcessView};
use adopters::Adopters;
use argv::ArgvCache;
pub(crate) use dir::ProcessDir;
pub(crate) use files::read_again;
use gathering::{Depth, Gathering};
use held::HeldDirs;
pub(crate) use kinship::full_scan;
use kinship::{Kinship, by_parent};
pub(crate) use pidfd::{Pidfds, open as open_pidfd};
pub(crate) use proc::{Proc, exists};
pub(crate) use single::{Detail, memory_of, read, read_held};
use stat::{Stat, Work};

/// Where to look.
#[derive(Debug, Clone, Copy, Default)]
pub struct Roots<'a> {
    /// The processes of the gateways.
    pub gateways: &'a [Pid],
    /// Remembered workers and what was left of them. An adopted worker that one look found is seen by the next only if it is named here.
    pub known: &'a [ProcessIdentity],
}

/// Whence children are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Kernel,
    FullScan,
}

/// Looks at processes, and remembers between looks the argvs it read and who adopts.
#[derive(Debug)]
pub struct Processes {
    proc: Proc,
    source: Source,
    argvs: ArgvCache,
    dirs: HeldDirs,
    adopters: Adopters,
    candidates: Candidates,
    marks: bereft::Marks,
    members: members::Members,
    families: Families<Work>,
}

impl Processes {
    /// Opens `/proc` and finds out what this kernel has.
    ///
    /// # Errors
    /// There is no `/proc`, or it belongs to another PID namespace.
    pub fn new() -> Result<Self, ProcessesError> {
        let proc = Proc::open()?;
        let source = if proc.has_children_files() { Source::Kernel } else { Source::FullScan };
        if source == Source::FullScan {
            tracing::info!(
                "this kernel has no /proc/PID/task/TID/children files; every look scans all processes"
            );
        }
        Ok(Self {
            proc,
            source,
            argvs: ArgvCache::default(),
            dirs: HeldDirs::new(),
            adopters: Adopters::default(),
            candidates: Candidates::default(),
            marks: bereft::Marks::default(),
            members: members::Members::default(),
            // Single runs begin with different ones.
            families: Families::beginning_with(usize::try_from(std::process::id()).unwrap_or(0)),
        })
    }

    /// The same, with more known of what can be a worker.
    #[must_use]
    pub fn of(self, candidates: Candidates) -> Self {
        Self { candidates, ..self }
    }

    /// The same, with what marks the processes of the gateways.
    #[must_use]
    pub fn marked_by(self, markers: Vec<Marker>) -> Self {
        Self { members: members::Members::of(markers), ..self }
    }

    /// What marks the processes of the gateways.
    pub fn markers(&self) -> &[Marker] {
        self.members.markers()
    }

    /// Adds to a view the marks of what is in it, and which of its workers were started by a gateway that is gone, where only their environment
    /// tells.
    ///
    /// # Errors
    /// A process that is there can't be read.
    pub fn look_at_marks(&mut self, view: &mut ProcessView, rules: &[Rules]) -> Result<(), ProcessesError> {
        view.marks.clear();
        view.bereft.clear();
        self.marks.look(&mut self.proc, view, rules)?;
        self.members.look(&mut self.proc, view)
    }

    /// Adds to a view what is at the other end of stdin, where that tells whose a process is.
    ///
    /// # Errors
    /// A process that is there can't be read.
    pub fn look_at_stdin(&mut self, view: &mut ProcessView, rules: &[Rules]) -> Result<(), ProcessesError> {
        stdin::look(&mut self.proc, view, rules)
    }

    /// The children of process 1 that were looked at: for the next run, which needn't.
    pub fn passed_over(&self) -> Vec<Pid> {
        self.adopters.passed_over()
    }

    /// An earlier run of this boot looked at these children of process 1.
    pub fn pass_over(&mut self, children: Vec<Pid>) {
        self.adopters.pass_over(children);
    }

    /// The same, as on a kernel without `children` files: so that both ways can be compared on one.
    ///
    /// # Errors
    /// As [`Processes::new`].
    pub fn by_full_scan() -> Result<Self, ProcessesError> {
        let mut processes = Self::new()?;
        processes.source = Source::FullScan;
        Ok(processes)
    }

    /// From now on everything is read again: a process that writes over its argv in place, or executes the same with another environment, may be
    /// another session's by then, and nothing else shows it.
    pub fn read_afresh(&mut self) {
        self.argvs.forget();
        self.members.forget();
        self.marks.forget();
    }

    /// Looks closely before anything is done: reads what is `due` again, adds everything below it and whatever bears a mark, and sees whether
    /// a client is connected to what is due and lost the other end of its stdin, or is `left` of a gateway that is gone.
    ///
    /// # Errors
    /// A process that is there can't be read.
    pub fn look_closely(
        &mut self,
        view: &mut ProcessView,
        rules: &[Rules],
        due: &[Pid],
        left: &[Pid],
    ) -> Result<(), ProcessesError> {
        self.read_afresh();
        self.look_below(view, due)?;
        if !self.members.is_idle() {
            let marked = self.members.all(&mut self.proc)?;
            self.look_at(view, &marked)?;
        }
        self.look_at_marks(view, rules)?;
        stdin::look_for_clients(&mut self.proc, view, due, left)
    }

    /// Takes one look.
    ///
    /// # Errors
    /// Anything that couldn't be read for another reason than that its process is gone or hidden: a look is whole or it is an error.
    pub fn look(&mut self, extent: Extent, roots: &Roots<'_>) -> Result<ProcessView, ProcessesError> {
        let (kinship, found) = match extent {
            Extent::Near if self.source == Source::Kernel => (Kinship::ChildrenFiles, Vec::new()),
            Extent::Near => (Kinship::Table(full_scan()?), Vec::new()),
            Extent::Whole | Extent::Everything => {
                self.argvs.forget();
                self.all_processes(extent)?
            }
        };
        let view = ProcessView {
            own_namespace: self.proc.own_namespace(),
            init_is_init: self.proc.init_is_init(),
            ..ProcessView::default()
        };
        let mut gathering =
            Gathering::new(&mut self.proc, &mut self.argvs, &mut self.dirs, &self.candidates, view);
        let own = Pid::new(std::process::id().into()).unwrap_or(Pid::INIT);
        gathering.add(own)?;
        for &gateway in roots.gateways {
            gathering.ask_gateway(gateway, &kinship)?;
        }
        let known = roots.known.iter().map(|identity| identity.pid);
        for pid in known {
            if !gathering.was_asked_for(pid) {
                gathering.ask(pid)?;
            }
        }
        for pid in found {
            gathering.ask_if_worker(pid, &kinship)?;
        }
        self.adopters.follow(&mut gathering, roots.known)?;
        self.adopters.ask_new(&mut gathering, &kinship)?;
        gathering.ask_below_workers(&kinship, &mut self.families)?;
        gathering.finish()?;
        if extent != Extent::Near {
            self.adopters.learn(&gathering, roots.gateways, roots.known, &kinship);
        }
        gathering.view.own_line = gathering.line_of(own);
        let view = gathering.view;
        self.argvs.turn_over();
        self.dirs.turn_over();
        Ok(view)
    }

    /// Adds processes to a view, with what stands around them, unless they are there: those that a table named and the look didn't see.
    ///
    /// # Errors
    /// As [`Processes::look`]; the view is then as good as before.
    pub fn look_at(&mut self, view: &mut ProcessView, pids: &[Pid]) -> Result<(), ProcessesError> {
        self.extend(view, |gathering| {
            let is_missing = |pid: &Pid| gathering.view.get(*pid).is_none_or(|p| p.argv.is_none());
            let missing: Vec<Pid> = pids.iter().copied().filter(is_missing).collect();
            missing.into_iter().try_for_each(|pid| gathering.ask(pid))
        })
    }

    /// Adds to a view everything that is below these processes: before their trees are ended, all that is in them has to be known. A list of
    /// children that is read while others exit may lack one, so what isn't childless for certain is looked below twice.
    ///
    /// # Errors
    /// As [`Processes::look`]; the view is then as good as before.
    pub fn look_below(&mut self, view: &mut ProcessView, pids: &[Pid]) -> Result<(), ProcessesError> {
        let kinship = match self.source {
            Source::Kernel => Kinship::ChildrenFiles,
            Source::FullScan => Kinship::Table(full_scan()?),
        };
        let again = self.extend(view, |gathering| {
            let mut again = Vec::new();
            for &pid in pids {
                again.extend((!gathering.ask_whole_family(pid, &kinship)?).then_some(pid));
            }
            Ok(again)
        })?;
        if again.is_empty() {
            return Ok(());
        }
        self.extend(view, |gathering| {
            again.iter().try_for_each(|&pid| gathering.ask_family(pid, &kinship, Depth::All))
        })
    }

    /// Asks for more processes than are in a view, and adds them with what stands around them. Where that fails the view is as good as before.
    fn extend<T>(
        &mut self,
        view: &mut ProcessView,
        ask: impl FnOnce(&mut Gathering<'_>) -> Result<T, ProcessesError>,
    ) -> Result<T, ProcessesError> {
        let mut gathering = Gathering::new(
            &mut self.proc,
            &mut self.argvs,
            &mut self.dirs,
            &self.candidates,
            std::mem::take(view),
        );
        let result = ask(&mut gathering).and_then(|found| gathering.finish().map(|()| found));
        *view = gathering.view;
        result
    }

    /// The processes of this user and of the workers' users whose argv matches. Reads the argv of all of them, so it is for finding a gateway
    /// that no table names, and no more.
    ///
    /// # Errors
    /// As [`Processes::look`].
    pub fn find_matching(&mut self, worker: &WorkerMatch) -> Result<Vec<Process>, ProcessesError> {
        let own_uid = rustix::process::geteuid().as_raw();
        let mut pids = Vec::new();
        self.proc.scan(|pid, stat| pids.extend((!stat.kernel && !stat.zombie).then_some(pid)))?;
        let mut found = Vec::new();
        for pid in pids {
            let owner = self.proc.owner(pid)?;
            if !owner.is_some_and(|uid| uid == own_uid || self.candidates.has_user(uid)) {
                continue;
            }
            let Some(process) = read(&mut self.proc, pid, Detail::WithArgv)? else { continue };
            if process.argv.as_deref().is_some_and(|argv| worker.matches(argv).is_some()) {
                found.push(process);
            }
        }
        Ok(found)
    }

    /// The whole table: whose child is whose, and which processes look like workers or show a sign of adoption.
    fn all_processes(&mut self, extent: Extent) -> Result<(Kinship, Vec<Pid>), ProcessesError> {
        let mut table: HashMap<Pid, Stat> = HashMap::new();
        self.proc.scan(|pid, stat| drop(table.insert(pid, stat)))?;
        let init_is_init = self.proc.init_is_init();
        let holder = |pid: Pid| match table.get(&pid) {
            Some(stat) if !stat.zombie => Holder::Alive(stat.kin(pid)),
            // Hidden, perhaps; what is asked for because of it is judged by the view, which knows.
            _ => Holder::Gone,
        };
        let mut found = Vec::new();
        for (&pid, stat) in table.iter().filter(|(_, stat)| !stat.kernel && !stat.zombie) {
            if !self.proc.owner(pid)?.is_some_and(|uid| self.candidates.has_user(uid)) {
                continue;
            }
            let is_adopted = sign_among(stat.kin(pid), init_is_init, holder).is_some();
            let patterns = match extent {
                Extent::Everything => &self.candidates.patterns,
                Extent::Near | Extent::Whole => &self.candidates.anywhere,
            };
            if is_adopted || is_any(&mut self.proc, pid, patterns)? {
                found.push(pid);
            }
        }
        let pairs = table.iter().filter_map(|(&pid, stat)| Some((pid, stat.parent?)));
        Ok((Kinship::Table(by_parent(pairs)), found))
    }
}

fn is_any(proc: &mut Proc, pid: Pid, patterns: &[WorkerMatch]) -> Result<bool, ProcessesError> {
    let fits = |argv: String| patterns.iter().any(|pattern| pattern.matches(&argv).is_some());
    Ok(!patterns.is_empty() && proc.argv_of(pid)?.is_some_and(fits))
}
