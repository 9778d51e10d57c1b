//! What the gateway knows. All of it changes only in functions that don't wait, on one thread: each is atomic.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

#[cfg(debug_assertions)]
use super::faults::Faults;
use super::options::Options;
use super::session::{ConnectionId, Session, Transport, Turn};
use super::workers::Workers;
use crate::demo::protocol::{CloseManner, NewSession, Request};
use crate::domain::ids::{Instance, SessionId, WorkerKey};

pub(super) type Shared = Rc<RefCell<World>>;

#[derive(Debug)]
pub(super) struct World {
    pub(super) options: Options,
    pub(super) instance: Instance,
    pub(super) sessions: BTreeMap<SessionId, Session>,
    pub(super) workers: Workers,
    #[cfg(debug_assertions)]
    pub(super) faults: Faults,
    connections: u64,
}

/// The answer to the conditional reap, faults aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReapAnswer {
    Reaped,
    Gone,
    Kept(&'static str),
    OtherInstance,
}

/// Opaque, and different every time.
fn random() -> String {
    format!("{:016x}", RandomState::new().hash_one(0))
}

impl World {
    pub(super) fn new(options: Options) -> io::Result<Self> {
        Ok(Self {
            workers: Workers::new(&options)?,
            options,
            instance: Instance::from(random()),
            sessions: BTreeMap::new(),
            #[cfg(debug_assertions)]
            faults: Faults::default(),
            connections: 0,
        })
    }

    #[cfg(debug_assertions)]
    pub(super) fn change_instance(&mut self) {
        self.instance = Instance::from(random());
    }

    pub(super) fn connect(&mut self) -> ConnectionId {
        self.connections += 1;
        ConnectionId(self.connections)
    }

    /// The client is gone: its sessions are detached, and that is all this gateway does about it.
    pub(super) fn disconnect(&mut self, client: ConnectionId, now: Instant) {
        for session in self.sessions.values_mut() {
            if matches!(session.transport, Transport::Attached(of) if of == client) {
                session.transport = Transport::Detached { since: now };
            }
        }
    }

    /// Puts a new session into the table; it is `starting` until it has a worker.
    pub(super) fn open(&mut self, new: &NewSession, client: ConnectionId) -> (SessionId, WorkerKey) {
        let id = SessionId::from(&random()[..8]);
        let key = new.key.clone().unwrap_or_else(|| WorkerKey::from(random()));
        let close = new.close.unwrap_or(self.options.close);
        let mut session = Session::new(key.clone(), client, close);
        session.close_on_disconnect = new.close_on_disconnect;
        self.sessions.insert(id.clone(), session);
        (id, key)
    }

    /// Does what a client asks of a session. `Err`: there is no such session.
    pub(super) fn serve(
        &mut self,
        request: Request,
        client: ConnectionId,
        now: Instant,
    ) -> Result<(), String> {
        let Some(id) = request.session() else { return Ok(()) };
        let session = self.sessions.get_mut(id).ok_or_else(|| format!("there is no session {id}"))?;
        session.settle(now);
        session.stir();
        match request {
            Request::Resume { .. } => session.transport = Transport::Attached(client),
            Request::Prompt { for_ms, .. } => {
                let until = for_ms.and_then(|ms| now.checked_add(Duration::from_millis(ms)));
                session.turn = Turn::Running { until };
            }
            Request::Ask { .. } => session.turn = Turn::Waiting,
            Request::Finish { .. } => session.turn = Turn::Idle { since: now },
            Request::Hold { name, .. } => {
                session.holds.insert(name);
            }
            Request::Unhold { name, .. } => {
                session.holds.remove(&name);
            }
            Request::Create(_) | Request::Ping => {}
        }
        Ok(())
    }

    /// The conditional reap: is it still an orphan, here and now? Then it leaves the table; the caller ends its worker.
    pub(super) fn reap(
        &mut self,
        id: &SessionId,
        instance: Option<&Instance>,
        now: Instant,
    ) -> (ReapAnswer, Option<Session>) {
        if instance.is_some_and(|instance| *instance != self.instance) {
            return (ReapAnswer::OtherInstance, None);
        }
        let Some(session) = self.sessions.get_mut(id) else {
            return (ReapAnswer::Gone, None);
        };
        session.settle(now);
        match session.kept_because() {
            Some(reason) => (ReapAnswer::Kept(reason), None),
            None => (ReapAnswer::Reaped, self.sessions.remove(id)),
        }
    }

    /// Ends the worker of a session that has left the table.
    pub(super) fn close(world: &Shared, session: &Session) {
        let Some(pid) = session.worker.filter(|_| session.close == CloseManner::Ends) else { return };
        let takes = world.borrow().options.close_takes;
        let world = Rc::clone(world);
        tokio::task::spawn_local(async move {
            tokio::time::sleep(takes).await;
            let ended = world.borrow_mut().workers.end(pid);
            if let Err(error) = ended {
                eprintln!("demo gateway: worker {pid} could not be ended: {error}");
            }
        });
    }

    /// Waits for the workers that have exited; their sessions go on without.
    pub(super) fn collect(&mut self) {
        for pid in self.workers.collect() {
            for session in self.sessions.values_mut().filter(|session| session.worker == Some(pid)) {
                session.worker = None;
            }
        }
    }

    /// The session table.
    pub(super) fn table(&mut self, now: Instant) -> Value {
        let mut rows = Vec::new();
        for (id, session) in &mut self.sessions {
            session.settle(now);
            rows.push(session.row(id, now));
        }
        let mut table = json!({
            "version": 1,
            "gateway": { "pid": std::process::id(), "instance": self.instance },
            "sessions": rows,
        });
        #[cfg(debug_assertions)]
        self.faults.disguise(&mut table);
        for field in &self.options.without {
            leave_out(&mut table, field);
        }
        table
    }
}

fn leave_out(table: &mut Value, field: &str) {
    let remove = |from: &mut Value, field: &str| {
        if let Some(object) = from.as_object_mut() {
            object.remove(field);
        }
    };
    match field.strip_prefix("gateway.") {
        Some(field) => remove(&mut table["gateway"], field),
        None if table.get(field).is_some() => remove(table, field),
        None => {
            for row in table["sessions"].as_array_mut().into_iter().flatten() {
                remove(row, field);
            }
        }
    }
}
