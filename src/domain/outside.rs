//! What is known of a gateway that publishes no table, by looking at it from outside.

use std::fmt;
use std::time::Duration;

use super::ids::Pid;
use super::time::Awake;

/// Looks that are further apart are single points: a client may have come and gone between them, and nothing was seen of it.
pub const LOOKS_APART: Duration = Duration::from_secs(60);
/// How often to look while something waits that rests on looks.
pub const LOOK_EVERY: Duration = Duration::from_secs(25);

/// What is known of a gateway from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outside {
    /// The process that has the socket at which it listens.
    pub gateway: Option<Pid>,
    /// Its clients now.
    pub clients: Clients,
    /// Since when no client was connected at any look, and no two looks were further apart than [`LOOKS_APART`].
    pub nobody_since: Option<Awake>,
}

/// What is known of a gateway's clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Clients {
    /// None but this reaper.
    Nobody,
    /// So many connections.
    Connected(usize),
    /// Why it can't be told.
    Unknown(Box<str>),
}

impl fmt::Display for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => f.write_str("no client is connected, so every session of its is detached"),
            Self::Connected(1) => f.write_str("1 client is connected, to which session isn't known"),
            Self::Connected(many) => write!(f, "{many} clients are connected, to which sessions isn't known"),
            Self::Unknown(why) => write!(f, "whether a client is connected isn't known: {why}"),
        }
    }
}

/// Since when no client was connected, as far as looks can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Absence {
    since: Option<Awake>,
    last: Option<Awake>,
}

impl Absence {
    /// Takes in what was seen now; since when no client was connected at any look.
    pub fn look(&mut self, clients: &Clients, now: Awake) -> Option<Awake> {
        let is_apart = self.last.is_none_or(|last| now.since(last) > LOOKS_APART);
        self.last = Some(now);
        self.since = match clients {
            Clients::Nobody if is_apart => Some(now),
            Clients::Nobody => self.since.or(Some(now)),
            Clients::Connected(_) | Clients::Unknown(_) => None,
        };
        self.since
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Awake {
        Awake::from_nanos(0) + Duration::from_secs(seconds)
    }

    #[test]
    fn absence_counts_from_look_to_look_and_not_across_a_gap() {
        let mut absence = Absence::default();
        assert_eq!(absence.look(&Clients::Nobody, at(100)), Some(at(100)));
        assert_eq!(absence.look(&Clients::Nobody, at(160)), Some(at(100)), "a minute apart");
        assert_eq!(absence.look(&Clients::Nobody, at(221)), Some(at(221)), "more than a minute");
        assert_eq!(absence.look(&Clients::Connected(1), at(230)), None);
        assert_eq!(absence.look(&Clients::Nobody, at(240)), Some(at(240)));
        assert_eq!(absence.look(&Clients::Unknown("".into()), at(250)), None);
        assert_eq!(absence.look(&Clients::Nobody, at(260)), Some(at(260)));
    }
}
