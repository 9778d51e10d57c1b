//! How the story ended, looked at without asking the reaper: processes through the pidfds held since their start, sessions by trying to
//! resume them.

use std::fmt;

use super::cast::{Cast, Member};
use super::narrator::{Narrator, Who};
use super::role::Fate;
use crate::demo::client::{Client, ClientError};

/// Sessions, processes and memory, counted together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Sessions.
    pub sessions: usize,
    /// Processes of these sessions.
    pub processes: usize,
    /// Resident memory of these processes while they ran.
    pub rss_bytes: u64,
}

/// How the story ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ending {
    /// What would have stayed without a reaper.
    pub leaked: Tally,
    /// What of it is gone, session and processes.
    pub reclaimed: Tally,
    /// What had to be left alone and is still there, session and processes.
    pub spared: Tally,
    /// Everything that came out wrong, one sentence each.
    pub wrong: Vec<String>,
}

impl Tally {
    pub(in crate::demo) fn add(&mut self, other: Self) {
        self.sessions += other.sessions;
        self.processes += other.processes;
        self.rss_bytes += other.rss_bytes;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let megabytes = self.rss_bytes as f64 / 1e6;
        write!(f, "{} sessions, {} processes, {megabytes:.1} MB", self.sessions, self.processes)
    }
}

impl Ending {
    /// Whether all of it came out right.
    pub fn came_right(&self) -> bool {
        self.wrong.is_empty()
    }

    /// The last lines of the story.
    pub(super) fn tell(&self, narrator: &Narrator) {
        narrator.line("");
        narrator.line(&format!("  leaked     {}", self.leaked));
        narrator.line(&format!("  reclaimed  {}", self.reclaimed));
        narrator.line(&format!("  spared     {}", self.spared));
        for wrong in &self.wrong {
            narrator.line(&format!("  WRONG      {wrong}"));
        }
        if self.came_right() {
            narrator.line("  All as it should be, and nothing of this demo is left on the machine.");
        }
    }
}

/// What a member's processes amount to while they run.
pub(super) fn tally(member: &Member) -> Tally {
    Tally { sessions: 1, processes: member.processes.len(), rss_bytes: member.rss_bytes() }
}

/// Looks at every session and every process. `before` is what each member amounted to, in the order of the cast.
pub(super) async fn look(cast: &Cast, before: &[Tally], narrator: &Narrator) -> Ending {
    let mut ending = Ending::default();
    if !cast.gateway_process.alive() {
        ending.wrong.push(format!("the gateway, process {}, is gone", cast.gateway_process));
    }
    for (member, tally) in cast.members.iter().zip(before) {
        let session = session_exists(cast, member).await;
        let name = member.role.name;
        let (expected, met, text) = match member.role.fate {
            Fate::Reaped => {
                ending.leaked.add(*tally);
                (member.gone() && session == Ok(false), &mut ending.reclaimed, "gone for good".to_owned())
            }
            Fate::Spared { because } => {
                let there = member.unharmed() && session == Ok(true);
                (there, &mut ending.spared, format!("still there: {because}"))
            }
        };
        if expected {
            met.add(*tally);
            narrator.say(Who::Check, &format!("{name} is {text}"));
            continue;
        }
        let alive = member.processes.iter().filter(|process| process.alive()).count();
        let session = match session {
            Ok(true) => "is there".to_owned(),
            Ok(false) => "is gone".to_owned(),
            Err(why) => format!("can't be asked after ({why})"),
        };
        let wrong = format!(
            "{name} should be {text}; now {alive} of {} processes run, its session {session}",
            member.processes.len()
        );
        narrator.say(Who::Check, &wrong);
        ending.wrong.push(wrong);
    }
    ending
}

/// Asks the gateway, as a client would. Only the last look may do this: it attaches the session.
async fn session_exists(cast: &Cast, member: &Member) -> Result<bool, String> {
    let mut client = Client::connect(cast.gateway.address()).await.map_err(|error| error.to_string())?;
    match client.resume(&member.session).await {
        Ok(()) => Ok(true),
        Err(ClientError::Refused(_)) => Ok(false),
        Err(error) => Err(error.to_string()),
    }
}
