//! Signs that a process lost its parent and was adopted by another.
//!
//! The kernel doesn't tell: an orphan goes to the nearest of its ancestors that asked for orphans (a subreaper), else to init, and who
//! asked is not to be seen. What can be seen is listed in [`AdoptionSign`]. (Age tells nothing: an adopter is an ancestor, so it's older.)

use super::ids::Pid;
use super::process::{Process, ProcessView};

/// What shows that a process was adopted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AdoptionSign {
    /// Its parent is PID 1, and PID 1 is init. Init also starts services of its own.
    UnderInit,
    /// Its parent is PID 1, in a container whose PID 1 has no name that says it is init: it may be anything, a gateway included.
    UnderFirst,
    /// Its parent has the name of a program that adopts orphans. Such a program also starts processes of its own.
    UnderKnownSubreaper,
    /// Its session is neither its own nor its parent's, and the leader of that session or of its process group is gone.
    ///
    /// The process group alone would be no sign: in the shell's `true | worker` the worker's group has lost its leader while the shell,
    /// its true parent, is there.
    LeaderlessSession,
}

/// Programs that adopt orphans, by the 15 bytes that the kernel keeps of a name.
const KNOWN_SUBREAPERS: [&str; 18] = [
    "bwrap",
    "catatonit",
    "conmon",
    "containerd-shim",
    "docker-init",
    "dumb-init",
    "init",
    "my_init",
    "openrc-init",
    "podman-init",
    "runit",
    "runit-init",
    "runsvdir",
    "s6-svscan",
    "systemd",
    "tini",
    "tini-static",
    "upstart",
];

/// What of a process is needed to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kin<'a> {
    /// Its PID.
    pub pid: Pid,
    /// Its parent now.
    pub parent: Option<Pid>,
    /// Its process group.
    pub group: u32,
    /// Its session.
    pub session: u32,
    /// The short name the kernel keeps.
    pub comm: &'a str,
}

/// What is known of the process that has a PID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder<'a> {
    /// A process that was seen.
    Alive(Kin<'a>),
    /// No process, or a zombie.
    Gone,
    /// It was not looked at, or is hidden.
    Unknown,
}

impl<'a> From<&'a Process> for Kin<'a> {
    fn from(process: &'a Process) -> Self {
        Self {
            pid: process.identity.pid,
            parent: process.parent,
            group: process.group,
            session: process.session,
            comm: &process.comm,
        }
    }
}

/// Whether a program of this name adopts orphans.
pub fn is_known_subreaper(comm: &str) -> bool {
    KNOWN_SUBREAPERS.contains(&comm)
}

/// The sign that a process of this view was adopted, if there is one.
pub fn sign(process: &Process, view: &ProcessView) -> Option<AdoptionSign> {
    sign_among(process.into(), view.init_is_init, |pid| match view.get(pid) {
        Some(holder) if holder.zombie => Holder::Gone,
        Some(holder) => Holder::Alive(holder.into()),
        None if view.gone.contains(&pid) => Holder::Gone,
        None => Holder::Unknown,
    })
}

/// The same among processes that are known in some other way.
pub fn sign_among<'a>(
    process: Kin<'a>,
    init_is_init: bool,
    holder: impl Fn(Pid) -> Holder<'a>,
) -> Option<AdoptionSign> {
    let parent_pid = process.parent?;
    if parent_pid == Pid::INIT && init_is_init {
        return Some(AdoptionSign::UnderInit);
    }
    let Holder::Alive(parent) = holder(parent_pid) else {
        return (parent_pid == Pid::INIT).then_some(AdoptionSign::UnderFirst);
    };
    if is_known_subreaper(parent.comm) {
        return Some(match parent_pid {
            Pid::INIT => AdoptionSign::UnderInit,
            _ => AdoptionSign::UnderKnownSubreaper,
        });
    }
    if parent_pid == Pid::INIT {
        return Some(AdoptionSign::UnderFirst);
    }
    let lost = |leader: u32| {
        leader != process.pid.get()
            && Pid::new(leader.into()).is_some_and(|leader| holder(leader) == Holder::Gone)
    };
    // Session 0 is one that was opened outside of this PID namespace.
    let foreign_session = ![0, process.pid.get(), parent.session].contains(&process.session);
    (foreign_session && (lost(process.session) || lost(process.group)))
        .then_some(AdoptionSign::LeaderlessSession)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pid(raw: u64) -> Pid {
        Pid::new(raw).unwrap()
    }

    /// A worker 50, child of 40, in the session and group of a gateway 30 that is gone.
    fn worker() -> Kin<'static> {
        Kin { pid: pid(50), parent: Some(pid(40)), group: 30, session: 30, comm: "python3" }
    }

    fn parent(comm: &'static str) -> Kin<'static> {
        Kin { pid: pid(40), parent: Some(pid(1)), group: 40, session: 40, comm }
    }

    fn sign_of(worker: Kin<'static>, parent: Kin<'static>, leader: Holder<'static>) -> Option<AdoptionSign> {
        sign_among(worker, false, |pid| match pid.get() {
            30 => leader,
            _ if pid == parent.pid => Holder::Alive(parent),
            _ => Holder::Unknown,
        })
    }

    #[test]
    fn under_pid_1_where_it_is_init() {
        let worker = Kin { parent: Some(Pid::INIT), ..worker() };
        assert_eq!(sign_among(worker, true, |_| Holder::Unknown), Some(AdoptionSign::UnderInit));
        assert_eq!(sign_among(worker, false, |_| Holder::Unknown), Some(AdoptionSign::UnderFirst));
    }

    #[test]
    fn in_a_container_pid_1_is_init_only_by_its_name() {
        let worker = Kin { parent: Some(Pid::INIT), session: 50, group: 50, ..worker() };
        let first = |comm| Kin { pid: Pid::INIT, parent: None, ..parent(comm) };
        assert_eq!(sign_of(worker, first("tini"), Holder::Unknown), Some(AdoptionSign::UnderInit));
        assert_eq!(sign_of(worker, first("python3"), Holder::Unknown), Some(AdoptionSign::UnderFirst));
    }

    #[test]
    fn under_a_program_that_adopts() {
        let signed = sign_of(worker(), parent("systemd"), Holder::Unknown);
        assert_eq!(signed, Some(AdoptionSign::UnderKnownSubreaper));
    }

    #[test]
    fn in_a_session_that_lost_its_leader() {
        let signed = sign_of(worker(), parent("supervisor"), Holder::Gone);
        assert_eq!(signed, Some(AdoptionSign::LeaderlessSession));
        let group_only = Kin { session: 20, ..worker() };
        assert_eq!(sign_of(group_only, parent("supervisor"), Holder::Gone), signed);
    }

    #[test]
    fn a_leader_that_was_not_looked_for_proves_nothing() {
        assert_eq!(sign_of(worker(), parent("supervisor"), Holder::Unknown), None);
    }

    #[test]
    fn a_job_of_a_shell_whose_first_process_ended_has_no_sign() {
        let job = Kin { session: 40, group: 30, ..worker() };
        assert_eq!(sign_of(job, parent("bash"), Holder::Gone), None);
    }

    #[test]
    fn a_leader_of_its_own_session_has_no_sign() {
        let leader = Kin { session: 50, group: 50, ..worker() };
        assert_eq!(sign_of(leader, parent("bash"), Holder::Gone), None);
    }

    #[test]
    fn a_parent_that_was_not_seen_proves_nothing() {
        let worker = Kin { parent: Some(pid(41)), ..worker() };
        assert_eq!(sign_of(worker, parent("systemd"), Holder::Gone), None);
    }
}
