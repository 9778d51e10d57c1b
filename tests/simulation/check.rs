//! What may never happen, checked at every act against a truth that no reaper can see.

use std::collections::BTreeMap;
use std::time::Duration;

use gateway_reaper::domain::ids::Pid;
use gateway_reaper::domain::ledger::Unfinished;
use gateway_reaper::domain::process::ProcessIdentity;
use gateway_reaper::domain::table::{Session, Told};
use gateway_reaper::reap::event::CloseRequest;
use gateway_reaper::reap::kernel::Signal;
use gateway_reaper::reap::outcome::{Ending, Outcome, Step, Survivor};
use gateway_reaper::reap::record::Case;

use super::event::Field;
use super::gateways::inner;
use super::hands::Seen;
use super::procs::{Kind, Proc, Serial};
use super::session::{Life, Sess};
use super::setup::{Clocks, USER};
use super::world::{Toil, World};

impl World {
    /// A signal reaches a process of an orphan's tree and no other, after the orphan's grace, and after its line in the audit log.
    pub(crate) fn check_signal(&mut self, disk: usize, serial: Serial, signal: Signal) {
        let Some(proc) = self.procs.by_serial(serial) else { return };
        let (kind, pid) = (proc.kind, proc.pid);
        let identity = self.procs.identity(proc);
        let root = proc.root;
        let what = format!("{signal:?} reached {kind:?} {pid}");
        if !self.is_announced(disk, signal, identity) {
            return self.breach(format!("{what} without a line in the audit log"));
        }
        let boot = self.boot_id();
        let in_hand = |tree: &Unfinished| tree.members.contains(&identity) || tree.worker == identity;
        if signal == Signal::Term
            && proc_is_root(kind)
            && !self.disks[disk].unfinished(&boot).iter().any(in_hand)
            && self.disks[disk].losses == self.grips[disk].losses
        {
            return self.breach(format!("{what}, which was not written down as in hand"));
        }
        if !matches!(kind, Kind::Worker | Kind::Child) {
            return self.breach(format!("{what}, which is of no worker's tree"));
        }
        if let Some(breach) = self.too_soon(disk, serial, signal) {
            return self.breach(format!("{what} {breach}"));
        }
        let Some((root, toil)) = root.and_then(|root| Some((root, self.toils.get(&root)?))) else {
            return self.breach(format!("{what}, which is of no worker's tree"));
        };
        if toil.is_elsewhere {
            return self.breach(format!("{what}, which is in another PID namespace"));
        }
        // What was taken back after the table was read, a moment ago, or after the first signal, can't be known.
        let grip = &self.grips[disk];
        let taken_back = toil.needed_since.filter(|since| *since >= grip.asked);
        let is_unknowable = taken_back.is_some() && self.now <= grip.asked + GOOD_FOR;
        if grip.begun.contains(&root) || is_unknowable {
            return self.begin(disk, root);
        }
        // One whose end was due, and asked for, is not alive only because its gateway failed to close it.
        let own = toil.gateway.and_then(|_| self.sessions.get(toil.session));
        let refused_since = own.filter(|own| own.condemned).and_then(|own| own.orphan_since);
        if self.is_forgotten(root, toil) {
            return self.begin(disk, root);
        }
        let Some(since) = toil.orphan_since.or(refused_since) else {
            return self.breach(format!("{what}, of the tree of a live session's worker"));
        };
        let grace =
            toil.gateway.map_or(Duration::ZERO, |index| self.setup.gateways[index].policy.worker_grace);
        let waited = Duration::from_millis(self.now - since);
        // It goes with its session, or with another of the same key, which finds it by that.
        let shares_key = |session: &&Sess| own.is_some_and(|own| own.key == session.key);
        let with_session =
            self.sessions.iter().filter(shares_key).any(|session| session.taken || session.condemned);
        // It goes with the worker that it was started below.
        let host = own.and_then(|own| own.nested_in).and_then(|host| self.toils.get(&host));
        let with_host = host.is_some_and(|host| {
            let session = host.gateway.and_then(|_| self.sessions.get(host.session));
            host.condemned || session.is_some_and(|session| session.taken || session.condemned)
        });
        if !(toil.condemned || toil.blurred || with_session || with_host || waited >= grace) {
            return self.breach(format!("{what} after {waited:?} of a grace of {grace:?}"));
        }
        self.begin(disk, root);
    }

    /// No row says its key, and none its PID: it is dead, and this was left of it; or it is older than the gateway that took it back, which
    /// then counts as of an earlier run.
    fn is_forgotten(&self, root: Serial, toil: &Toil) -> bool {
        let Some(index) = toil.gateway else { return false };
        let setup = &self.setup.gateways[index];
        let own = self.sessions.get(toil.session);
        let is_hidden = |own: &Sess| own.rotated.is_some() || own.obscured == Some(Field::Key);
        if !setup.hides_keys && !own.is_some_and(is_hidden) {
            return false;
        }
        let worker = self.procs.alive(root);
        let is_misnamed = |own: &Sess| {
            own.misnamed.is_some() || own.launcher.is_some() || own.obscured == Some(Field::Worker)
        };
        let is_named = setup.tells.worker_pids && !own.is_some_and(is_misnamed);
        let is_taken_back = !is_named && toil.needed_since.is_some();
        // Another user's argv can't be read.
        worker.is_none_or(|worker| worker.uid != USER) || is_taken_back
    }

    fn begin(&mut self, disk: usize, root: Serial) {
        self.grips[disk].begun.insert(root);
        if let Some(toil) = self.toils.get_mut(&root) {
            toil.condemned = true;
        }
    }

    /// Why it is too early for SIGKILL, counted from this run's SIGTERM.
    fn too_soon(&mut self, disk: usize, serial: Serial, signal: Signal) -> Option<String> {
        let now = self.now;
        let timeouts = self.setup.gateways.iter().map(|gateway| gateway.policy.term_timeout);
        let timeout = u64::try_from(timeouts.min().unwrap_or_default().as_millis()).unwrap();
        let termed = &mut self.grips[disk].termed;
        if signal == Signal::Term {
            termed.entry(serial).or_insert(now);
            return None;
        }
        let waited = now - *termed.get(&serial).filter(|_| signal == Signal::Kill)?;
        (2 * (waited + SOME_CALLS) < timeout)
            .then(|| format!("{waited} ms after SIGTERM (term_timeout {timeout} ms)"))
    }

    fn is_announced(&self, disk: usize, signal: Signal, identity: ProcessIdentity) -> bool {
        let announced = &self.grips[disk].announced;
        match signal {
            Signal::Term => announced.contains(&(Step::Term, Some(identity))),
            Signal::Stop | Signal::Kill => announced.contains(&(Step::Kill, Some(identity))),
            Signal::Continue => true,
        }
    }

    /// A gateway is asked to close a session only on a row that was an orphan's, after the whole grace.
    pub(crate) fn check_close(&mut self, disk: usize, request: &CloseRequest) {
        let id = &request.order.id;
        if !self.grips[disk].closes.iter().any(|announced| announced == id.as_str()) {
            return self.breach(format!("the close of {id} without a line in the audit log"));
        }
        self.acts += 1;
        let wanted = |((gateway, seen), _): &&((usize, String), Seen)| {
            super::setup::gateway_name(*gateway) == request.gateway.as_str() && *seen == id.as_str()
        };
        let Some(((gateway, _), seen)) = self.grips[disk].seen.iter().find(wanted).cloned() else {
            return self.breach(format!("the close of {id}, which no table of this run lists"));
        };
        let Some(session) = self.sessions.get(seen.serial).cloned() else { return };
        let what = format!("the close of {id}");
        if !seen.is_orphan {
            return self.breach(format!("{what}, which was none when its row was written"));
        }
        if !seen.makes_sense {
            return self.breach(format!("{what}, whose row makes no sense"));
        }
        let policy = &self.setup.gateways[gateway].policy;
        let grace = if seen.ends_with_transport { policy.close_on_disconnect_grace } else { policy.grace };
        let grace = u64::try_from(grace.as_millis()).unwrap();
        if let Some(late) = self.impatience(disk, gateway, &session, &seen, grace) {
            self.breach(format!("{what} {late} (grace {grace} ms)"));
        }
    }

    /// A session whose tree is in hand was due: the run that finishes that need not wait again.
    pub(crate) fn note_condemned(&mut self, disk: usize, tree: &Unfinished) {
        let Some(id) = &tree.asked else { return };
        let rows = self.grips[disk].seen.iter();
        let found = rows.filter(|((_, seen), row)| seen == id.as_str() && row.is_orphan);
        let serials: Vec<u64> = found.map(|(_, row)| row.serial).collect();
        for serial in serials {
            if let Some(session) = self.sessions.get_mut(serial) {
                session.condemned = true;
            }
        }
    }

    /// Why it is too early.
    fn impatience(
        &self,
        disk: usize,
        gateway: usize,
        session: &Sess,
        seen: &Seen,
        grace: u64,
    ) -> Option<String> {
        let tells = &self.setup.gateways[gateway].tells;
        let memory = &self.disks[disk];
        // What this run remembers, whatever befell the state directory since.
        let none = BTreeMap::new();
        let sights = self.grips[disk].sights.as_ref().map_or(&none, |(sights, _)| sights);
        let since = |at: u64| seen.at.saturating_sub(at);
        let too_early =
            |what: &str, waited: u64| (waited < grace).then(|| format!("after {waited} ms {what}"));
        if tells.clocks == Clocks::Both {
            // What earlier looks saw bounds what a clock may say that counts the machine's sleep, or time in which nobody looked.
            let starts = self.grips[disk].starts.get(&session.serial).filter(|_| !memory.gaps);
            let bound = |claim: u64| starts.map_or(claim, |start| claim.min(since(*start)));
            let claim = bound(seen.claim);
            let early = too_early("of its gateway's own clocks", claim + CLOCK_JITTER);
            // A hold stops neither clock. One that was seen starts the grace again; that it is over, a later look must have seen.
            let first = sights.get(&session.serial).map_or(seen.at, |sight| sight.first);
            let held =
                memory.spared.get(&session.serial).filter(|at| !memory.gaps && **at >= seen.lull_since);
            return early.or_else(|| {
                held.and_then(|_| too_early("since it was seen to be held no more", since(first)))
            });
        }
        if tells.activity {
            return too_early("as an orphan", since(seen.orphan_since.unwrap_or(seen.at)));
        }
        if memory.gaps {
            // A directory that was put back whole hides that the session was seen alive in between; without clocks or activity nothing
            // tells. What still holds: it is an orphan, and its gateway says so again when it closes it.
            return None;
        }
        let sight = sights.get(&session.serial);
        too_early("of being seen as an orphan", sight.map_or(0, |sight| since(sight.first)))
    }

    /// What is called reaped is gone, also what lost its way to a worker that led its session and was there when the run began. (A run that
    /// finishes another's can't ask after a dead leader's number: it may be anybody's by then.)
    pub(crate) fn check_end_of_tree(&mut self, disk: usize, case: &Case, ending: &Ending) {
        let (Some(worker), Outcome::Reaped) = (case.worker, &ending.outcome) else { return };
        let held = self.inventory.iter().filter(|(_, of)| **of == worker).map(|(serial, _)| *serial);
        let mut held = held.filter(|serial| self.grips[disk].held.contains(serial));
        let leads = |serial: &Serial| self.toils.get(serial).is_some_and(|toil| toil.leads);
        let Some(root) = held.find(leads) else { return };
        drop(held);
        let led = |number: u32| number == worker.pid.get();
        let mut left = self.procs.tree(root).filter(|proc| proc.uid == super::setup::USER);
        // What a container's table says is its gateway or a worker, though that PID means another process there, is never signalled.
        let is_said = |proc: &Proc| {
            let is_contained = |index: usize| self.setup.gateways[index].contained;
            let tables = (0..self.gateways.len()).filter(|index| is_contained(*index));
            let tables: Vec<_> = tables.map(|index| self.table(index)).collect();
            let tables = tables.iter().filter_map(|table| table.current());
            // Also of a session that was closed since the look.
            let workers =
                self.sessions.iter().filter(|it| is_contained(it.gateway)).filter_map(|it| it.worker);
            let mut said =
                tables.filter_map(|table| table.gateway_pid).map(Pid::get).chain(workers.map(inner));
            said.any(|pid| pid == proc.pid)
        };
        // It may be of a session whose row names no worker. (By its key it is found only if it was there at the look.)
        let may_be_of_another = || {
            let names_none = |row: &Session| {
                Some(&row.id) != case.session.as_ref() && !matches!(row.worker, Told::Known(_))
            };
            let tables = (0..self.gateways.len()).map(|index| self.table(index));
            let mut tables = tables.filter_map(|table| table.current().cloned());
            tables.any(|table| table.sessions.iter().any(names_none))
        };
        // Its worker became another user's before the first signal: what is below that is let be with it, and named. And so is what may be the
        // worker of a gateway without a table, or of such a row, with what is below it.
        let is_unread = || (0..self.gateways.len()).any(|index| self.table(index).current().is_none());
        let is_let_be = |proc: &Proc| {
            let named = |survivor: &Survivor| survivor.process == self.procs.identity(proc);
            let mut line = self.ancestors(proc).chain([proc]);
            (self.is_under_another_user(proc)
                || line.any(Proc::looks_like_worker) && (is_unread() || may_be_of_another()))
                && ending.survivors.iter().any(named)
        };
        // Or it, or what is below it, is of a session that was opened meanwhile, as far as that one's row tells.
        let is_of_another = |proc: &Proc| {
            let live = self.sessions.iter().filter(|session| session.life == Life::Live);
            let names = |it: &Sess| {
                self.setup.gateways[it.gateway].tells.worker_pids && self.named_by(it) == Some(proc.pid)
            };
            live.filter(|session| case.session.as_ref().is_none_or(|id| *session.id != *id.as_str()))
                .any(|it| it.told_key() == proc.key() || names(it))
        };
        let is_of_another_in = |root: Serial| {
            let mut below = self.procs.iter().filter(|proc| self.ancestors(proc).any(|it| it.serial == root));
            self.procs.alive(root).is_some_and(is_of_another) || below.any(is_of_another)
        };
        // Nor is anything searched that strayed from it and was never seen below it. And so with one that has written over its argv since.
        let has_changed = self.procs.alive(root).is_some_and(|root| root.uid != USER || root.said.is_some());
        let root_is_let_be = (has_changed || is_of_another_in(root) || may_be_of_another())
            && ending.survivors.iter().any(|survivor| survivor.process == worker);
        // After SIGTERM, too: a second look comes before SIGKILL.
        if root_is_let_be && !ending.steps.contains(&Step::Kill) {
            return;
        }
        // What no look saw below it, and that is older than the first act, is let be and named.
        let is_apart = |proc: &Proc| {
            let is_it = |survivor: &Survivor| survivor.process == self.procs.identity(proc);
            ending
                .survivors
                .iter()
                .any(|left| is_it(left) && left.why.starts_with("it shares a process session"))
        };
        let is_left = |proc: &Proc| !is_said(proc) && !is_let_be(proc) && !is_apart(proc);
        let found = left.find(|proc| (led(proc.group) || led(proc.session)) && is_left(proc));
        let what = found.map(|proc| format!("{:?} {} is still there", proc.kind, proc.pid));
        drop(left);
        if let Some(what) = what {
            self.breach(format!("{what}, of the reaped worker {worker}"));
        }
    }

    /// The truth about the rows of a table, at the instant it is written.
    pub(crate) fn witness(&self, index: usize) -> Vec<((usize, String), Seen)> {
        let of = self.sessions.iter().filter(|session| session.gateway == index);
        of.filter(|session| session.life == Life::Live)
            .map(|session| {
                let seen = Seen {
                    serial: session.serial,
                    at: self.now,
                    is_orphan: session.is_orphan(),
                    makes_sense: session.obscured.is_none(),
                    ends_with_transport: session.close_on_disconnect,
                    orphan_since: session.orphan_since,
                    lull_since: session.detached_at.max(session.idle_at),
                    claim: self.claim(session),
                };
                ((index, session.id.clone()), seen)
            })
            .collect()
    }
}

/// So long a decision is good, counted from when its tables were asked for, in milliseconds; and a moment for the signal itself.
const GOOD_FOR: u64 = 2100;

/// A worker that doesn't care is given up on after half of the time; what is below it has the rest, and all of it together one deadline.
const SOME_CALLS: u64 = 250;

/// What the product grants a gateway's clocks.
const CLOCK_JITTER: u64 = 101;

impl World {
    /// How long the gateway's own clocks say that a session has been detached and idle.
    fn claim(&self, session: &Sess) -> u64 {
        let counts_sleep = self.setup.gateways[session.gateway].counts_sleep;
        let slept = |then: u64| if counts_sleep { self.slept - then.min(self.slept) } else { 0 };
        let detached = self.now - session.detached_at + slept(session.detached_slept);
        detached.min(self.now - session.idle_at + slept(session.idle_slept))
    }
}

fn proc_is_root(kind: Kind) -> bool {
    kind == Kind::Worker
}
