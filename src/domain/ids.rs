//! Names of things. Newtypes, so that a session's id never stands where a worker's key should.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Box<str>);

        impl $name {
            /// The text as the gateway or the configuration wrote it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl<T: Into<Box<str>>> From<T> for $name {
            fn from(text: T) -> Self {
                Self(text.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name_type! {
    /// The name an operator gave to a gateway in the configuration.
    GatewayName
}

impl GatewayName {
    /// The name of a gateway that was found, and isn't in the configuration itself: that of the one that it was found by, and where it is.
    #[must_use]
    pub fn found_at(&self, place: &str) -> Self {
        format!("{self}:{place}").into()
    }

    /// Whether what is said of this name holds for that gateway: it has this name, or was found by the one that has.
    pub fn stands_for(&self, gateway: &Self) -> bool {
        let rest = gateway.as_str().strip_prefix(self.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
    }
}

name_type! {
    /// The unique id of a session in its gateway's table.
    SessionId
}
name_type! {
    /// What a worker's argv carries to say which session it serves.
    WorkerKey
}
name_type! {
    /// Identity of one run of a gateway: opaque, new at every start.
    Instance
}
name_type! {
    /// Identity of one boot of the machine.
    BootId
}

/// A process id in the reaper's own PID namespace. Never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pid(u32);

impl Pid {
    /// PID 1: init, or in a container whatever was started first.
    pub const INIT: Self = Self(1);

    /// The largest PID that Linux can give out (`PID_MAX_LIMIT` is 2^22; anything that fits a positive `pid_t` is let through).
    pub fn new(raw: u64) -> Option<Self> {
        u32::try_from(raw).ok().filter(|pid| (1..=i32::MAX as u32).contains(pid)).map(Self)
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
