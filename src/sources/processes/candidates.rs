//! Which processes can be workers at all: whose user's they are, and what their argv looks like.
//!
//! Another user's argv isn't even read: reading it can block for as long as that user likes, and a stranger's look-alike is no worker. What
//! a gateway started is no stranger: its argv is read, so that a worker of another user than the configured one is listed.

use crate::domain::policy::WorkerMatch;

/// What a worker can look like.
#[derive(Debug, Clone, Default)]
pub struct Candidates {
    /// The users that workers run as. Empty: any.
    pub users: Vec<u32>,
    /// The patterns of all gateways. Empty: nothing is looked for by its argv.
    pub patterns: Vec<WorkerMatch>,
    /// Those of them whose workers a look at all processes finds wherever they are, also where a program adopted them that isn't known to adopt,
    /// or below one that was adopted and is no worker.
    pub anywhere: Vec<WorkerMatch>,
}

impl Candidates {
    pub(super) fn has_user(&self, uid: u32) -> bool {
        self.users.is_empty() || self.users.contains(&uid)
    }

    pub(super) fn fits(&self, argv: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(argv).is_some())
    }

    /// Whether this is a worker's argv, or has one in it: a shell's that was started to run a worker.
    pub(super) fn is_or_runs_worker(&self, argv: &str) -> bool {
        let words = argv.char_indices().filter(|(_, letter)| matches!(letter, ' ' | '\'' | '"' | '(' | ';'));
        self.fits(argv)
            || words.map(|(at, _)| argv.get(at + 1..).unwrap_or_default()).any(|rest| self.fits(rest))
    }
}
