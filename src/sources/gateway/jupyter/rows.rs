//! The list of kernels, and what each row means in the words of the session table.

use std::collections::HashSet;
use std::time::Duration;

use serde::Deserialize;

use super::kernels::{Kernel, Kernels};
use super::trouble::{Trouble, is_page};
use crate::domain::ids::{SessionId, WorkerKey};
use crate::domain::table::{Session, Shown, Told, Transport, Turn};
use crate::sources::gateway::json::{Object, Raw, string};
use crate::text::excerpt;

/// Characters of a word from outside that a message shows.
const SHOWN: usize = 40;

/// A row as it came. Everything else in it is of no meaning here.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) id: SessionId,
    pub(super) transport: Told<Transport>,
    pub(super) state: Told<Box<str>>,
    pub(super) activity: Option<Box<str>>,
    pub(super) clients: Option<u32>,
}

#[derive(Deserialize)]
struct RawRow<'a> {
    #[serde(borrow)]
    id: Raw<'a>,
    #[serde(borrow)]
    connections: Raw<'a>,
    #[serde(borrow)]
    execution_state: Raw<'a>,
    #[serde(borrow)]
    last_activity: Raw<'a>,
}

/// All rows, or none.
pub(super) fn parse(body: &[u8], most: usize) -> Result<Vec<Row>, Trouble> {
    let raw: Vec<Object<RawRow<'_>>> =
        serde_json::from_slice(body).map_err(|error| not_understood(body, &error))?;
    if raw.len() > most {
        return Err(Trouble::TooLarge);
    }
    let rows: Vec<Row> = raw.into_iter().map(|Object(row)| row.read()).collect::<Result<_, _>>()?;
    let mut ids = HashSet::with_capacity(rows.len());
    match rows.iter().find(|row| !ids.insert(row.id.as_str())) {
        Some(row) => Err(Trouble::NotUnderstood(
            format!("kernel {} is there twice", excerpt(row.id.as_str(), SHOWN)).into(),
        )),
        None => Ok(rows),
    }
}

/// The answer to a question for one kernel.
pub(super) fn parse_one(body: &[u8]) -> Result<Row, Trouble> {
    let Object(raw): Object<RawRow<'_>> =
        serde_json::from_slice(body).map_err(|error| not_understood(body, &error))?;
    raw.read()
}

fn not_understood(body: &[u8], error: &serde_json::Error) -> Trouble {
    if is_page(body) { Trouble::Page } else { Trouble::NotUnderstood(error.to_string().into()) }
}

/// Refuses a list of which every row lacks the same thing.
pub(super) fn check(rows: &[Row]) -> Result<(), Trouble> {
    let all = |lacks: fn(&Row) -> bool| !rows.is_empty() && rows.iter().all(lacks);
    if all(|row| row.transport.known().is_none()) {
        return Err(Trouble::Release("how many clients are connected to it (connections)"));
    }
    if all(|row| row.state == Told::Absent) {
        return Err(Trouble::Release("what it does (execution_state)"));
    }
    if all(|row| row.activity.is_none()) {
        return Err(Trouble::Release("when it last did anything (last_activity)"));
    }
    Ok(())
}

impl RawRow<'_> {
    fn read(&self) -> Result<Row, Trouble> {
        let id = self.id.and_then(string).filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| Trouble::NotUnderstood("a kernel without an id".into()))?;
        let transport = match self.connections {
            None => Told::Absent,
            Some(count) => match count.get().parse::<u64>() {
                Ok(0) => Told::Known(Transport::Detached),
                Ok(_) => Told::Known(Transport::Attached),
                Err(_) => Told::NotUnderstood(excerpt(count.get(), SHOWN)),
            },
        };
        let state = match self.execution_state {
            None => Told::Absent,
            Some(state) => match string(state) {
                Some(state) => Told::Known(state.into()),
                None => Told::NotUnderstood(excerpt(state.get(), SHOWN)),
            },
        };
        let activity = self.last_activity.and_then(string).map(Into::into);
        let clients = self.connections.and_then(|count| count.get().parse().ok());
        Ok(Row { id: id.as_ref().into(), transport, state, activity, clients })
    }
}

impl Row {
    /// What it does. A kernel to which no client ever connected stays `starting` for ever.
    pub(super) fn turn(&self, kernel: Option<&Kernel>, start_timeout: Duration) -> Told<Turn> {
        let is_late = || kernel.is_some_and(|kernel| kernel.age() >= start_timeout);
        match &self.state {
            Told::Absent => Told::Absent,
            Told::NotUnderstood(odd) => Told::NotUnderstood(odd.clone()),
            Told::Known(state) => match &**state {
                "idle" => Told::Known(Turn::Idle),
                "busy" => Told::Known(Turn::Running),
                "starting" if is_late() => Told::Known(Turn::Idle),
                "starting" => Told::Known(Turn::Starting),
                other => Told::NotUnderstood(excerpt(other, SHOWN)),
            },
        }
    }

    fn into_session(self, kernels: &Kernels, is_seen: bool, start_timeout: Duration) -> Session {
        let kernel = kernels.get(&self.id);
        // Of a server that only passes on what another one runs: that one's kernel is no worker of this one.
        let is_elsewhere = is_seen && kernel.is_none();
        let key = if is_elsewhere {
            format!("{} elsewhere", self.id.as_str())
        } else {
            self.id.as_str().to_owned()
        };
        Session {
            key: Told::Known(WorkerKey::from(key)),
            transport: self.transport.clone(),
            turn: self.turn(kernel, start_timeout),
            detached_for: None,
            idle_for: None,
            shown: Shown {
                clients: self.clients,
                last_active: self
                    .activity
                    .as_deref()
                    .and_then(|time| humantime::parse_rfc3339_weak(time).ok()),
            },
            activity: self.activity,
            close_on_disconnect: Told::Absent,
            holds: Told::Absent,
            worker: if is_elsewhere { Told::Known(None) } else { Told::Absent },
            id: self.id,
        }
    }
}

/// The rows as sessions, and which of them nothing that they say keeps. `is_seen`: the server's process is known, and with it its kernels.
pub(super) fn sessions(
    rows: Vec<Row>,
    kernels: &Kernels,
    is_seen: bool,
    start_timeout: Duration,
) -> (Vec<Session>, Vec<usize>) {
    let sessions: Vec<Session> =
        rows.into_iter().map(|row| row.into_session(kernels, is_seen, start_timeout)).collect();
    let may_go = |session: &Session| {
        session.transport == Told::Known(Transport::Detached) && session.turn == Told::Known(Turn::Idle)
    };
    let candidates =
        sessions.iter().enumerate().filter(|(_, session)| may_go(session)).map(|(at, _)| at).collect();
    (sessions, candidates)
}
