//! What every judgement needs at hand of one gateway.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::context::{Context, Entry};
use super::rows::Rows;
use crate::domain::ids::{Pid, SessionId};
use crate::domain::ledger::GatewayMemory;
use crate::domain::observation::GatewayObservation;
use crate::domain::policy::Rules;
use crate::domain::process::{Process, ProcessIdentity};
use crate::domain::table::TableView;
use crate::domain::time::Awake;
use crate::domain::warrant::Limits;

/// One gateway in the world.
pub(super) struct Scene<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) gateway: &'a GatewayObservation,
    pub(super) rules: &'a Rules,
    pub(super) rows: &'a Rows<'a>,
    /// Its process, if what was found can be one.
    pub(super) process: Option<ProcessIdentity>,
    /// Its configuration and table.
    pub(super) entry: &'a Entry<'a>,
    /// What is remembered of it.
    pub(super) memory: Option<&'a GatewayMemory>,
    pub(super) limits: Limits,
    /// The gateway's children that look like workers, with the key each carries.
    pub(super) workers: Vec<(&'a Process, Option<&'a str>)>,
    /// Those by the key each carries.
    workers_by_key: HashMap<&'a str, Vec<&'a Process>>,
    /// When the youngest of them that a row with this key names was started.
    youngest_named: HashMap<&'a str, u64>,
    /// The keys of rows that name a process which isn't there, is no worker with that key, or is another row's as well.
    misnamed: HashSet<&'a str>,
    /// The same of a row whose key is not understood: its worker may be any.
    pub(super) has_misnamed_without_key: bool,
    /// Another gateway of the configuration has the same process.
    pub(super) shares_process: bool,
    /// Identity of the run of the gateway that wrote the table: its instance, else its process.
    run: Option<Box<str>>,
}

impl<'a> Scene<'a> {
    pub(super) fn new(context: &'a Context<'a>, entry: &'a Entry<'a>) -> Self {
        let gateway = entry.gateway;
        let children = entry.process.into_iter().flat_map(|process| context.children(process));
        let workers: Vec<_> =
            children.filter_map(|process| Some((process, entry.match_of(process)?))).collect();
        let mut workers_by_key: HashMap<&str, Vec<&Process>> = HashMap::new();
        for (process, key) in &workers {
            if let Some(key) = key {
                workers_by_key.entry(key).or_default().push(process);
            }
        }
        let started: HashMap<Pid, u64> =
            workers.iter().map(|(process, _)| (process.identity.pid, process.identity.start_ticks)).collect();
        let youngest = |pids: &[Pid]| pids.iter().filter_map(|pid| started.get(pid)).max().copied();
        let youngest_named =
            entry.rows.named().filter_map(|(key, pids)| Some((key, youngest(pids)?))).collect();
        let carries = |pid: &Pid, key: Option<&str>| {
            let named = context.view().get(*pid).filter(|process| !process.zombie);
            let carried = named.and_then(|named| entry.match_of(named));
            // Of two rows that name the same worker one is wrong, and which one nobody knows.
            let is_shared = context.namers(*pid).len() > 1;
            !is_shared && carried.is_some_and(|carried| key.is_none() || carried.is_none() || carried == key)
        };
        let misnames = |(key, pids): &(&str, &[Pid])| pids.iter().any(|pid| !carries(pid, Some(key)));
        let misnamed = entry.rows.named().filter(misnames).map(|(key, _)| key).collect();
        let has_misnamed_without_key = entry.rows.named_without_key.iter().any(|pid| !carries(pid, None));
        let twin =
            |other: &&GatewayObservation| other.name != gateway.name && other.process == gateway.process;
        let shares_process =
            gateway.process.is_some() && context.seen.gateways.iter().any(|other| twin(&other));
        let limits = Limits {
            worker_match: entry.rules.worker_match.clone(),
            uid: entry.rules.worker_uid,
            own_line: Arc::clone(&context.own_line),
            gateways: Arc::clone(&context.spared),
        };
        let instance = gateway.table.current().map(|table| table.instance.as_ref());
        let process = || entry.process.map(|process| format!("process {process}").into());
        let run = instance.and_then(|instance| instance.map(|name| name.as_str().into()).or_else(process));
        Self {
            context,
            gateway,
            rules: entry.rules,
            rows: &entry.rows,
            process: entry.process,
            entry,
            memory: context.memory.get(&gateway.name).copied(),
            limits,
            workers,
            workers_by_key,
            youngest_named,
            misnamed,
            has_misnamed_without_key,
            shares_process,
            run,
        }
    }

    pub(super) fn now(&self) -> Awake {
        self.context.now
    }

    /// The run of the gateway that wrote the table, if it is current.
    pub(super) fn run(&self) -> Option<&str> {
        self.run.as_deref()
    }

    /// The run of the gateway that is remembered.
    pub(super) fn remembered_run(&self) -> Option<&'a str> {
        self.memory.and_then(|memory| memory.run.as_deref())
    }

    /// What a process's argv says to this gateway; `None`: it is no worker.
    pub(super) fn match_of(&self, process: &Process) -> Option<Option<&'a str>> {
        self.entry.match_of(process)
    }

    /// The gateway's children that carry this key.
    pub(super) fn workers_by_key(&self, key: &str) -> &[&'a Process] {
        self.workers_by_key.get(key).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether a row with this key names another worker of this gateway that is younger.
    pub(super) fn names_younger(&self, key: &str, process: &Process) -> bool {
        self.youngest_named.get(key).is_some_and(|started| *started > process.identity.start_ticks)
    }

    /// Whether a row with this key names a process that can't be its worker: it doesn't say which worker isn't its own.
    pub(super) fn misnames(&self, key: &str) -> bool {
        self.misnamed.contains(key)
    }

    /// Whether this gateway's table names this process as a worker.
    pub(super) fn names(&self, pid: Pid) -> bool {
        self.context.namers(pid).contains(&&self.gateway.name)
    }

    /// Whether the gateway that is remembered is gone for certain, and no other was found.
    pub(super) fn is_gone(&self) -> bool {
        let view = self.context.view();
        let is_gone = |process: ProcessIdentity| {
            let holder = view.get(process.pid);
            view.gone.contains(&process.pid) || (holder.is_some() && view.alive(&process).is_none())
        };
        self.gateway.process.is_none() && self.memory.and_then(|memory| memory.process).is_some_and(is_gone)
    }

    /// Why the table isn't current.
    pub(super) fn distrust(&self) -> Option<&'a str> {
        match &self.gateway.table {
            TableView::Current(_) => None,
            TableView::Not(missing) => Some(&missing.why),
        }
    }

    /// The sessions that are there without a table that says more of them.
    pub(super) fn listed(&self) -> &'a [SessionId] {
        match &self.gateway.table {
            TableView::Not(missing) => &missing.listed,
            TableView::Current(_) => &[],
        }
    }

    /// Why nothing the table says of processes can be trusted: it may speak of others than the gateway's.
    pub(super) fn contradiction(&self) -> Option<String> {
        let said = self.gateway.table.current()?.gateway_pid?;
        let found = self.process?.pid;
        (said != found).then(|| {
            format!("it says that its gateway is process {said}, and [gateway.process] finds {found}")
        })
    }
}
