//! When to look at a worker that is dying.

use std::time::Duration;

use crate::domain::time::Awake;

/// The first look at a dying tree comes after this, each further one after half of the time that it has been dying for.
const FIRST_LOOK: Duration = Duration::from_millis(2);

/// Looks at a tree while its worker is dying: what it starts on its way out is its child only until it is gone (a child forks as its
/// parent dies), and in a group and a session shared with the gateway nothing leads to it afterwards.
#[derive(Debug, Clone, Copy)]
pub(super) struct Vigil {
    since: Awake,
    pub(super) next: Awake,
}

impl Vigil {
    pub(super) fn from(now: Awake) -> Self {
        Self { since: now, next: now + FIRST_LOOK }
    }

    pub(super) fn looked(&mut self, now: Awake) {
        self.next = now + (now.since(self.since) / 2).max(FIRST_LOOK);
    }
}
