//! The journal of trees in hand: one entry for each worker, of this boot alone, and nothing of a damaged line.

use std::collections::BTreeSet;

use gateway_reaper::domain::ids::BootId;
use gateway_reaper::domain::ledger::Ledger;
use gateway_reaper::domain::table::SessionTable;
use gateway_reaper::domain::verdict::Verdict;
use gateway_reaper::state::journal::parse;
use serde_json::json;

use super::world;

pub(crate) fn check(data: &[u8]) {
    let boot = BootId::from(world::BOOT);
    let (in_hand, _) = parse(data, &boot);
    let workers: BTreeSet<_> = in_hand.iter().map(|tree| tree.worker).collect();
    assert_eq!(workers.len(), in_hand.len(), "a worker is in hand once");
    let boots = data.windows(world::BOOT.len()).any(|window| window == world::BOOT.as_bytes());
    assert!(boots || in_hand.is_empty() || data.contains(&b'\\'), "no line names this boot");

    let mut lines = format!("{}\n", json!({ "boot": boot }));
    for tree in &in_hand {
        lines.push_str(&format!("{}\n", json!({ "take": tree })));
    }
    assert_eq!(parse(lines.as_bytes(), &boot), (in_hand.clone(), 0), "written again it reads the same");
    let damaged = [b"{\"take\":\n\xff\n".as_slice(), lines.as_bytes(), b"{\"put\":"].concat();
    assert_eq!(parse(&damaged, &boot), (in_hand.clone(), 3), "damaged lines take nothing with them");

    // Whatever it says: nobody is ended who is nobody's worker or whom a gateway still has.
    let memory = Ledger { boot: Some(boot), unfinished: in_hand, ..Ledger::default() };
    let decision = world::decided(SessionTable::default(), &memory);
    for judged in decision.gateways.iter().flat_map(|gateway| &gateway.judged) {
        let Verdict::Reap { warrant, .. } = &judged.verdict else { continue };
        for remnant in warrant.remnants() {
            let pid = remnant.pid.get();
            assert!(pid != world::GATEWAY && pid != 80 && pid != 90 && pid != 1, "{pid} is never signalled");
        }
    }
}
