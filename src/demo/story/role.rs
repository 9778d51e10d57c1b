//! The parts of the story: what each session is, what its client does, and what must have become of it in the end.

use crate::demo::flavour::Flavour;
use crate::demo::protocol::{CloseManner, NewSession, WorkerSpec};

/// One session's part.
#[derive(Debug, Clone, Copy)]
pub(super) struct Role {
    /// What the story calls the session; also its key.
    pub(super) name: &'static str,
    /// What is special about it, said as it opens.
    pub(super) special: &'static str,
    pub(super) act: Act,
    pub(super) fate: Fate,
    worker: WorkerSpec,
    close: Option<CloseManner>,
    close_on_disconnect: bool,
}

/// What the session's client does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// Stays.
    Stays,
    /// Goes away and never comes back.
    Leaves,
    /// Asks for something that takes long and goes away.
    LeavesMidTurn,
    /// Goes away and comes back within the grace.
    ComesBack,
}

/// What must have become of a session and its processes in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Gone, with all its processes.
    Reaped,
    /// Still there, with all its processes.
    Spared {
        /// Why.
        because: &'static str,
    },
}

const PLAIN: WorkerSpec = WorkerSpec {
    flavour: Flavour::Plain,
    memory_mb: 0,
    at_end_of_input: crate::demo::protocol::AtEndOfInput::Exit,
    leads: crate::demo::flavour::Leads::Nothing,
};

const ABANDONED: Role = Role {
    name: "notes",
    special: "",
    act: Act::Leaves,
    fate: Fate::Reaped,
    worker: PLAIN,
    close: None,
    close_on_disconnect: false,
};

/// All roles, in the order in which they come on.
pub(super) const ROLES: [Role; 8] = [
    ABANDONED,
    Role {
        name: "photos",
        special: ", which holds 40 MB of memory",
        worker: WorkerSpec { memory_mb: 40, ..PLAIN },
        ..ABANDONED
    },
    Role {
        name: "build",
        special: ", which starts three more processes, two of them in a session of their own",
        worker: WorkerSpec { flavour: Flavour::Family, ..PLAIN },
        ..ABANDONED
    },
    Role {
        name: "legacy",
        special: ", which ignores SIGTERM, and which the gateway forgets to end",
        worker: WorkerSpec { flavour: Flavour::Stubborn, ..PLAIN },
        close: Some(CloseManner::Lazy),
        ..ABANDONED
    },
    Role {
        name: "popup",
        special: "; it asks to end with its connection",
        close_on_disconnect: true,
        ..ABANDONED
    },
    Role {
        name: "report",
        special: ", and asks for a long report: a turn begins",
        act: Act::LeavesMidTurn,
        fate: Fate::Spared { because: "it is in the middle of its turn" },
        ..ABANDONED
    },
    Role {
        name: "train",
        act: Act::ComesBack,
        fate: Fate::Spared { because: "its client came back in time" },
        ..ABANDONED
    },
    Role {
        name: "desk",
        act: Act::Stays,
        fate: Fate::Spared { because: "its client never left" },
        ..ABANDONED
    },
];

impl Role {
    pub(super) fn session(&self) -> NewSession {
        NewSession {
            key: Some(self.name.into()),
            close_on_disconnect: self.close_on_disconnect,
            worker: self.worker,
            close: self.close,
        }
    }
}
