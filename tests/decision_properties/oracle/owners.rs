//! Who owns a worker: the table of the contract, line by line, the first that holds.

use gateway_reaper::domain::adoption::{AdoptionSign, sign};
use gateway_reaper::domain::ids::{Pid, SessionId};
use gateway_reaper::domain::ledger::Bond;
use gateway_reaper::domain::orphan::OrphanKind;
use gateway_reaper::domain::process::{Process, ProcessIdentity};
use gateway_reaper::domain::table::{Answer, Session, TableView, Told};

use super::{Oracle, RowId};

/// Who owns a process that looks like a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Owner {
    /// The sessions of these rows.
    Rows(Vec<RowId>),
    /// It goes with the worker above it that nobody owns.
    Above,
    /// It may be of any session.
    Doubt(&'static str),
    Nobody(OrphanKind),
}

/// Where a worker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Child(usize),
    Below(usize),
    BelowFormer(ProcessIdentity),
    Lost,
    Unclear,
}

const NOT_TRUSTED: Owner = Owner::Doubt("table-not-trusted");
const UNKNOWN: Owner = Owner::Doubt("unknown-state");

impl<'a> Oracle<'a> {
    /// `None`: not considered.
    pub(super) fn owner(&self, process: &'a Process) -> Option<Owner> {
        let is_considered = self.count().any(|gateway| self.is_worker(gateway, process));
        is_considered.then(|| self.owner_of(process))
    }

    pub(super) fn owner_of(&self, process: &'a Process) -> Owner {
        let own = self.rows_of_its_own(process);
        if !own.is_empty() {
            return Owner::Rows(own);
        }
        let superseded = self.is_superseded(process).then(|| self.superseded(process));
        let superseded = match superseded {
            Some(Ok(owner)) => return owner,
            Some(Err(doubt)) => Some(doubt),
            None => None,
        };
        let line = self.line_below_the_gateway(process);
        let above = line.into_iter().find(|above| {
            self.count().any(|gateway| self.is_worker(gateway, above))
                || (self.may_be_a_worker(above) && !self.rows_of_its_own(above).is_empty())
        });
        let inherited = above.map(|above| match self.owner_of(above) {
            Owner::Nobody(_) | Owner::Above => self.nested(process, above).unwrap_or(Owner::Above),
            Owner::Rows(rows) => self.nested_in_session(process, above, &rows).unwrap_or(Owner::Rows(rows)),
            doubt @ Owner::Doubt(_) => doubt,
        });
        let inherited = inherited.or_else(|| self.in_the_session_of_a_worker(process));
        let copied = Some(self.rows_naming_what_it_is_a_copy_of(process)).filter(|rows| !rows.is_empty());
        let copied = copied.map(Owner::Rows);
        inherited.or(superseded).or(copied).unwrap_or_else(|| self.unowned(process))
    }

    /// It is in the process session that a worker of sessions leads.
    fn in_the_session_of_a_worker(&self, process: &'a Process) -> Option<Owner> {
        let leader = Pid::new(process.session.into()).and_then(|leader| self.find(leader))?;
        let is_leader = leader.session == process.session
            && leader.identity.pid != process.identity.pid
            && leader.identity.start_ticks <= process.identity.start_ticks;
        let is_worker = self.count().any(|gateway| self.is_worker(gateway, leader))
            || (self.may_be_a_worker(leader) && self.times_named(leader.identity.pid) > 0);
        if !is_leader || !is_worker || !self.gateways_at(leader.identity.pid).is_empty() {
            return None;
        }
        match self.owner_of(leader) {
            Owner::Rows(rows) => {
                Some(self.nested_in_session(process, leader, &rows).unwrap_or(Owner::Rows(rows)))
            }
            Owner::Nobody(_) | Owner::Above => {
                self.nested(process, leader).filter(|owner| matches!(owner, Owner::Doubt(_)))
            }
            doubt @ Owner::Doubt(_) => Some(doubt),
        }
    }

    /// Below a worker that nobody owns, it may be of a gateway's session of which the worker isn't known, or that had it, or of a gateway whose
    /// table isn't known;
    /// unless it carries the key of that worker.
    fn nested(&self, process: &'a Process, above: &'a Process) -> Option<Owner> {
        let takes = |gateway: &usize| self.is_worker(*gateway, process);
        if self.carries_the_key_of(process, above) {
            return None;
        }
        let doubt = self.count().filter(takes).find_map(|gateway| {
            if !self.is_to_be_trusted(gateway) {
                return (!self.is_excused(gateway, process)).then_some(NOT_TRUSTED);
            }
            self.may_be_of_a_row(gateway, process).then_some(UNKNOWN)
        });
        doubt.or_else(|| self.row_that_had(process).map(|_| UNKNOWN))
    }

    /// In the tree of a worker of these sessions, it may be of a session of which the worker isn't known, or that had it, or of another gateway
    /// whose table isn't known, unless it is a copy of a worker.
    fn nested_in_session(&self, process: &'a Process, above: &'a Process, rows: &[RowId]) -> Option<Owner> {
        let takes = |gateway: &usize| self.is_worker(*gateway, process);
        let is_its = |gateway: usize| rows.iter().any(|row| row.0 == gateway);
        let doubt = self.count().filter(takes).find_map(|gateway| {
            if !self.is_to_be_trusted(gateway) {
                return (!is_its(gateway) && !self.is_excused(gateway, process)).then_some(NOT_TRUSTED);
            }
            self.may_be_of_a_row(gateway, process).then_some(UNKNOWN)
        });
        let is_copy = !self.rows_naming_what_it_is_a_copy_of(process).is_empty()
            || self.carries_the_key_of(process, above);
        let had = self.row_that_had(process).filter(|row| !rows.contains(row)).map(|_| UNKNOWN);
        doubt.or(had).filter(|_| !is_copy)
    }

    fn carries_the_key_of(&self, process: &'a Process, above: &'a Process) -> bool {
        self.count().filter(|gateway| self.is_worker(*gateway, process)).any(|gateway| {
            let key = self.key(gateway, process).flatten();
            key.is_some() && self.is_worker(gateway, above) && key == self.key(gateway, above).flatten()
        })
    }

    fn may_be_of_a_row(&self, gateway: usize, process: &'a Process) -> bool {
        self.has_row_without_worker(gateway) && !self.is_of_an_earlier_run(gateway, process)
    }

    /// The rows that name a worker, or the shell around it, that is no younger and carries the same key, whatever key the row says: its
    /// conversation may have got another one since.
    fn rows_naming_what_it_is_a_copy_of(&self, process: &'a Process) -> Vec<RowId> {
        let carried = |process: &'a Process| -> Vec<&'a str> {
            let takes = self.count().filter(|gateway| self.is_worker(*gateway, process));
            takes.filter_map(|gateway| self.key(gateway, process).flatten()).collect()
        };
        let own = carried(process);
        let is_copied = |other: &&'a Process| {
            other.identity.start_ticks <= process.identity.start_ticks
                && carried(other).iter().any(|key| own.contains(key))
        };
        let view = &self.0.world.seen.processes;
        let copied: Vec<&Process> = view.processes.values().filter(is_copied).collect();
        let names_one = |row: &RowId| {
            let named = self.row(*row).named_worker().filter(|_| !self.is_elsewhere(row.0));
            let is_it =
                |copied: &&Process| Some(copied.identity.pid) == named || self.wrapper_of(copied) == named;
            named.is_some() && copied.iter().any(is_it)
        };
        self.all_rows().filter(names_one).collect()
    }

    /// The shell that was started for this worker alone.
    pub(super) fn wrapper_of(&self, process: &Process) -> Option<Pid> {
        let parent = self.0.world.seen.processes.get(process.parent?)?;
        let (outer, inner) = (parent.argv.as_deref()?, process.argv.as_deref()?);
        (outer != inner && outer.contains(inner)).then_some(parent.identity.pid)
    }

    /// The rows that name it, else those whose key it carries and those of whose worker it may be a copy, unless it is superseded.
    pub(super) fn rows_of_its_own(&self, process: &'a Process) -> Vec<RowId> {
        let naming = self.rows_naming(process);
        if !naming.is_empty() || process.zombie || self.is_superseded(process) {
            return naming;
        }
        let mut rows = self.rows_with_key_of(process);
        if !rows.is_empty() {
            rows.retain(|row| !self.names_a_younger_one(*row, process));
            rows.extend(self.rows_naming_what_it_is_a_copy_of(process));
            rows.extend(self.row_that_had(process));
            rows.sort_unstable();
            rows.dedup();
        }
        rows
    }

    pub(super) fn rows_naming(&self, process: &Process) -> Vec<RowId> {
        let named = Some(process.identity.pid);
        let means_it = |row: &RowId| !self.is_elsewhere(row.0) && self.row(*row).named_worker() == named;
        self.all_rows().filter(means_it).collect()
    }

    /// A row may name any process: what is never a worker, and what a gateway is below, owns nothing that is below it.
    pub(super) fn may_be_a_worker(&self, process: &'a Process) -> bool {
        let pid = process.identity.pid;
        let is_above = |gateway: ProcessIdentity| {
            self.find(gateway.pid).is_some_and(|gateway| self.line(gateway).contains(&pid))
        };
        let looks_like_one = self.count().any(|gateway| self.is_worker(gateway, process));
        let is_never = self.is_protected_pid(pid)
            || self.count().filter_map(|gateway| self.gateway(gateway)).any(is_above);
        looks_like_one || !is_never
    }

    pub(super) fn rows_with_key_of(&self, process: &'a Process) -> Vec<RowId> {
        let carries = |row: &RowId| {
            let key = self.key(row.0, process).flatten();
            self.is_worker(row.0, process) && key.is_some() && key == self.row(*row).worker_key()
        };
        self.all_rows().filter(carries).collect()
    }

    /// Every row with its key names another worker, which is younger, and it is a copy of none.
    fn is_superseded(&self, process: &'a Process) -> bool {
        let rows = self.rows_with_key_of(process);
        !rows.is_empty()
            && rows.iter().all(|row| self.names_a_younger_one(*row, process))
            && self.rows_naming_what_it_is_a_copy_of(process).is_empty()
            && self.row_that_had(process).is_none()
    }

    /// The row of the session whose worker it was, which has another key since, and of which no worker is known now but what was another's, is
    /// another gateway's or older than this.
    fn row_that_had(&self, process: &Process) -> Option<RowId> {
        let was_of = self.had_by(process)?;
        let (gateway, _) = was_of;
        let row = self.row_of(was_of)?;
        if self.rows_with_key_of(process).contains(&(gateway, row)) {
            return None;
        }
        let session = &self.rows(gateway)[row];
        let processes = self.0.world.seen.processes.processes.values();
        let key = session.worker_key().filter(|_| session.worker == Told::Absent);
        let is_new = |carrier: &Process| {
            let is_younger = carrier.identity.start_ticks >= process.identity.start_ticks;
            self.was_its(carrier, was_of, true).unwrap_or(is_younger)
        };
        let has_none = |key: &str| {
            let carriers = processes.filter(|it| {
                self.is_worker(gateway, it)
                    && self.key(gateway, it) == Some(Some(key))
                    && self.may_be_of_rows(gateway, it)
            });
            !carriers.into_iter().any(is_new)
        };
        (self.lacks_worker(gateway, session) || key.is_some_and(has_none)).then_some((gateway, row))
    }

    pub(super) fn row_of(&self, (gateway, id): (usize, &SessionId)) -> Option<usize> {
        self.rows(gateway).iter().position(|row| row.id == *id)
    }

    /// Whether it was this session's worker; `None`: that of none, or of a run of its gateway that is over, unless `or_earlier`: then of one that
    /// takes no workers back.
    pub(super) fn was_its(
        &self,
        process: &Process,
        (gateway, id): (usize, &SessionId),
        or_earlier: bool,
    ) -> Option<bool> {
        let (of, session, is_earlier) = self.known_session(process)?;
        let takes_back = of.is_some_and(|of| self.0.world.rules[of].takes_workers_back);
        (!is_earlier || (or_earlier && takes_back)).then_some(of == Some(gateway) && session == id)
    }

    /// Whether a session had it; one of an earlier run, where its gateway takes workers back.
    pub(super) fn was_a_sessions(&self, process: &Process) -> bool {
        let takes_back = |of: Option<usize>| of.is_some_and(|of| self.0.world.rules[of].takes_workers_back);
        self.known_session(process).is_some_and(|(of, _, is_earlier)| !is_earlier || takes_back(of))
    }

    /// The session that had it, of a gateway with a current table; of an earlier run, where that takes workers back.
    pub(super) fn had_by(&self, process: &Process) -> Option<(usize, &'a SessionId)> {
        let (of, session, _) = self.known_session(process)?;
        let of = of.filter(|of| self.table(*of).is_some())?;
        self.was_its(process, (of, session), true).map(|_| (of, session))
    }

    /// The session that had it, its gateway, and whether an earlier run of that had it.
    fn known_session(&self, process: &Process) -> Option<(Option<usize>, &'a SessionId, bool)> {
        let (rememberer, known) = self.remembered(process)?;
        let session = known.session.as_ref()?;
        let is_it = |it: &usize| match &session.gateway {
            Some(name) => self.0.world.seen.gateways[*it].name == *name,
            None => *it == rememberer,
        };
        let of = self.count().find(is_it);
        let is_another_run = |it: usize| self.table(it).is_some() && !self.is_same_run(it);
        Some((of, &session.id, session.earlier_run || of.is_some_and(is_another_run)))
    }

    /// The gateway's process that it was seen below, or is, where that isn't known in this run.
    fn was_below(&self, process: &Process, place: Place) -> Option<ProcessIdentity> {
        let is_known =
            |was: &ProcessIdentity| self.count().any(|gateway| self.gateway(gateway) == Some(*was));
        match place {
            Place::BelowFormer(former) => self.seen_below(process).filter(is_known).or(Some(former)),
            _ => self.seen_below(process),
        }
    }

    /// No row names it, and the gateway that it is below, or was, isn't known to be another than this.
    fn may_be_of_rows(&self, gateway: usize, process: &Process) -> bool {
        let is_unknown = self.gateway(gateway).is_none() && self.lost(gateway).is_none();
        let is_its = |it: usize, was| self.gateway(it) == Some(was) || self.lost(it) == Some(was);
        let above = match self.place(process) {
            Place::Child(above) | Place::Below(above) => self.gateway(above),
            place => self.was_below(process, place),
        };
        let is_anothers =
            above.is_some_and(|was| !is_its(gateway, was) && self.count().any(|other| is_its(other, was)));
        self.rows_naming(process).is_empty() && (is_unknown || !is_anothers)
    }

    /// The session whose worker it was, of a gateway that is current and in the same run.
    fn was_of(&self, process: &Process) -> Option<(usize, &'a SessionId)> {
        let (of, session, is_earlier) = self.known_session(process)?;
        let of = of.filter(|of| self.table(*of).is_some() && !is_earlier)?;
        Some((of, session))
    }

    pub(super) fn was_of_row(&self, process: &Process, row: RowId) -> bool {
        self.was_of(process) == Some((row.0, &self.row(row).id))
    }

    fn names_a_younger_one(&self, row: RowId, process: &Process) -> bool {
        let named = self.named_and_trusted(row).filter(|named| *named != process.identity.pid);
        let is_younger = |named: &Process| named.identity.start_ticks > process.identity.start_ticks;
        named.and_then(|named| self.find(named)).is_some_and(is_younger)
    }

    /// `Err`: that, unless something above it says more.
    fn superseded(&self, process: &'a Process) -> Result<Owner, Owner> {
        let place = self.place(process);
        let may_still_have_it =
            |gateway: &usize| !self.is_to_be_trusted(*gateway) && !self.is_excused(*gateway, process);
        if self.may_have_started(process, place).iter().any(may_still_have_it) {
            return Ok(NOT_TRUSTED);
        }
        if self.is_of_a_former_gateway(process, place) {
            return Ok(UNKNOWN);
        }
        match place {
            Place::Child(gateway)
                if self.is_of_an_earlier_run(gateway, process) && self.table(gateway).is_none() =>
            {
                Ok(Owner::Nobody(OrphanKind::ParentlessWorker))
            }
            Place::Child(_) => Ok(Owner::Nobody(OrphanKind::SupersededWorker)),
            Place::Lost => Ok(Owner::Nobody(OrphanKind::ParentlessWorker)),
            Place::Below(_) | Place::BelowFormer(_) | Place::Unclear => Err(UNKNOWN),
        }
    }

    /// A process that gives no table, of a gateway that may have started it, may be there: one that it was seen below, and that is and was
    /// none of the configured gateways; or, of one that is below none, any where the kind takes workers back, and else, where it was seen
    /// below none, any that is older than it.
    fn is_of_a_former_gateway(&self, process: &'a Process, place: Place) -> bool {
        let is_apart = !matches!(place, Place::Child(_) | Place::Below(_));
        let is_unseen = self.seen_below(process).is_none();
        let is_older = |former: &ProcessIdentity| former.start_ticks <= process.identity.start_ticks;
        let may_want_it = |gateway: usize| {
            let takes_back = self.0.world.rules[gateway].takes_workers_back;
            self.formers(gateway).iter().any(|former| takes_back || (is_unseen && is_older(former)))
        };
        self.was_below_a_forgotten_gateway(process)
            || (is_apart && self.may_have_started(process, place).into_iter().any(may_want_it))
    }

    fn was_below_a_forgotten_gateway(&self, process: &Process) -> bool {
        let was = self
            .seen_below(process)
            .filter(|was| self.find(was.pid).is_some_and(|found| found.identity == *was));
        let is_known =
            |was| self.count().any(|it| self.gateway(it) == Some(was) || self.lost(it) == Some(was));
        was.is_some_and(|was| !is_known(was))
    }

    /// The last lines: of no row, and below none.
    fn unowned(&self, process: &'a Process) -> Owner {
        let place = self.place(process);
        let view = &self.0.world.seen.processes;
        if process.namespace.is_none() && view.own_namespace.is_some() {
            return UNKNOWN;
        }
        if let Place::Child(gateway) | Place::Below(gateway) = place
            && !self.is_worker(gateway, process)
        {
            return UNKNOWN;
        }
        for gateway in self.may_have_started(process, place) {
            if !self.is_to_be_trusted(gateway) && !self.is_excused(gateway, process) {
                return NOT_TRUSTED;
            }
            if !self.is_of_an_earlier_run(gateway, process) && self.has_row_without_worker(gateway) {
                return UNKNOWN;
            }
        }
        if self.is_of_a_former_gateway(process, place)
            || self.row_that_had(process).is_some()
            || self.may_be_a_copy(process, place)
            || self.may_be_left_by_a_starter(process, place)
            || self.may_be_a_gateway(process, place)
        {
            return UNKNOWN;
        }
        match place {
            Place::Child(gateway) if self.is_of_an_earlier_run(gateway, process) => {
                Owner::Nobody(OrphanKind::ParentlessWorker)
            }
            Place::Child(_) => Owner::Nobody(OrphanKind::OwnerlessWorker),
            Place::Lost => Owner::Nobody(OrphanKind::ParentlessWorker),
            Place::Below(_) | Place::BelowFormer(_) | Place::Unclear => UNKNOWN,
        }
    }

    /// Never seen started, where a row names a worker with the same argv, no key in it, that is no younger.
    fn may_be_a_copy(&self, process: &'a Process, place: Place) -> bool {
        let has_no_key = |process| {
            self.count()
                .any(|gateway| self.is_worker(gateway, process) && self.key(gateway, process) == Some(None))
        };
        let is_named = |other: &Process| {
            let line = self.line(other).into_iter().take_while(|pid| self.gateways_at(*pid).is_empty());
            let above = line.filter_map(|pid| self.0.world.seen.processes.get(pid));
            let mut line = std::iter::once(other).chain(above);
            line.any(|it| !self.rows_naming(it).is_empty())
        };
        let is_copied = |other: &&'a Process| {
            other.argv == process.argv
                && other.identity.start_ticks <= process.identity.start_ticks
                && has_no_key(other)
        };
        let view = &self.0.world.seen.processes;
        self.was_never_seen_started(process, place)
            && has_no_key(process)
            && view.processes.values().filter(is_copied).any(is_named)
    }

    /// Never seen started, where a row of a gateway that may have started it names what is gone, and nothing carries its key.
    fn may_be_left_by_a_starter(&self, process: &'a Process, place: Place) -> bool {
        let may_be_its = |gateway: usize| {
            !self.is_of_an_earlier_run(gateway, process) && self.has_row_naming_one_gone(gateway)
        };
        self.was_never_seen_started(process, place)
            && self.may_have_started(process, place).into_iter().any(may_be_its)
    }

    /// A row of this gateway names what is gone, and nothing carries its key.
    pub(super) fn has_row_naming_one_gone(&self, gateway: usize) -> bool {
        let view = &self.0.world.seen.processes;
        let is_gone = |pid: Pid| view.get(pid).map_or(view.gone.contains(&pid), |there| there.zombie);
        let carries = |process: &Process, key: &str| {
            !process.zombie
                && self.is_worker(gateway, process)
                && self.key(gateway, process) == Some(Some(key))
                && self.may_be_of_rows(gateway, process)
        };
        let is_found = |key: &str| view.processes.values().any(|other| carries(other, key));
        self.rows(gateway)
            .iter()
            .any(|row| row.named_worker().is_some_and(is_gone) && !row.worker_key().is_some_and(is_found))
    }

    /// Never seen started, without a key, and the parent of a worker with the same argv, where one of the gateways that may have started it is
    /// gone, and nothing describes its process.
    fn may_be_a_gateway(&self, process: &'a Process, place: Place) -> bool {
        let view = &self.0.world.seen.processes;
        let mut others = view.processes.values().filter(|it| !it.zombie && it.argv == process.argv);
        let has_fork = others.any(|it| it.parent == Some(process.identity.pid));
        let is_gone = |gateway: &usize| self.table(*gateway).is_none() && self.is_to_be_trusted(*gateway);
        has_fork
            && self.was_never_seen_started(process, place)
            && self.may_have_started(process, place).iter().filter(|it| is_gone(it)).any(|gateway| {
                !self.0.world.rules[*gateway].describes_process && self.key(*gateway, process) == Some(None)
            })
    }

    /// Below no gateway, now and before, or only adopted by it; and not of a session that is gone.
    pub(super) fn was_never_seen_started(&self, process: &'a Process, place: Place) -> bool {
        let was_of_one_gone = self
            .was_of(process)
            .is_some_and(|(gateway, id)| self.rows(gateway).iter().all(|row| row.id != *id));
        // A gateway that is process 1 adopts; and who is of another session or group than its gateway's and its own was adopted by it.
        let is_adopted = |gateway: usize| {
            let above = self.gateway(gateway).filter(|above| process.parent == Some(above.pid));
            let above = above.and_then(|above| self.find(above.pid));
            let own = process.identity.pid.get();
            above.is_some_and(|above| {
                above.identity.pid == Pid::INIT
                    || ![own, above.session].contains(&process.session)
                    || ![own, above.group].contains(&process.group)
            })
        };
        let is_apart = match place {
            Place::Child(gateway) => is_adopted(gateway),
            Place::Below(_) => false,
            _ => self.seen_below(process).is_none(),
        };
        is_apart && !was_of_one_gone
    }

    /// The gateways that may have started it: the one that it is or was seen below, and that may be another one's process too, and the one
    /// that told of it at the last look; else any.
    pub(super) fn may_have_started(&self, process: &'a Process, place: Place) -> Vec<usize> {
        let remembers = |gateway: usize| self.remembered(process).is_some_and(|(by, _)| by == gateway);
        let is_above = |gateway: usize| match (place, self.was_below(process, place)) {
            (Place::Child(above) | Place::Below(above), _) => above == gateway,
            (_, Some(was)) => {
                self.gateway(gateway) == Some(was)
                    || self.memory(gateway).is_some_and(|memory| memory.process == Some(was))
            }
            (_, None) => true,
        };
        let takes = |gateway: &usize| self.is_worker(*gateway, process);
        let may_be_it =
            |gateway: &usize| is_above(*gateway) || remembers(*gateway) || self.may_be_any_process(*gateway);
        let starters: Vec<usize> = self.count().filter(takes).filter(may_be_it).collect();
        if starters.is_empty() { self.count().filter(takes).collect() } else { starters }
    }

    /// It is there, and its process isn't known.
    pub(super) fn may_be_any_process(&self, gateway: usize) -> bool {
        let is_gone = self.table(gateway).is_none() && self.is_to_be_trusted(gateway);
        !is_gone && self.gateway(gateway).is_none() && self.lost(gateway).is_none()
    }

    pub(super) fn is_of_an_earlier_run(&self, gateway: usize, process: &Process) -> bool {
        self.gateway(gateway).is_some_and(|run| process.identity.start_ticks < run.start_ticks)
    }

    /// There is no table, and none is needed: this kind never takes back the worker of an earlier run.
    pub(super) fn is_excused(&self, gateway: usize, process: &Process) -> bool {
        let never_takes_it_back = !self.0.world.rules[gateway].takes_workers_back;
        self.is_of_an_earlier_run(gateway, process) && never_takes_it_back && self.table(gateway).is_none()
    }

    /// Its table is current and speaks of the processes that are seen, or it is gone.
    pub(super) fn is_to_be_trusted(&self, gateway: usize) -> bool {
        match &self.0.world.seen.gateways[gateway].table {
            TableView::Current(_) => !self.contradicts(gateway) && !self.shares_process(gateway),
            TableView::Not(missing) => {
                let is_there = self.gateway(gateway).is_some() || self.lost(gateway).is_some();
                missing.answer == Answer::NothingListens && !is_there
            }
        }
    }

    /// A row neither names what can be its worker, nor says that it has none, nor is one found by its key.
    pub(super) fn has_row_without_worker(&self, gateway: usize) -> bool {
        self.rows(gateway).iter().any(|row| self.lacks_worker(gateway, row))
    }

    pub(super) fn lacks_worker(&self, gateway: usize, row: &Session) -> bool {
        let rows = self.rows(gateway).iter();
        let is_asked_for =
            |row: &&Session, key: &str| row.worker == Told::Absent && row.worker_key() == Some(key);
        let asked_for = |key: &str| rows.clone().filter(|row| is_asked_for(row, key)).count();
        let found = |key: &str| {
            let is_found = |process: &&Process| {
                self.is_worker(gateway, process)
                    && self.key(gateway, process) == Some(Some(key))
                    && self.may_be_of_rows(gateway, process)
            };
            self.0.world.seen.processes.processes.values().filter(is_found).count()
        };
        match (&row.worker, row.worker_key()) {
            (Told::Known(None), _) => false,
            (Told::Known(Some(pid)), key) => {
                // Where two rows name one worker, it says itself whose it is.
                let says_so = self.find(*pid).is_some_and(|named| {
                    self.is_worker(gateway, named) && key.is_some() && self.key(gateway, named) == Some(key)
                });
                !says_so && key.is_none_or(|key| found(key) == 0) && self.is_misnamed(gateway, *pid)
            }
            (Told::NotUnderstood(_), _) | (Told::Absent, None) => true,
            (Told::Absent, Some(key)) => found(key) < asked_for(key),
        }
    }

    /// A row of this gateway names a process that is there and can't be its worker, nor the shell around that.
    fn is_misnamed(&self, gateway: usize, pid: Pid) -> bool {
        let Some(process) = self.find(pid) else { return false };
        let processes = self.0.world.seen.processes.processes.values();
        let mut children = processes.filter(|child| child.parent == Some(pid));
        // What was a worker itself is no shell around one.
        let was_one = self.has_changed(process);
        let is_worker = self.is_worker(gateway, process)
            || (!was_one && children.any(|child| self.is_worker(gateway, child)));
        let is_ours = process.uid == self.0.world.rules[gateway].worker_uid;
        self.rows_naming(process).len() > 1 || self.is_protected_pid(pid) || (is_ours && !is_worker)
    }

    // Where it stands.

    /// The processes above it, the nearest first, down from its gateway.
    pub(super) fn line_below_the_gateway(&self, process: &Process) -> Vec<&'a Process> {
        let line = self.line(process).into_iter().filter_map(|pid| self.0.world.seen.processes.get(pid));
        let below = line.take_while(|above| self.gateways_at(above.identity.pid).is_empty());
        below.filter(|above| !above.zombie).collect()
    }

    pub(super) fn gateways_at(&self, pid: Pid) -> Vec<usize> {
        self.count().filter(|gateway| self.gateway(*gateway).is_some_and(|it| it.pid == pid)).collect()
    }

    pub(super) fn place(&self, process: &'a Process) -> Place {
        let view = &self.0.world.seen.processes;
        let line: Vec<&Process> = self.line(process).into_iter().filter_map(|pid| view.get(pid)).collect();
        let wraps = |above: &Process| match (&above.argv, &process.argv) {
            (Some(outer), Some(inner)) => outer != inner && outer.contains(&**inner),
            _ => false,
        };
        let wrappers = line.iter().take_while(|above| wraps(above)).count();
        for (steps, above) in line.iter().enumerate() {
            let gateways = self.gateways_at(above.identity.pid);
            let takes = gateways.iter().find(|gateway| self.is_worker(**gateway, process));
            if let Some(gateway) = takes.or(gateways.first()) {
                return if steps <= wrappers { Place::Child(*gateway) } else { Place::Below(*gateway) };
            }
        }
        let seen_below = self.seen_below(process);
        if let Some(was) = seen_below.filter(|was| process.parent == Some(was.pid)) {
            return Place::BelowFormer(was);
        }
        let mut formers: Vec<ProcessIdentity> =
            self.count().filter_map(|gateway| self.lost(gateway)).collect();
        formers.extend(seen_below);
        if let Some(former) = line.iter().find(|above| formers.contains(&above.identity)) {
            return Place::BelowFormer(former.identity);
        }
        let top = line.last().copied().unwrap_or(process);
        let is_whole = top.parent.is_none() || top.identity.pid == Pid::INIT;
        if seen_below.is_some() && (is_whole || process.parent == Some(Pid::INIT)) {
            return Place::Lost;
        }
        // Of what has its argv in its own, a shell runs nothing else.
        let is_shell =
            |above: &&&Process| above.argv.as_deref().is_some_and(|argv| argv.starts_with("sh -c "));
        let shells = line.iter().take(wrappers).take_while(is_shell).count();
        let head = if shells == 0 { process } else { line[shells - 1] };
        let are_all_known = self.count().all(|gateway| self.gateway(gateway).is_some());
        match sign(head, view) {
            Some(AdoptionSign::UnderInit | AdoptionSign::UnderKnownSubreaper) => Place::Lost,
            Some(AdoptionSign::UnderFirst | AdoptionSign::LeaderlessSession) if are_all_known => Place::Lost,
            _ => Place::Unclear,
        }
    }

    pub(super) fn seen_below(&self, process: &Process) -> Option<ProcessIdentity> {
        match self.remembered(process)?.1.bond {
            Bond::Child(gateway) => Some(gateway),
            Bond::None => None,
        }
    }

    /// The gateway's process of an earlier look, where none is known now and that one is still there.
    pub(super) fn lost(&self, gateway: usize) -> Option<ProcessIdentity> {
        let was = self.memory(gateway)?.process.filter(|_| self.gateway(gateway).is_none())?;
        self.find(was.pid).map(|found| found.identity).filter(|found| *found == was)
    }

    /// What it had before another process was found, unless that is known to be gone.
    pub(super) fn formers(&self, gateway: usize) -> Vec<ProcessIdentity> {
        let Some(memory) = self.memory(gateway) else { return Vec::new() };
        let view = &self.0.world.seen.processes;
        let mut formers = memory.former.clone();
        if self.gateway(gateway).is_some() {
            formers.extend(memory.process);
        }
        formers.retain(|former| Some(*former) != self.gateway(gateway));
        formers.retain(|former| {
            let is_another =
                view.get(former.pid).is_some_and(|found| found.zombie || found.identity != *former);
            !is_another && !view.gone.contains(&former.pid)
        });
        formers
    }

    fn all_rows(&self) -> impl Iterator<Item = RowId> {
        let rows = |gateway: usize| (0..self.rows(gateway).len()).map(move |row| (gateway, row));
        self.count().flat_map(rows)
    }

    pub(super) fn row(&self, (gateway, row): RowId) -> &'a Session {
        &self.rows(gateway)[row]
    }
}
