//! Nothing leaked: when all has been calm for long enough, no orphan is left that the tool can possibly know.
//!
//! Not known, and so not asked for:
//! - sessions whose row makes no sense, or names a process that can't be its worker, or whose worker has
//!   under it whom another row names: they are kept, and that is said;
//! - workers that a row may own without saying so (a row without a worker's PID and with the same key, or with one that is not
//!   understood, or one that names a process which can't be its worker), that a row names although they, or who is under them, aren't
//!   its own, or whose gateway tells nobody its process;
//! - workers whose gateway died before any run that remembers had seen them under it and known it, or that a row of another gateway
//!   named by mistake meanwhile, where whoever adopted them shows nothing of it;
//! - what has strayed from its worker's tree before a run took the tree in hand, or whose run's journal was lost: nothing in the process
//!   table leads from the one to the other;
//! - another user's processes, and whatever is under them.

use gateway_reaper::domain::table::Told;

use super::event::Field;
use super::procs::{Kind, Proc, Serial};
use super::session::{Life, Sess};
use super::setup::USER;
use super::world::{Toil, World};

impl World {
    pub(crate) fn check_end(&mut self) {
        if self.setup.calm_at == u64::MAX || self.breach.is_some() || self.setup.reapers.is_empty() {
            return;
        }
        let overdue = |since: u64| self.now.saturating_sub(since.max(self.setup.calm_at)) >= self.patience();
        let sessions = self
            .sessions
            .iter()
            .filter(|session| session.orphan_since.is_some_and(overdue) && self.is_knowable_session(session));
        let mut left: Vec<String> = sessions.map(|session| format!("session {}", session.id)).collect();
        for (serial, toil) in &self.toils {
            // While a row with its key lists no worker, it may be that row's.
            let hidden_until = self.sessions.iter().filter(|session| self.shares_key(toil, session));
            let hidden_until = hidden_until.filter_map(|session| session.closed_at).max().unwrap_or(0);
            if !toil.orphan_since.is_some_and(|since| overdue(since.max(hidden_until))) {
                continue;
            }
            let members = self.procs.tree(*serial).filter(|proc| self.is_knowable(*serial, toil, proc));
            left.extend(members.map(|proc| format!("{:?} {} (of worker #{serial})", proc.kind, proc.pid)));
        }
        let stopped = self.procs.iter().filter(|proc| proc.stopped && proc.kind == Kind::Bystander);
        left.extend(stopped.map(|proc| format!("stopped bystander {}", proc.pid)));
        if !left.is_empty() {
            self.breach(format!("still there after all was calm: {}", left.join(", ")));
        }
    }

    fn shares_key(&self, toil: &Toil, session: &Sess) -> bool {
        let own = toil.gateway.and_then(|_| self.sessions.get(toil.session));
        own.is_some_and(|own| own.key == session.key)
    }

    fn is_knowable_session(&self, session: &Sess) -> bool {
        session.obscured.is_none()
            && !self.is_impostor(session)
            && !session.worker.is_some_and(|worker| self.is_above_named(worker))
    }

    /// A row names, by mistake, a process under this worker.
    fn is_above_named(&self, worker: Serial) -> bool {
        let rows = self.sessions.iter().filter(|session| session.life == Life::Live);
        let rows = rows.filter(|session| self.setup.gateways[session.gateway].tells.worker_pids);
        let mut named = rows.filter_map(|session| session.misnamed);
        named.any(|pid| self.procs.tree(worker).any(|proc| proc.pid == pid && proc.serial != worker))
    }

    /// Its row names a process that can't be its worker, or another row names the same.
    fn is_impostor(&self, session: &Sess) -> bool {
        if !self.setup.gateways[session.gateway].tells.worker_pids {
            return false;
        }
        let named = |session: &Sess| {
            let worker = session.worker.and_then(|serial| self.procs.alive(serial)).map(|proc| proc.pid);
            session.misnamed.or(worker)
        };
        let pid = named(session);
        let rows =
            self.sessions.iter().filter(|other| other.life == Life::Live && other.serial != session.serial);
        let mut others = rows.filter(|other| self.setup.gateways[other.gateway].tells.worker_pids);
        session.misnamed.is_some() || pid.is_some() && others.any(|other| named(other) == pid)
    }

    fn is_knowable(&self, root: Serial, toil: &Toil, proc: &Proc) -> bool {
        if proc.uid != USER || self.is_under_another_user(proc) {
            return false;
        }
        // What was in hand is gone after without its worker; while that lives, the two are judged together. Where the close was refused, it
        // waits for its session.
        let worker = self.procs.alive(root);
        if self.inventory.contains_key(&proc.serial) {
            let session = toil.gateway.and_then(|_| self.sessions.get(toil.session));
            let live = session.filter(|session| session.life == Life::Live);
            return live.is_none_or(|live| self.is_knowable_session(live))
                && worker.is_none_or(|worker| self.is_knowable_worker(toil, worker));
        }
        !proc.strayed && worker.is_some_and(|worker| self.is_knowable_worker(toil, worker))
    }

    fn is_under_another_user(&self, proc: &Proc) -> bool {
        let mut parent = self.procs.get(proc.parent);
        while let Some(found) = parent.filter(|found| found.root.is_some()) {
            if found.uid != USER {
                return true;
            }
            parent = self.procs.get(found.parent);
        }
        false
    }

    fn is_knowable_worker(&self, toil: &Toil, worker: &Proc) -> bool {
        let key = worker.key();
        let rows = || self.sessions.iter().filter(|session| session.life == Life::Live);
        let hides = |session: &Sess| {
            let tells = &self.setup.gateways[session.gateway].tells;
            let alive = session.worker.and_then(|serial| self.procs.alive(serial));
            let row = session.row(tells, alive.map(|proc| proc.pid), self.now);
            match row.worker {
                Told::Known(None) => false,
                Told::Known(Some(pid)) => {
                    let is_its_row = session.key == key || session.obscured == Some(Field::Key);
                    pid.get() == worker.pid || (is_its_row && self.is_impostor(session))
                }
                Told::Absent => session.key == key || session.obscured == Some(Field::Key),
                Told::NotUnderstood(_) => true,
            }
        };
        if rows().any(hides) || self.is_above_named(worker.serial) {
            return false;
        }
        let known_gateways =
            self.setup.gateways.iter().all(|gateway| gateway.tells.pid || gateway.found_by_argv);
        let under = self.procs.get(worker.parent).map(|parent| parent.kind);
        match (under, toil.gateway) {
            (Some(Kind::Gateway(index)), _) => {
                let setup = &self.setup.gateways[index];
                setup.tells.pid || setup.found_by_argv
            }
            _ if !known_gateways => false,
            (Some(Kind::Init), _) if self.setup.init_is_init => true,
            _ => !toil.known_to.is_empty() && !toil.claimed,
        }
    }
}
