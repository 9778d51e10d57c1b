//! One sweep: look, read, decide, remember, reap, remember. `once` makes one, `watch` makes them in a loop, `status` stops after deciding.
//!
//! A sweep takes no hints: whatever woke it says *when*, never *what*. One path, idempotent.

mod act;
mod at_work;
mod backoff;
mod busy;
mod closes;
mod exits;
mod find;
mod found;
mod listening;
mod observe;
pub mod recheck;
mod recorder;
pub mod settle;
mod setup;
mod stop;
mod store;
mod watched;

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::time::Duration;

use thiserror::Error;

use crate::domain::decide::{Decision, Place, along, decide_closely};
use crate::domain::ids::{BootId, GatewayName, Pid, SessionId};
use crate::domain::ledger::Ledger;
use crate::domain::looking::{Looked, Series};
use crate::domain::observation::Observation;
use crate::domain::policy::{Mode, Rules, Workers};
use crate::domain::process::{ProcessIdentity, ProcessView, Said};
use crate::domain::time::Awake;
use crate::domain::verdict::{Keep, Subject};
use crate::domain::veto::Vetoes;
use crate::domain::warrant::Warrant;
use crate::reap::linux::LinuxKernel;
use crate::reap::outcome::Ending;
use crate::reap::teardown::Teardown;
use crate::report::{Begun, Report};
use crate::sources::clock;
use crate::sources::processes::{Processes, ProcessesError};
use crate::state::holds;

pub use backoff::Patience;
pub(crate) use exits::register;
pub use stop::Stop;
pub use store::Store;
pub use watched::SetupError;

use at_work::AtWork;
use busy::Busy;
use watched::Watched;

/// Everything a run needs to see and to act; lives from run to run in `watch`.
#[derive(Debug)]
pub struct Sweep {
    gateways: Vec<Watched>,
    rules: Vec<Rules>,
    processes: Processes,
    boot: BootId,
    patience: Patience,
    /// For no gateway anything is to be done.
    is_dry: bool,
    /// What the configuration says is never reaped, or not yet.
    keeps: Vetoes,
    stop: Stop,
    /// What the trees of workers used.
    busy: RefCell<Busy>,
    /// What stands for gateways that are to be looked for.
    finders: Vec<found::Finder>,
    /// Whose loss a whole look has been made for.
    lost: BTreeSet<ProcessIdentity>,
    /// The last look.
    looked: Option<Looked>,
    /// What workers showed of their work.
    at_work: RefCell<AtWork>,
}

/// A run could not be made at all.
#[derive(Debug, Error)]
pub enum SweepError {
    /// The processes could not be looked at.
    #[error("the processes can't be looked at; nothing was done")]
    Processes(#[from] ProcessesError),
    /// It was told to end before anything was decided.
    #[error("the run was told to end before anything was decided; nothing was done")]
    Stopped,
    /// The memory could not be written before the first act, so nothing was done.
    #[error(
        "the state directory can't be written, so nothing is remembered and no grace will ever pass; nothing was done"
    )]
    Memory(#[source] std::io::Error),
}

/// What a run leaves behind.
#[derive(Debug)]
pub struct Run {
    /// What there is to tell.
    pub report: Report,
    /// Awake time from the end of the run until the next orphan is due, if one is inside its grace.
    pub next_due: Option<Duration>,
    /// When to look again at the latest: what rests on looks at a gateway from outside counts only while these are close together.
    pub next_look: Option<Duration>,
}

impl Sweep {
    /// By which a run is told to end.
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// That this gateway can't be reached is known already: `once -q` from cron says it at the third run in a row, and no more.
    pub fn is_known_to_be_down(&mut self, gateway: &str) {
        for watched in self.gateways.iter_mut().filter(|watched| watched.name.as_str() == gateway) {
            watched.backoff.is_old_news = true;
        }
    }

    /// What of the tables can't be read is told by the report alone.
    pub fn is_told_by_the_report(&mut self) {
        self.gateways.iter_mut().for_each(|watched| watched.backoff.is_told_elsewhere = true);
    }

    /// The boot this sweep runs in.
    pub fn boot(&self) -> &BootId {
        &self.boot
    }

    /// Looks, reads and decides; changes nothing.
    ///
    /// # Errors
    /// The processes can't be looked at.
    pub async fn preview(&mut self, memory: &Ledger, vetoes: Vetoes) -> Result<Report, SweepError> {
        Ok(self.look_for_a_person(memory, vetoes).await?.0)
    }

    /// The same, and which workers are judged with what the report lists: a person may ask for one.
    ///
    /// # Errors
    /// The processes can't be looked at.
    pub async fn preview_with_all(&mut self, memory: &Ledger, vetoes: Vetoes) -> Result<Report, SweepError> {
        let (mut report, seen, now) = self.look_for_a_person(memory, vetoes).await?;
        report.along = along(&seen, memory, &self.rules, now);
        Ok(report)
    }

    async fn look_for_a_person(
        &mut self,
        memory: &Ledger,
        vetoes: Vetoes,
    ) -> Result<(Report, Observation, Awake), SweepError> {
        let begun = Begun::new(Mode::DryRun, clock::wall_now(), clock::awake_now());
        let (seen, decision, now) = self.judge(memory, Series::Inquiry, vetoes).await?;
        let mut report = self.report(begun, &seen, decision);
        report.looked(clock::awake_now());
        Ok((report, seen, now))
    }

    /// Makes one run.
    ///
    /// # Errors
    /// The processes can't be looked at, or the memory can't be written; in both cases nothing was done.
    pub async fn run(&mut self, store: &mut Store, mode: Mode) -> Result<Run, SweepError> {
        let told_as = if self.is_dry { Mode::DryRun } else { mode };
        let begun = Begun::new(told_as, clock::wall_now(), clock::awake_now());
        store.remember_holds().map_err(SweepError::Memory)?;
        if mode == Mode::Enforce {
            store.let_go()?;
        }
        let (stop, series) = (self.stop.clone(), self.series());
        let (seen, mut decision, now) = tokio::select! {
            biased;
            judged = self.judge(store.ledger(), series, store.vetoes()) => judged?,
            () = stop.told() => return Err(SweepError::Stopped),
        };
        store.remember(std::mem::take(&mut decision.ledger)).map_err(SweepError::Memory)?;
        // It was written down meanwhile, and a table may have taken its time.
        decision.heed(&store.vetoes());
        let (next_due, next_look) = (decision.next_due(), decision.next_look());
        let orders: Vec<(Place, Warrant, Duration)> = decision
            .warrants()
            .filter(|(_, warrant, _)| mode == Mode::Enforce && !warrant.is_told())
            .map(|(place, warrant, waited)| (place, warrant.clone(), waited))
            .collect();
        self.hear_contradictions(&seen, &decision);
        let unread = recheck::unread(&seen);
        let said = said_by(&orders, &seen.processes);
        let mut report = self.report(begun, &seen, decision);
        store.notes().decided(&report, !orders.is_empty());
        let (endings, unread) = match orders.is_empty() {
            true => (Vec::new(), Vec::new()),
            false => self.enforce(orders, &said, unread, store, &report).await?,
        };
        self.at_work.get_mut().look_by_little();
        report.end(endings, clock::awake_now());
        let unread = self.gateways.iter().zip(&unread);
        report.could_not_read(
            unread.filter_map(|(gateway, table)| Some((&gateway.name, table.as_ref()?.missing()?))),
        );
        // A teardown takes its time, in which graces go on.
        let took = clock::awake_now().since(now);
        // The report is no finer.
        report.is_later_by(Duration::from_secs(took.as_secs()));
        store.notes().ended(&report);
        let left = |span: Duration| span.saturating_sub(took);
        let (next_due, next_look) = (next_due.map(left), next_look.map(left));
        tracing::debug!(?next_due, ?took, acts = report.has_acts(), "run finished");
        Ok(Run { report, next_due, next_look })
    }

    /// Carries out what was decided, and remembers how it ended.
    async fn enforce(
        &mut self,
        orders: Vec<(Place, Warrant, Duration)>,
        said: &HashMap<ProcessIdentity, Said>,
        unread: recheck::Unread,
        store: &mut Store,
        report: &Report,
    ) -> Result<(Vec<(Place, Ending)>, recheck::Unread), SweepError> {
        // Opened when there is something to do: most runs have nothing.
        let mut kernel = LinuxKernel::new()?.marked_by(self.processes.markers().to_vec());
        let mut ledger = store.ledger().clone();
        let dir = store.dir().to_owned();
        let mut recorder = store.recorder(report);
        let given = orders.iter().map(|(_, warrant, waited)| (warrant.clone(), *waited)).collect();
        // What is looked at before an act is looked at whole.
        self.at_work.get_mut().look_whole();
        let teardown = Teardown::new(given).knowing(said);
        let (endings, unread) =
            self.carry_out(teardown, &ledger, &dir, unread, &mut kernel, &mut recorder).await;
        let mut told = Vec::with_capacity(endings.len());
        for ((place, warrant, _), ending) in orders.iter().zip(endings) {
            settle::settle(&mut ledger, warrant, &ending);
            told.push((*place, ending));
        }
        ledger.unfinished = store.unfinished();
        if let Err(error) = store.remember(ledger) {
            tracing::error!(%error, "what was done could not be remembered; the next run starts some graces again");
        }
        Ok((told, unread))
    }

    /// A gateway that gives no table now hasn't taken back what it said.
    fn hear_contradictions(&mut self, seen: &Observation, decision: &Decision) {
        for plan in &decision.gateways {
            let is_current =
                seen.gateways.iter().any(|it| it.name == plan.name && it.table.current().is_some());
            for watched in self.gateways.iter_mut().filter(|it| is_current && it.name == plan.name) {
                watched.hear_contradiction(plan.contradiction.as_deref());
            }
        }
    }

    fn report(&self, begun: Begun, seen: &Observation, decision: Decision) -> Report {
        let mut report = Report::new(begun, seen, decision);
        report.published_by(self.gateways.iter().map(|watched| watched.gateway.software()));
        report
    }

    /// What an operator forbids now: this by hand, and what the configuration says.
    fn forbidden(&self, by_hand: Vetoes) -> Vetoes {
        Vetoes(by_hand.0.into_iter().chain(self.keeps.0.iter().cloned()).collect())
            .in_force(clock::wall_now())
    }

    /// Why an operator forbids to close this session now: by hand, or all by a pause. The configuration doesn't change in a run.
    fn forbids(dir: &Path, gateway: &GatewayName, id: &SessionId) -> Option<Keep> {
        let subject = Subject::Session { id: id.clone(), worker: None };
        kept_by_hand(&holds::vetoes(dir, clock::wall_now()), gateway, &subject, &[])
    }

    /// That the worker of this session works now, where its work is looked at.
    fn works_now(&self, gateway: &GatewayName, id: &SessionId) -> Option<Keep> {
        let by_account = self.at_work.borrow_mut().holds_now(gateway, id);
        let hold = by_account.or_else(|| self.busy.borrow_mut().holds_now(gateway, id, clock::awake_now()));
        hold.map(|hold| Keep::Held(vec![hold.into()]))
    }

    /// A single run has no earlier look to compare with.
    fn series(&self) -> Series {
        match (self.patience, self.looked) {
            (Patience::None, None) => Series::Single,
            _ => Series::Continued,
        }
    }

    async fn judge(
        &mut self,
        memory: &Ledger,
        series: Series,
        by_hand: Vetoes,
    ) -> Result<(Observation, Decision, Awake), SweepError> {
        self.find_servers(memory);
        let looked = self.looked;
        let (mut seen, whole_look) = self.observe(memory, series, vec![None; self.gateways.len()]).await?;
        seen.forbidden = self.forbidden(by_hand);
        let now = clock::awake_now();
        // What isn't judged wasn't looked at.
        let mut decision = self.decide(&mut seen, memory, now).inspect_err(|_| self.looked = looked)?;
        decision.ledger.looked = Some(now);
        decision.ledger.whole_look = whole_look;
        decision.ledger.passed_over = self.processes.passed_over();
        decision.ledger.spent = self.busy.get_mut().spent();
        Ok((seen, decision, now))
    }

    /// Decides; where something is due, again on fresher processes.
    ///
    /// The interface has everything that a decision rested on, and that can be read without the gateway, read again before the first signal.
    /// This is where it is: the first decision only says what is due, so that a poll at which nothing is due reads nothing twice. What is due,
    /// what is below it and what is marked as its own is then read again, and only the last decision makes the warrants that are used. It
    /// is the same function, so nothing that it asks can be left out the second time. From there to a signal `recheck` does the same once
    /// [`GOOD_FOR`](crate::domain::warrant::GOOD_FOR) has passed, then with the tables, and each process is compared once more when it is held.
    fn decide(
        &mut self,
        seen: &mut Observation,
        memory: &Ledger,
        now: Awake,
    ) -> Result<Decision, ProcessesError> {
        let (rules, watched) = (&self.rules, &self.gateways);
        let (processes, busy) = (&mut self.processes, self.busy.get_mut());
        decide_closely(seen, memory, rules, now, |seen, decision, roots| {
            let left = left_of_the_dead(rules, decision);
            processes.look_closely(&mut seen.processes, rules, roots, &left)?;
            let due: Vec<&Warrant> = decision.warrants().map(|(_, warrant, _)| warrant).collect();
            // Where nothing that is due has a process, none of them can be in its tree.
            if !roots.is_empty() {
                listening::look(&mut seen.processes, &seen.gateways, watched, &due);
            }
            let measured = observe::measured(&mut seen.gateways, rules, watched);
            busy.look_again(measured, &mut seen.processes, memory, &due, clock::awake_now());
            Ok(())
        })
    }
}

/// What those said that are to be ended.
fn said_by(orders: &[(Place, Warrant, Duration)], view: &ProcessView) -> HashMap<ProcessIdentity, Said> {
    let named = |(_, warrant, _): &(Place, Warrant, Duration)| {
        warrant.worker().into_iter().chain(warrant.remnants().iter().copied()).collect::<Vec<_>>()
    };
    orders.iter().flat_map(named).filter_map(|who| Some((who, view.said(&who)?))).collect()
}

/// Why these forbid to do anything to this subject now.
fn kept_by_hand(vetoes: &Vetoes, gateway: &GatewayName, subject: &Subject, names: &[&str]) -> Option<Keep> {
    let veto = vetoes.forbid(gateway, subject, names);
    veto.map(|veto| Keep::ByHand(veto.words.clone()))
}

/// What is due because its gateway is gone, of kinds whose workers have clients of their own: of a kernel its console.
fn left_of_the_dead(rules: &[Rules], decision: &Decision) -> Vec<Pid> {
    let is_of_kind = |warrant: &&Warrant| {
        let rules = rules.iter().find(|rules| rules.gateway == *warrant.gateway());
        warrant.session().is_none() && rules.is_some_and(|rules| rules.workers == Workers::LeadersOfGone)
    };
    let warrants = decision.warrants().map(|(_, warrant, _)| warrant).filter(is_of_kind);
    warrants
        .flat_map(|warrant| warrant.worker().into_iter().chain(warrant.remnants().iter().copied()))
        .map(|who| who.pid)
        .collect()
}
