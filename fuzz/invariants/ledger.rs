//! The ledger on disk: one that is taken is of this boot and of the past, reads the same once more, and never makes any grace shorter
//! than it says.

use gateway_reaper::domain::ids::BootId;
use gateway_reaper::domain::ledger::Ledger;
use gateway_reaper::domain::table::SessionTable;
use gateway_reaper::domain::time::Awake;
use gateway_reaper::state::ledger_file::{Remembered, judge};
use serde_json::{Value, json};

use super::world;

pub(crate) fn check(data: &[u8]) {
    let boot = BootId::from(world::BOOT);
    let expected = serde_json::from_slice(data).ok().and_then(|stored: Value| stored["sequence"].as_u64());
    let judged = |bytes: &[u8], expected, boot: &BootId, now| match judge(Some(bytes), expected, boot, now) {
        Remembered::Kept(ledger) => Some(ledger),
        Remembered::Outdated(_) => panic!("nobody said so"),
        Remembered::Nothing => panic!("there is something"),
        Remembered::StartedAgain(why) => {
            assert!(!why.is_empty());
            None
        }
    };
    let other = expected.map_or(Some(0), |sequence| Some(sequence ^ 1));
    assert!(judged(data, other, &boot, world::now()).is_none(), "it is not the last one");
    assert!(judged(data, None, &boot, world::now()).is_none(), "none was ever written");
    let Some(ledger) = judged(data, expected, &boot, world::now()) else { return };
    assert_eq!(ledger.check(&boot, world::now()), Ok(()));
    assert!(ledger.unfinished.is_empty(), "that is the journal's");
    assert!(judged(data, expected, &"another boot".into(), world::now()).is_none());
    if latest(&ledger).is_some_and(|latest| latest > Awake::from_nanos(0)) {
        assert!(judged(data, expected, &boot, Awake::from_nanos(0)).is_none(), "it is from the future");
    }
    let stored = json!({ "version": 1, "sequence": 1, "ledger": ledger }).to_string();
    assert_eq!(judged(stored.as_bytes(), Some(1), &boot, world::now()).as_ref(), Some(&ledger));

    // The table says that no session is there; then nobody but its workers can be due, whatever is remembered.
    let decision = world::decided(SessionTable::default(), &ledger);
    assert_eq!(decision.ledger.check(&boot, world::now()), Ok(()), "what it becomes can be read again");
}

fn latest(ledger: &Ledger) -> Option<Awake> {
    let gateways = ledger.gateways.values();
    let clocks = gateways.flat_map(|gateway| {
        let sessions =
            gateway.sessions.values().flat_map(|clock| clock.claims_after.into_iter().chain([clock.since]));
        sessions.chain(gateway.workers.iter().filter_map(|worker| Some(worker.clock?.since)))
    });
    clocks.chain(ledger.whole_look).max()
}
