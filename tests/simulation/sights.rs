//! What the looks that a state directory remembers have seen of each session: the truth that a grace without clocks is judged by.

use std::collections::BTreeMap;

use gateway_reaper::domain::observation::Observation;
use gateway_reaper::domain::warrant::Warrant;
use gateway_reaper::reap::outcome::{Ending, Outcome};

use super::disk::Sight;
use super::world::World;

impl World {
    /// Prepares what this look adds to the remembered looks.
    pub(crate) fn count_sights(&mut self, disk: usize, seen: &Observation) {
        let rows = std::mem::take(&mut self.grips[disk].seen);
        let mut sights = BTreeMap::new();
        let mut spared = Vec::new();
        for ((index, id), row) in &rows {
            let table = seen.gateways[*index].table.current();
            let listed = table.is_some_and(|table| table.sessions.iter().any(|s| s.id.as_str() == id));
            if !listed {
                continue;
            }
            if row.is_orphan && row.makes_sense {
                let fresh = Sight { first: row.at };
                let old = self.grips[disk].base.get(&row.serial).copied();
                sights.insert(row.serial, old.unwrap_or(fresh));
            } else {
                spared.push((row.serial, row.at));
            }
        }
        self.grips[disk].seen = rows;
        self.grips[disk].sights = Some((sights, spared));
    }

    /// The look is remembered from here on.
    pub(crate) fn commit_sights(&mut self, disk: usize) {
        if let Some((sights, spared)) = self.grips[disk].sights.clone() {
            self.disks[disk].sights = sights;
            self.disks[disk].spared.extend(spared);
        }
    }

    /// A refused close is fresh evidence.
    pub(crate) fn note_refusal(&mut self, disk: usize, warrant: &Warrant, ending: &Ending) {
        let (Some(order), Outcome::Kept { .. }) = (warrant.session(), &ending.outcome) else { return };
        let serial = self.sessions.iter().find(|session| session.id == order.id.as_str()).map(|s| s.serial);
        if let Some(serial) = serial {
            self.disks[disk].sights.remove(&serial);
            self.disks[disk].spared.insert(serial, self.now);
        }
    }
}
