//! Patience with a gateway that is down: `watch` asks it less and less often, and the log hears of it once, not at every poll.

use std::time::Duration;

use crate::domain::ids::GatewayName;
use crate::domain::table::{Answer, TableView};
use crate::domain::time::Awake;

/// The longest pause between two questions to a gateway that is down; so long may it be up again unnoticed.
const LONGEST: Duration = Duration::from_secs(60);

/// Whether a gateway that was down is asked at every run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// At every run: there may be no other.
    None,
    /// Less and less often, starting with this pause.
    Growing(Duration),
}

/// How one gateway has been answering.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    down: Option<Down>,
    /// Earlier runs could not reach it either, and the log has that already.
    pub(super) is_old_news: bool,
    /// A report tells it, whatever it is.
    pub(super) is_told_elsewhere: bool,
}

#[derive(Debug)]
struct Down {
    pause: Duration,
    until: Awake,
    view: TableView,
}

impl Backoff {
    /// What to say of the gateway without asking it: it was down a moment ago. Where nothing listened it is asked all the same: by now it may
    /// be up, with the workers of its last run.
    pub(super) fn spared(&self, now: Awake) -> Option<TableView> {
        let down = self.down.as_ref().filter(|down| now < down.until && down.view.is_asked_once());
        down.map(|down| down.view.clone())
    }

    /// Whether the gateway is not asked now.
    pub(super) fn is_sparing(&self, now: Awake) -> bool {
        self.down.as_ref().is_some_and(|down| now < down.until)
    }

    /// Takes note of an answer, and tells the log what is new about it.
    pub(super) fn heard(&mut self, gateway: &GatewayName, view: &TableView, now: Awake, patience: Patience) {
        let why = match view {
            TableView::Current(_) => {
                if self.down.take().is_some() {
                    tracing::info!(%gateway, "the session table can be read again");
                }
                return;
            }
            TableView::Not(missing) => &missing.why,
        };
        let known = self.down.as_ref().is_some_and(|down| same_trouble(&down.view, view));
        let is_down = view.missing().is_some_and(|missing| missing.answer == Answer::NothingListens);
        let but = if is_down { ", but a worker that has lost its gateway may be ended" } else { "" };
        let told = format_args!("{why}; nothing that depends on its table is touched{but}");
        if !known && (self.is_told_elsewhere || self.is_old_news && is_down) {
            tracing::debug!(%gateway, "{told}");
        } else if !known {
            tracing::warn!(%gateway, "{told}");
        }
        let pause = match (patience, &self.down) {
            (Patience::None, _) => Duration::ZERO,
            (Patience::Growing(_), Some(down)) => (down.pause * 2).min(LONGEST),
            (Patience::Growing(first), None) => first.min(LONGEST),
        };
        // The first pause is one interval: nothing is skipped yet.
        let until = if self.down.is_some() { now + pause } else { now };
        self.down = Some(Down { pause, until, view: view.clone() });
    }
}

/// Whether it is the same kind of trouble as before. The words may carry figures that change.
fn same_trouble(before: &TableView, now: &TableView) -> bool {
    let kind = |view: &TableView| view.missing().map(|missing| (missing.answer, missing.listed.is_empty()));
    kind(before) == kind(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_that_gives_no_table_is_asked_less_and_less_often_and_one_that_is_gone_at_every_look() {
        let asked = |view: TableView| {
            let mut backoff = Backoff::default();
            let at = |second: u64| Awake::from_nanos(0) + Duration::from_secs(second);
            let is_asked = |second: &u64| {
                let spared = backoff.spared(at(*second)).is_some();
                if !spared {
                    backoff.heard(
                        &"gw".into(),
                        &view,
                        at(*second),
                        Patience::Growing(Duration::from_secs(1)),
                    );
                }
                !spared
            };
            (0..30).filter(is_asked).collect::<Vec<u64>>()
        };
        assert_eq!(asked(TableView::unreachable("hangs")), [0, 1, 3, 7, 15]);
        assert_eq!(asked(TableView::refused("401")), [0, 1, 3, 7, 15]);
        assert_eq!(asked(TableView::nothing_listens("connection refused")), (0..30).collect::<Vec<_>>());
    }
}
