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
        let blind = self.blind(disk);
        self.disks[disk].looked = Some(self.grips[disk].written);
        for start in self.grips[disk].starts.values_mut() {
            *start += blind;
        }
        for sight in sights.values_mut() {
            sight.first = (sight.first + blind).min(self.grips[disk].asked);
        }
        let mut next = self.grips[disk].starts.clone();
        for (_, row) in rows.iter().filter(|((index, _), _)| seen.gateways[*index].table.current().is_some())
        {
            let start = if row.is_orphan { row.at.saturating_sub(row.claim) } else { row.at };
            let start = self.without_stop(disk, start);
            let known = next.entry(row.serial).or_insert(start);
            *known = start.max(*known);
        }
        self.grips[disk].next_starts = next;
        self.grips[disk].seen = rows;
        self.grips[disk].sights = Some((sights, spared));
    }

    /// The look is remembered from here on.
    pub(crate) fn commit_sights(&mut self, disk: usize) {
        if let Some((sights, spared)) = self.grips[disk].sights.clone() {
            self.disks[disk].sights = sights;
            self.disks[disk].spared.extend(spared);
            self.disks[disk].starts = self.grips[disk].next_starts.clone();
        }
    }

    /// Time before this look in which nobody looked, though looks were due: more than what looks that came in time could have left out.
    fn blind(&self, disk: usize) -> u64 {
        let rhythm = self.setup.reapers[disk];
        let Some(looked) =
            self.disks[disk].looked.filter(|_| rhythm.watches && self.grips[disk].is_continued)
        else {
            return 0;
        };
        let gap = self.grips[disk].written.saturating_sub(looked);
        gap.saturating_sub(2 * rhythm.every + 2 * rhythm.every.max(super::run::TABLE_TIMEOUT))
    }

    /// The start of a gateway's clock, later by what doesn't count of a look that was stopped between its question and the tables: all but
    /// what one look in time would have shown.
    fn without_stop(&self, disk: usize, start: u64) -> u64 {
        let (rhythm, grip) = (self.setup.reapers[disk], &self.grips[disk]);
        let allowed = rhythm.every.max(super::run::TABLE_TIMEOUT);
        let stop = grip.written - grip.asked;
        if !rhythm.watches || !grip.is_continued || stop <= 2 * allowed {
            return start;
        }
        // What started during the stop is later by no more than the part that it was there for.
        (start + stop - allowed).min(start.max(grip.written - allowed))
    }

    /// A refused close is fresh evidence.
    pub(crate) fn note_refusal(&mut self, disk: usize, warrant: &Warrant, ending: &Ending) {
        let (Some(order), Outcome::Kept { .. }) = (warrant.session(), &ending.outcome) else { return };
        let serial = self.sessions.iter().find(|session| session.id == order.id.as_str()).map(|s| s.serial);
        if let Some(serial) = serial {
            self.disks[disk].sights.remove(&serial);
            self.disks[disk].starts.insert(serial, self.now);
            self.disks[disk].spared.insert(serial, self.now);
        }
    }
}
