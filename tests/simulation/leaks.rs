//! Nothing leaked: when all has been calm for long enough, no orphan is left that the tool can possibly know.
//!
//! Not known, and so not asked for:
//! - sessions whose row makes no sense, or names a process that can't be its worker, or whose worker has
//!   under it whom another row names, or of which it isn't known which worker they have, and that of another row is under one that may be it:
//!   they are kept, and that is said;
//! - workers that a row may own without saying so (a row without a worker's PID and with the same key, or with one that is not
//!   understood, or one that names a process which can't be its worker), that a row names although they, or who is under them, aren't
//!   its own, or whose gateway tells nobody its process;
//! - workers whose gateway died before any run that remembers had seen them under it and known it, or that a row of another gateway
//!   named by mistake meanwhile, where what adopted them shows nothing of it;
//! - what has strayed from its worker's tree before a run took the tree in hand, or whose run's journal was lost: nothing in the process
//!   table leads from the one to the other;
//! - another user's processes, and whatever is under them; and so what was a worker and has written over its argv: it is kept and listed.

use gateway_reaper::domain::table::Told;

use super::procs::{Kind, OWN_NAMESPACE, Proc, Serial};
use super::session::{Life, Sess};
use super::setup::{Names, Starts, USER};
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
            // Nor while the worker of any row isn't known: then it may be that one's.
            let may_hide = |session: &&Sess| {
                let setup = &self.setup.gateways[session.gateway];
                let is_unknown = setup.hides_keys || session.told_key() != session.key;
                self.shares_key(toil, session) || (is_unknown && !setup.tells.worker_pids)
            };
            let hidden_until = self.sessions.iter().filter(may_hide);
            let hidden_until = hidden_until.filter_map(|session| session.closed_at).max().unwrap_or(0);
            if !toil.orphan_since.is_some_and(|since| overdue(since.max(hidden_until))) {
                continue;
            }
            let members = self.procs.tree(*serial).filter(|proc| self.is_knowable(*serial, toil, proc));
            left.extend(members.map(|proc| format!("{:?} {} (of worker #{serial})", proc.kind, proc.pid)));
        }
        left.extend(self.unlisted());
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
        let setup = &self.setup.gateways[session.gateway];
        let worker = session.worker.and_then(|worker| self.procs.alive(worker));
        let checks = |worker: &Proc| {
            // A row that names a shell, another user's process, or one that is neither below its gateway nor carries its key.
            let says_so = !setup.hides_keys && session.told_key() == worker.key();
            let named = !setup.tells.worker_pids
                || worker.uid == USER
                    && setup.starts != Starts::Wrapped(Names::TheShell)
                    && (says_so
                        || self.is_below_gateway(worker, session.gateway) && session.nested_in.is_none());
            // Its worker carries the key of another row.
            let mut others = self.sessions.iter().filter(|other| other.life == Life::Live);
            let is_shared = !says_so && others.any(|other| other.told_key() == worker.key());
            named && worker.said.is_none() && !is_shared && !self.is_above_others(session, worker)
        };
        session.obscured.is_none()
            && !self.setup.has_contained()
            && !self.is_impostor(session)
            && worker.is_none_or(checks)
            && !session.worker.is_some_and(|worker| self.is_above_named(worker))
            && !self.carriers(session).any(|carrier| self.is_above_others(session, carrier))
            && !self.may_be_above_others(session)
    }

    /// Its row doesn't tell which worker it has, and may have one with another session's worker under it.
    fn may_be_above_others(&self, session: &Sess) -> bool {
        let mut workers = self.procs.iter().filter(|proc| proc.looks_like_worker());
        workers.any(|worker| self.may_own(session, worker) && self.is_above_others(session, worker))
    }

    /// What carries the key that its row says, an earlier worker of it included.
    fn carriers<'a>(&'a self, session: &'a Sess) -> impl Iterator<Item = &'a Proc> {
        let tells_key = !self.setup.gateways[session.gateway].hides_keys;
        let carries = move |proc: &&Proc| {
            tells_key
                && proc.looks_like_worker()
                && proc.namespace == OWN_NAMESPACE
                && proc.key() == session.told_key()
        };
        self.procs.iter().filter(carries)
    }

    fn is_below_gateway(&self, proc: &Proc, index: usize) -> bool {
        let gateway = self.gateways[index].process;
        self.ancestors(proc).any(|ancestor| Some(ancestor.serial) == gateway)
    }

    pub(crate) fn ancestors<'a>(&'a self, proc: &'a Proc) -> impl Iterator<Item = &'a Proc> {
        std::iter::successors(self.procs.get(proc.parent), |proc| self.procs.get(proc.parent)).take(64)
    }

    /// Below this worker is what may be another session's: its worker, or a copy that carries the key of two.
    fn is_above_others(&self, session: &Sess, worker: &Proc) -> bool {
        let is_below = |proc: &&Proc| self.ancestors(proc).any(|ancestor| ancestor.serial == worker.serial);
        let is_one = |proc: &&Proc| proc.looks_like_worker() || proc.said.is_some();
        let others = self.procs.iter().filter(is_one).filter(is_below);
        let live = || self.sessions.iter().filter(|other| other.life == Life::Live);
        // A row that has another key by now names a worker that carries the older one: a copy may be of either.
        let carries = |other: &Sess, key: &str| {
            let named = other.worker.and_then(|serial| self.procs.alive(serial));
            other.told_key() == key || named.is_some_and(|named| named.key() == key)
        };
        let foreign = |proc: &Proc| {
            proc.key() != session.told_key()
                || live().any(|other| other.serial != session.serial && carries(other, proc.key()))
        };
        let mut others = others.filter(|proc| proc.serial != worker.serial);
        let named = |other: &Sess| {
            let proc = other.worker.and_then(|serial| self.procs.alive(serial));
            other.serial != session.serial && proc.is_some_and(|proc| is_below(&proc))
        };
        others.any(foreign) || live().any(named)
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
        let named = |session: &Sess| session.misnamed.or_else(|| self.named_by(session));
        let pid = named(session);
        let rows =
            self.sessions.iter().filter(|other| other.life == Life::Live && other.serial != session.serial);
        let mut others = rows.filter(|other| self.setup.gateways[other.gateway].tells.worker_pids);
        session.misnamed.is_some() || pid.is_some() && others.any(|other| named(other) == pid)
    }

    fn is_knowable(&self, root: Serial, toil: &Toil, proc: &Proc) -> bool {
        let is_renamed = self.procs.by_serial(root).is_some_and(|root| root.said.is_some());
        if proc.uid != USER || self.is_under_another_user(proc) || is_renamed {
            return false;
        }
        if self.goes_with_host(proc) {
            return false;
        }
        // A copy that nothing leads to is a worker of its own, as far as anybody can see.
        if proc.looks_like_worker() && proc.strayed && !self.inventory.contains_key(&proc.serial) {
            return self.is_knowable_worker(toil, proc);
        }
        // What was in hand is gone after without its worker; while that lives, the two are judged together. Where the close was refused, it
        // waits for its session.
        let worker = self.procs.alive(root);
        if self.inventory.contains_key(&proc.serial) {
            let session = toil.gateway.and_then(|_| self.sessions.get(toil.session));
            let live = session.filter(|session| session.life == Life::Live);
            // What is left of a worker stays with its session where that is listed again, and goes with it.
            if worker.is_none() && live.is_some() {
                return false;
            }
            // A copy that may be a session's is kept, with what is below it and above it.
            let is_doubtful = |proc: &Proc| {
                proc.kind == Kind::Child && proc.looks_like_worker() && self.may_be_of_any(proc)
            };
            let is_above = |other: &Proc| self.ancestors(other).any(|above| above.serial == proc.serial);
            let is_with_doubtful = is_doubtful(proc)
                || self.ancestors(proc).any(is_doubtful)
                || self.procs.iter().any(|other| is_doubtful(other) && is_above(other));
            // Its worker was a copy of a twin's, as long as it lived, and what is left goes with that one's session.
            let is_twin = |session: &Sess| {
                let mut live = self.sessions.iter().filter(|other| other.life == Life::Live);
                live.any(|other| [&*other.key, other.told_key()].contains(&&*session.key))
            };
            let is_twins = live.is_none() && session.is_some_and(is_twin);
            return live.is_none_or(|live| self.is_knowable_session(live))
                && !is_twins
                && (worker.is_some() || !self.may_be_of_any(proc))
                && !is_with_doubtful
                && worker.is_none_or(|worker| self.is_knowable_worker(toil, worker));
        }
        !proc.strayed && worker.is_some_and(|worker| self.is_knowable_worker(toil, worker))
    }

    /// It strayed from a worker that ran below another session's. Once its own session was closed it was that one's helper, as far as anybody
    /// can see, and is still.
    pub(crate) fn goes_with_host(&self, proc: &Proc) -> bool {
        let toil = proc.root.and_then(|root| self.toils.get(&root));
        let own = toil.filter(|toil| toil.gateway.is_some()).and_then(|toil| self.sessions.get(toil.session));
        let host = own.and_then(|own| own.nested_in);
        proc.strayed && host.is_some_and(|host| self.procs.alive(host).is_some())
    }

    pub(crate) fn is_under_another_user(&self, proc: &Proc) -> bool {
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
        // A copy of a worker that a row claims by mistake is that row's as well, also once that worker is gone.
        let is_claimed = worker.kind == Kind::Child
            && toil.claimed
            && self.sessions.iter().any(|row| row.life == Life::Live && row.misnamed.is_some());
        let is_hidden = is_claimed
            || self.may_be_of_any(worker)
            || self.is_above_named(worker.serial)
            || self.is_among_workers(worker);
        if is_hidden {
            return false;
        }
        let known_gateways =
            self.setup.gateways.iter().all(|gateway| gateway.tells.pid || gateway.found_by_argv);
        let shell = self.procs.get(worker.parent).filter(|parent| parent.kind == Kind::Wrapper);
        let worker = shell.unwrap_or(worker);
        let under = self.procs.get(worker.parent).map(|parent| parent.kind);
        match (under, toil.gateway) {
            (Some(Kind::Gateway(index)), _) => {
                let setup = &self.setup.gateways[index];
                setup.tells.pid || setup.found_by_argv
            }
            _ if !known_gateways => false,
            (Some(Kind::Init), _) if self.setup.init_is_init => true,
            _ if worker.kind == Kind::Child => false,
            _ => !toil.known_to.is_empty() && !toil.claimed,
        }
    }

    /// A row may own it; of the rows of a gateway in a container nobody can tell, whose numbers mean other processes here.
    fn may_be_of_any(&self, worker: &Proc) -> bool {
        let mut rows = self.sessions.iter().filter(|session| session.life == Life::Live);
        self.setup.has_contained() || rows.any(|row| self.may_own(row, worker))
    }

    /// Below a worker it goes with that, and above another's it is never ended.
    fn is_among_workers(&self, worker: &Proc) -> bool {
        let is_below = |proc: &&Proc| self.ancestors(proc).any(|ancestor| ancestor.serial == worker.serial);
        // Also one that became another user's, whose row names it.
        let is_listed = |proc: &Proc| {
            let mut rows = self.sessions.iter().filter(|row| row.life == Life::Live);
            rows.any(|row| self.named_by(row) == Some(proc.pid))
        };
        let is_one = |proc: &&Proc| proc.looks_like_worker() || is_listed(proc);
        let below = self.procs.iter().filter(is_one).filter(is_below);
        let mut below = below.filter(|proc| proc.root != worker.root || proc.key() != worker.key());
        self.ancestors(worker).any(Proc::looks_like_worker) || below.next().is_some()
    }

    /// Its row names a shell whose worker has become another user's, and can't be recognised; or a launcher, which is gone.
    fn names_empty_shell(&self, session: &Sess) -> bool {
        let named = self.named_by(session);
        if named.is_some() && named == session.launcher {
            return true;
        }
        let shell = named.and_then(|pid| self.procs.get(pid));
        let shell = shell.filter(|shell| shell.kind == Kind::Wrapper);
        shell.is_some_and(|shell| !self.procs.children(shell.pid).any(Proc::looks_like_worker))
    }

    /// A row that names the worker, or carries its key and names no younger one; or of which nobody can tell which worker it has.
    fn may_own(&self, session: &Sess, worker: &Proc) -> bool {
        let tells = &self.setup.gateways[session.gateway].tells;
        let row = session.row(tells, self.named_by(session), self.clock_of(session.gateway));
        let named = row.named_worker().map(|pid| pid.get());
        if named == Some(worker.pid) || matches!(row.worker, Told::NotUnderstood(_)) {
            return true;
        }
        let key = row.worker_key();
        // What runs in another PID namespace is no worker of a gateway here, whatever key it carries; and a copy that was adopted elsewhere is
        // found by a whole look, every ten minutes.
        let is_one = |proc: &&Proc| proc.looks_like_worker() && proc.namespace == OWN_NAMESPACE;
        let carried = |proc: &&Proc| is_one(proc) && Some(proc.key()) == key && self.can_be_found(proc);
        let found = self.procs.iter().filter(carried).count();
        let rows = self
            .sessions
            .iter()
            .filter(|other| other.life == Life::Live && other.told_key() == session.told_key());
        let unknown = match row.worker {
            Told::Absent => found < rows.count(),
            _ => {
                let names_renamed =
                    || named.and_then(|pid| self.procs.get(pid)).is_some_and(|it| it.said.is_some());
                names_renamed()
                    || found == 0 && (self.is_impostor(session) || self.names_empty_shell(session))
            }
        };
        let younger = named.and_then(|pid| self.procs.get(pid));
        // A copy of the worker that a row names, or names the shell of, is the row's, whatever key the row says.
        let in_shell = younger.filter(|named| named.kind == Kind::Wrapper);
        let in_shell = in_shell.into_iter().flat_map(|shell| self.procs.children(shell.pid));
        if younger.into_iter().chain(in_shell).any(|named| {
            named.looks_like_worker()
                && named.key() == worker.key()
                && named.start_ticks <= worker.start_ticks
        }) {
            return true;
        }
        let younger = younger.filter(|named| named.looks_like_worker() && !self.is_impostor(session));
        let is_superseded = younger.is_some_and(|younger| younger.start_ticks > worker.start_ticks);
        unknown || key == Some(worker.key()) && !is_superseded
    }
}
