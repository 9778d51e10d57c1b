//! What befalls the reapers and their memory, and the calm after it all.

use std::time::Duration;

use super::event::Mishap;
use super::world::World;

impl World {
    pub(crate) fn mishap(&mut self, disk: usize, mishap: Mishap) {
        if disk >= self.disks.len() {
            return;
        }
        let now = self.now;
        match mishap {
            Mishap::Killed(0) => self.kill(disk),
            Mishap::Killed(calls) => self.grips[disk].fuse = Some(calls),
            Mishap::LosesState => self.disks[disk].lose(),
            Mishap::LedgerTorn => self.disks[disk].tear_ledger(),
            Mishap::JournalTorn => self.disks[disk].tear_journal(),
            Mishap::LedgerRolledBack => self.disks[disk].roll_ledger_back(),
            Mishap::DirectoryRolledBack => self.disks[disk].roll_back(),
            Mishap::Foreign => self.disks[disk].replace(),
            Mishap::DiskFull(span) => self.disks[disk].full_until = now + span,
            Mishap::SlowAudit(each, span) => self.disks[disk].slow = (each, now + span),
            Mishap::Frozen(span) => self.disks[disk].frozen_until = now + span,
        }
        let lost = !matches!(
            mishap,
            Mishap::Killed(_) | Mishap::DiskFull(_) | Mishap::SlowAudit(..) | Mishap::Frozen(_)
        );
        if lost {
            for toil in self.toils.values_mut() {
                toil.known_to.retain(|known| *known != disk);
            }
            self.unname();
            self.inventory.clear();
            for index in 0..self.gateways.len() {
                self.end_draining(index);
            }
        }
    }

    /// A run that is under way ends here, also in the middle of a call: nothing that it does from here on has any effect.
    pub(crate) fn kill(&mut self, disk: usize) {
        self.grips[disk].dead = true;
        self.killed.push(disk);
    }

    /// No more faults: gateways are up and tell the truth, disks have room, nobody is killed.
    pub(crate) fn calm(&mut self) {
        self.say(|_| "--- calm".to_owned());
        for index in 0..self.gateways.len() {
            let now = self.now;
            let gateway = &mut self.gateways[index];
            gateway.hangs_until = now;
            gateway.table_fault = None;
            gateway.close_fault = None;
            self.end_draining(index);
            self.start_gateway(index);
        }
        for disk in 0..self.disks.len() {
            self.disks[disk].full_until = self.now;
            self.disks[disk].frozen_until = self.now;
            self.disks[disk].slow = (0, 0);
            self.grips[disk].fuse = None;
        }
    }

    /// How long an orphan may last once all is calm: a run in hand, a look, the grace, another look, and the teardown.
    pub(crate) fn patience(&self) -> u64 {
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap();
        let policies = || self.setup.gateways.iter().map(|gateway| &gateway.policy);
        let grace = policies().map(|p| millis(p.grace.max(p.worker_grace).max(p.close_on_disconnect_grace)));
        // Close, SIGTERM, SIGKILL; and again for what forked away meanwhile.
        let teardown = policies().map(|p| millis(p.close_timeout + 2 * p.term_timeout) + 10_000);
        let poll = self.setup.reapers.iter().map(|rhythm| rhythm.every + rhythm.jitter);
        let (teardown, poll) = (teardown.max().unwrap_or(0), poll.max().unwrap_or(0));
        // A worker that a look misses is in doubt, and so is each that may be it.
        let missed = if self.setup.misses > 0 { 3 * poll } else { 0 };
        // What is over `max_reaps` waits for a run that has room for it.
        let most = policies().map(|policy| policy.max_reaps).min().unwrap_or(usize::MAX);
        let runs = (self.toils.len() + self.sessions.iter().count()).div_ceil(most);
        let put_off = u64::try_from(runs).unwrap().saturating_sub(1) * (poll + teardown);
        let once = grace.max().unwrap_or(0) + 2 * (poll + teardown) + missed + put_off + 5000;
        // A worker below another goes first, and a whole look that finds what was adopted unseen is not made at once. What may be the worker of
        // a session that has lost its own waits until that has ended.
        once * (1 + u64::from(self.depth()) + u64::from(self.lost_a_worker))
    }

    /// How many workers were started below one another.
    fn depth(&self) -> u8 {
        let below = |serial| {
            let own = self.toils.get(&serial).filter(|toil| toil.gateway.is_some())?;
            self.sessions.get(own.session)?.nested_in
        };
        let depth = |serial| std::iter::successors(below(serial), |host| below(*host)).take(3).count();
        let deepest = self.toils.keys().map(|serial| depth(*serial)).max().unwrap_or(0);
        u8::try_from(deepest).unwrap_or(3)
    }

    pub(crate) fn ends_at(&self) -> u64 {
        // What was asked for late in the storm may come true in the calm.
        self.setup.calm_at + self.patience() + 20_000
    }
}
