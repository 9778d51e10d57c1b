//! What workers show of their work, where the kind knows what one at rest looks like. A `/background` job of Hermes runs in the worker of an
//! idle session, and the gateway knows nothing of it: closing the session would end the job, so a worker at work holds it.
//!
//! Only workers are looked at whose sessions nothing else keeps, and those that would be ended for doing nothing; of any other, until it was
//! seen at rest: when its client leaves, a job that waits for an MCP server shows only by what it has more than then.

use std::collections::{BTreeSet, HashMap};
use std::io;

use crate::domain::activity::{Account, Activity, STARTING, Work};
use crate::domain::ids::{GatewayName, Pid, SessionId};
use crate::domain::ledger::Ledger;
use crate::domain::observation::GatewayObservation;
use crate::domain::policy::Rules;
use crate::domain::process::{Process, ProcessIdentity, ProcessView};
use crate::domain::table::{Session, TableView, Told};
use crate::domain::time::Awake;
use crate::domain::verdict::{UNKNOWN_WORKER_BUSY, WORKER_BUSY};
use crate::sources::activity::Activities;
use crate::sources::clock;
use crate::sources::processes::ProcessesError;
use crate::sources::sockets::connected::{Connected, Network};

/// What is remembered of workers between looks.
#[derive(Debug, Default)]
pub(super) struct AtWork {
    activities: Option<Activities>,
    accounts: HashMap<ProcessIdentity, Account>,
    /// The workers of sessions that may be closed, as of the last table of their gateway.
    workers: HashMap<(GatewayName, SessionId), Pid>,
    depth: Depth,
}

/// How workers are looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Depth {
    /// Whole, and nothing stays open: at the first look, which may be the only one, and wherever an act follows.
    #[default]
    Whole,
    /// By little, where a worker was at rest.
    Little,
}

/// What one look at a worker shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// It does nothing, or it works.
    There(ProcessIdentity, Option<Work>),
    /// It has ended, and with it whatever it did.
    Gone,
    /// It can't be told.
    Unknown,
}

impl AtWork {
    /// Takes over what an earlier run saw.
    pub(super) fn recall(&mut self, memory: &Ledger, now: Awake) {
        let workers = memory.gateways.values().flat_map(|gateway| &gateway.workers);
        let accounts = workers.filter_map(|worker| Some((worker.identity, worker.account?)));
        self.accounts.extend(accounts.filter(|(_, account)| account.at <= now));
    }

    /// Looks at the workers that matter, of gateways whose kind knows what one at rest looks like: adds a hold to each session that nothing
    /// else keeps and whose worker is at work, and puts into the view what each showed.
    pub(super) fn look_at_all<'a>(
        &mut self,
        gateways: impl Iterator<Item = (&'a mut GatewayObservation, &'a Rules)>,
        view: &mut ProcessView,
    ) {
        let mut connected = Connected::default();
        let mut seen = BTreeSet::new();
        let mut told_anew = BTreeSet::new();
        for (gateway, rules) in gateways {
            // There its pids mean other processes.
            let is_elsewhere = gateway.process.is_some_and(|process| view.is_elsewhere(process));
            if gateway.table.current().is_some() {
                self.workers.retain(|(name, _), _| *name != gateway.name);
                told_anew.insert(gateway.name.clone());
            }
            match &mut gateway.table {
                TableView::Current(table) if is_elsewhere => {
                    for session in table.sessions.iter_mut().filter(|session| session.is_detached_and_idle())
                    {
                        if session.named_worker().is_some() {
                            session.holds = Told::Known(vec![UNKNOWN_WORKER_BUSY.into()]);
                        }
                    }
                }
                TableView::Current(table) => {
                    let idle_matters = rules.policy.idle_worker.is_some();
                    for session in &mut table.sessions {
                        let is_condemned = session.is_detached_and_idle();
                        let matters = is_condemned || (idle_matters && session.is_idle());
                        let Some(worker) = session.named_worker() else { continue };
                        if !matters {
                            let process = view.get(worker).map(|process| process.identity);
                            seen.extend(process.and_then(|it| self.learn(it, session, &mut connected)));
                            continue;
                        }
                        let shown = self.look(worker, &mut connected);
                        seen.extend(shown.process());
                        if is_condemned {
                            self.workers.insert((gateway.name.clone(), session.id.clone()), worker);
                            let hold = shown.hold().map(|hold| Told::Known(vec![hold.into()]));
                            session.holds = hold.unwrap_or(session.holds.clone());
                        }
                    }
                }
                TableView::Not(missing) => {
                    let gateway = missing.outside.as_ref().and_then(|outside| outside.gateway);
                    for worker in gateway.map(|gateway| children(gateway, rules, view)).unwrap_or_default() {
                        seen.extend(self.look(worker, &mut connected).process());
                    }
                }
            }
        }
        // In the middle of a run a gateway may give no table, while closes wait for their turn.
        let untold = self.workers.iter().filter(|((name, _), _)| !told_anew.contains(name));
        let untold: BTreeSet<Pid> = untold.map(|(_, worker)| *worker).collect();
        let is_wanted = |worker: &ProcessIdentity| seen.contains(worker) || untold.contains(&worker.pid);
        self.accounts.retain(|worker, _| is_wanted(worker));
        if let Some(activities) = &mut self.activities {
            activities.keep(is_wanted);
        }
        let looked_at = self.accounts.iter().filter(|(worker, _)| seen.contains(worker));
        view.accounts = looked_at.map(|(worker, account)| (*worker, *account)).collect();
    }

    /// Looks by little from here on, at what is at rest.
    pub(super) fn look_by_little(&mut self) {
        self.depth = Depth::Little;
    }

    /// Looks at everything whole from here on, and closes what it kept open: something is about to be ended.
    pub(super) fn look_whole(&mut self) {
        self.depth = Depth::Whole;
        if let Some(activities) = &mut self.activities {
            activities.keep(|_| false);
        }
    }

    /// Looks at a worker that nothing can end now until it was seen at rest, and keeps what is known of it.
    fn learn(
        &mut self,
        worker: ProcessIdentity,
        session: &Session,
        connected: &mut Connected,
    ) -> Option<ProcessIdentity> {
        match self.accounts.get_mut(&worker) {
            Some(account) if account.knows_rest() || !session.is_idle() => account.put_aside(),
            None if !session.is_idle() => return None,
            _ => return self.look(worker.pid, connected).process(),
        }
        Some(worker)
    }

    /// Whether the session's worker has begun to work since its table was read, or can't be looked at.
    pub(super) fn holds_now(&mut self, gateway: &GatewayName, session: &SessionId) -> Option<&'static str> {
        let worker = *self.workers.get(&(gateway.clone(), session.clone()))?;
        self.look(worker, &mut Connected::default()).hold()
    }

    fn look(&mut self, worker: Pid, connected: &mut Connected) -> Shown {
        let (identity, activity) = match self.read(worker, connected) {
            Ok(Some(now)) => now,
            Ok(None) => return Shown::Gone,
            Err(error) => {
                tracing::debug!(%worker, %error, "what a worker does can't be seen");
                return Shown::Unknown;
            }
        };
        let at = clock::awake_now();
        let mut work = None;
        let known = self.accounts.get_mut(&identity).map(|account| {
            let knew_no_rest = account.knows_no_rest();
            work = account.look(activity, at);
            !(knew_no_rest && work.is_none())
        });
        // At its first rest as at the first look: what it began after its start may be of work that goes on.
        if known != Some(true) {
            let begun = self.activities().and_then(|it| it.begun_later(&identity, STARTING));
            let Ok(later) = begun else { return Shown::Unknown };
            let Some(later) = later else { return Shown::Gone };
            let account = self.accounts.entry(identity);
            work = match known {
                Some(_) => account.or_insert_with(|| Account::new(activity, later, at)).rests_with(later),
                None => account.insert_entry(Account::new(activity, later, at)).get().work_now(),
            };
        }
        if let Some(work) = work {
            tracing::debug!(%worker, ?work, "a worker is at work");
        }
        Shown::There(identity, work)
    }

    /// What it shows now, by little where that is enough.
    fn read(
        &mut self,
        worker: Pid,
        connected: &mut Connected,
    ) -> Result<Option<(ProcessIdentity, Activity)>, ProcessesError> {
        self.activities()?;
        let Self { activities: Some(activities), accounts, depth, .. } = self else { return Ok(None) };
        if let Some(seen) = activities.glance(worker, connected) {
            return Ok(Some(seen));
        }
        let network = Network::of(worker);
        let Some(inodes) = connected.seen_by(worker, network) else {
            return Err(ProcessesError::Read {
                what: "the connected sockets".into(),
                source: io::ErrorKind::Other.into(),
            });
        };
        let is_wanted = |identity: &ProcessIdentity| {
            *depth == Depth::Little
                && accounts.get(identity).is_some_and(|account| account.rests_since.is_some())
        };
        activities.read_and_keep(worker, (network, &inodes), is_wanted)
    }

    fn activities(&mut self) -> Result<&mut Activities, ProcessesError> {
        let activities = match self.activities.take() {
            Some(activities) => activities,
            None => Activities::open()?,
        };
        Ok(self.activities.insert(activities))
    }
}

impl Shown {
    fn process(self) -> Option<ProcessIdentity> {
        match self {
            Self::There(process, _) => Some(process),
            Self::Gone | Self::Unknown => None,
        }
    }

    fn hold(self) -> Option<&'static str> {
        match self {
            Self::There(_, work) => work.map(|_| WORKER_BUSY),
            Self::Gone => None,
            Self::Unknown => Some(UNKNOWN_WORKER_BUSY),
        }
    }
}

/// The workers right below a gateway's process.
fn children(gateway: Pid, rules: &Rules, view: &ProcessView) -> Vec<Pid> {
    let Some(pattern) = &rules.worker_match else { return Vec::new() };
    let is_worker = |process: &&Process| {
        process.parent == Some(gateway)
            && !process.zombie
            && process.argv.as_deref().is_some_and(|argv| pattern.matches(argv).is_some())
    };
    view.processes.values().filter(is_worker).map(|process| process.identity.pid).collect()
}

#[cfg(test)]
#[path = "at_work_tests.rs"]
mod tests;
