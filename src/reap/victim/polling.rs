//! When to poll a dying worker's children: what it forks while it exits can't be found later.

use std::time::Duration;

use crate::domain::time::Awake;

/// The first look at a dying tree comes after this, each further one after as long again as it has been dying for: a thousand are looked at, too.
const FIRST_LOOK: Duration = Duration::from_millis(2);
/// The same three times where all of it is marked: what it starts is found by that, and a look is only for the next run, if this one ends here.
const MARKED: u32 = 3;

/// The schedule of the looks at a dying worker. What it starts on its way out is its child only until it is gone; in a process group and a
/// session shared with the gateway nothing tells afterwards whose it was.
#[derive(Debug, Clone, Copy)]
pub(super) struct Polling {
    since: Awake,
    pub(super) next: Awake,
}

impl Polling {
    pub(super) fn from(now: Awake) -> Self {
        Self { since: now, next: now + FIRST_LOOK }
    }

    pub(super) fn looked(&mut self, now: Awake, is_marked: bool) {
        let times = if is_marked { MARKED } else { 1 };
        self.next = now + now.since(self.since).max(FIRST_LOOK) * times;
    }
}
