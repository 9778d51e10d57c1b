//! What can happen in the world, each in one line of text: the language of the stories and of the scenarios.

use std::fmt;

/// Which session, by its place in the cast: `a`, `b`, …
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Slot(pub(crate) usize);

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = char::from(b'a' + u8::try_from(self.0 % 26).unwrap());
        write!(f, "{letter}")
    }
}

/// One thing that happens by itself, whatever the reaper does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    Session(Slot, Act),
    Worker(Slot, Fate),
    Gateway(usize, Turnabout),
    Foreign(Turnabout),
    Machine(Weather),
    /// So many short-lived processes come and go, and the PID counter moves on.
    Churn(u64),
    Reaper(usize, Mishap),
    /// The reaper is started (cron, a timer, a person).
    Sweep(usize),
}

/// What clients and the session itself do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// A client opens it; it is being built for so many milliseconds.
    Opens(usize, u64),
    Attaches,
    Drops,
    Prompts,
    /// The turn waits on a person's answer.
    Asks,
    TurnEnds,
    Held(&'static str),
    Released,
    /// It is to end with its transport from now on.
    EndsWithTransport,
    /// The user ends it.
    Closes,
    /// It is resumed under a second id with the same key (0.13).
    Twins(Slot),
    /// Opened again after its end, with the same key.
    Resumes,
    /// Another session, whose worker runs below this one's.
    Nests(Slot),
    /// Its conversation gets another key; its worker keeps the argv that it has.
    Rotates,
    /// A field of its row makes no sense from now on.
    Obscured(Field),
    /// Its row names another process than its worker from now on.
    Misnamed(Wrong),
}

/// Which field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Transport,
    Turn,
    Holds,
    CloseOnDisconnect,
    Worker,
    Key,
    TransportMissing,
    TurnMissing,
}

/// Whose PID a wrong row gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrong {
    Init,
    Reaper,
    Gateway,
    Bystander,
    /// The worker of another session.
    Another(Slot),
    /// Nobody's.
    Nobody,
}

/// What becomes of a worker and its tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Crashes,
    /// The gateway starts another one; does the old one stay?
    Replaced(Leaves),
    Forks,
    /// Starts a process that leads a session of its own.
    ForksLeader,
    /// A child of it forks and exits: its grandchild goes to what adopts.
    Daemonizes,
    ChildExits,
    ChildForks,
    TurnsDeaf,
    ChildTurnsDeaf,
    Stops,
    /// A child of it becomes another user's.
    ChildChangesUser,
    /// Executes a setuid program.
    ChangesUser,
    /// Writes over its argv.
    Renames,
    /// Forks without exec: the child has its argv.
    Copies,
    /// The same, twice: the copy is adopted.
    CopiesAway,
    /// Leads a session of its own.
    LeadsSession,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leaves {
    Nothing,
    TheOldOne,
}

/// What gateways do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turnabout {
    Crashes,
    Starts,
    /// Another run in the same process (exec): PID and start ticks stay, the instance doesn't.
    Execs,
    /// Another process takes over; the old one goes on for so long with the sessions in use.
    Drains(u64),
    /// Answers nothing for so long.
    Hangs(u64),
    /// The table is like that for so long.
    Table(TableFault, u64),
    /// Closing is like that for so long.
    Close(CloseFault, u64),
    /// Its close leaves the worker behind from now on.
    Leaks,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TableFault {
    Unreachable,
    Refused,
    /// Answers so many milliseconds late.
    Late(u64),
    /// Leaves one session out. (Shorter than a worker's grace: a table that lies longer can't be told from the truth.)
    Omits(Slot),
    /// Doesn't say which process or which run it is.
    Anonymous,
    /// Answers 401.
    Unauthorized,
    /// No table, only which sessions there are.
    Listed,
    /// Nothing listens, though the gateway is there. (Shorter than a worker's grace, and once: longer, it can't be told from its end.)
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CloseFault {
    /// Closes and doesn't answer.
    Mute,
    /// Answers with an error and does nothing.
    Fails,
    /// Answers, and its worker stays.
    Hollow,
    /// Doesn't answer in time, and asks itself the question so much later.
    Late(u64),
    /// Answers so much later.
    Slow(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weather {
    /// Sleeps so long; nobody notices but the boot clock.
    Sleeps(u64),
    /// The wall clock jumps by so much.
    WallJumps(i64),
    Reboots,
}

/// What befalls the reaper of a state directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mishap {
    /// Killed after so many more of its calls to the system (0: now).
    Killed(u64),
    LosesState,
    /// The ledger is torn and no longer readable.
    LedgerTorn,
    /// The journal's last lines are lost.
    JournalTorn,
    /// An older ledger is put back; the lock file knows better.
    LedgerRolledBack,
    /// The whole directory is put back: nothing tells.
    DirectoryRolledBack,
    /// The directory of another boot, or machine, is put in its place.
    Foreign,
    /// Nothing can be written for so long.
    DiskFull(u64),
    /// Each line of the audit log takes so long, for so long.
    SlowAudit(u64, u64),
    /// Stopped for so long, in the middle of whatever it does.
    Frozen(u64),
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Session(slot, act) => write!(f, "session {slot} {act}"),
            Self::Worker(slot, fate) => write!(f, "worker {slot} {}", words(fate)),
            Self::Gateway(index, turn) => write!(f, "gateway {index} {}", words(turn)),
            Self::Foreign(turn) => write!(f, "foreign gateway {}", words(turn)),
            Self::Machine(weather) => write!(f, "machine {}", words(weather)),
            Self::Churn(count) => write!(f, "churn {count}"),
            Self::Reaper(index, mishap) => write!(f, "reaper {index} {}", words(mishap)),
            Self::Sweep(index) => write!(f, "sweep {index}"),
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opens(gateway, 0) => write!(f, "opens on {gateway}"),
            Self::Opens(gateway, built) => write!(f, "opens on {gateway}, built in {built} ms"),
            Self::Held(hold) => write!(f, "held by {hold}"),
            Self::Twins(slot) => write!(f, "twins as {slot}"),
            Self::Nests(slot) => write!(f, "nests {slot}"),
            Self::Obscured(field) => write!(f, "obscured: {}", words(field)),
            Self::Misnamed(Wrong::Another(slot)) => write!(f, "misnamed as the worker of {slot}"),
            other => f.write_str(&words(other)),
        }
    }
}

/// `TurnEnds` as `turn ends`.
fn words(what: &impl fmt::Debug) -> String {
    let mut text = String::new();
    for letter in format!("{what:?}").chars() {
        if letter.is_ascii_uppercase() && !text.is_empty() && text.ends_with(|c: char| c.is_alphabetic()) {
            text.push(' ');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}
