//! Misbehaving when a test asks for it. No release has it.

use std::future::pending;
use std::io;

use hyper::StatusCode;
use rustix::process::{Signal, getpid, kill_process};
use serde_json::{Value, json};

use super::build;
use super::world::Shared;
use crate::demo::protocol::{AdminRequest, ReapFault};
use crate::domain::ids::SessionId;

/// Waits until the gateway answers again, if it was frozen.
pub(super) async fn thawed(world: &Shared) {
    let mut frozen = world.borrow().faults.frozen.subscribe();
    let _ = frozen.wait_for(|frozen| !frozen).await;
}

/// What is answered instead of reaping. `Err`: nothing, and the connection ends.
pub(super) async fn instead_of_reaping(world: &Shared) -> io::Result<Option<(StatusCode, Value)>> {
    let fault = world.borrow().faults.reap;
    match fault {
        ReapFault::NoAnswer => Err(io::ErrorKind::ConnectionAborted.into()),
        ReapFault::Hang => pending().await,
        ReapFault::Status500 => {
            Ok(Some((StatusCode::INTERNAL_SERVER_ERROR, json!({ "error": "a fault, as ordered" }))))
        }
        ReapFault::AnswersWithoutClosing => Ok(Some((StatusCode::OK, json!({ "outcome": "reaped" })))),
        ReapFault::None | ReapFault::ClosesWithoutAnswering => Ok(None),
    }
}

/// After a session was reaped. `Err`: the connection ends without an answer.
pub(super) fn after_reaping(world: &Shared) -> io::Result<()> {
    match world.borrow().faults.reap {
        ReapFault::ClosesWithoutAnswering => Err(io::ErrorKind::ConnectionAborted.into()),
        _ => Ok(()),
    }
}

/// Does it. `Err`: there is no such session, or its new worker didn't start.
pub(super) async fn act(world: &Shared, request: AdminRequest) -> Result<Value, String> {
    let no_session = |id: SessionId| format!("there is no session {id}");
    match request {
        AdminRequest::Orphan { session } => {
            let gone = world.borrow_mut().sessions.remove(&session);
            gone.map(|_| ()).ok_or_else(|| no_session(session))?;
        }
        AdminRequest::Supersede { session, worker } => {
            let ready = build::give_worker(world, &session, worker).await;
            return ready.map(|ready| json!(ready)).map_err(|error| format!("no new worker: {error}"));
        }
        AdminRequest::Freeze => {
            world.borrow().faults.frozen.send_replace(true);
        }
        AdminRequest::Thaw => {
            world.borrow().faults.frozen.send_replace(false);
        }
        // Not an abort: that may leave a core file behind.
        AdminRequest::Crash => kill_process(getpid(), Signal::KILL).map_err(|errno| errno.to_string())?,
        AdminRequest::ChangeInstance => world.borrow_mut().change_instance(),
        AdminRequest::ReapFault { fault } => world.borrow_mut().faults.reap = fault,
        AdminRequest::Publish { session: None, field, value } => {
            world.borrow_mut().faults.table.insert(field, value);
        }
        AdminRequest::Publish { session: Some(id), field, value } => {
            let mut world = world.borrow_mut();
            if !world.sessions.contains_key(&id) {
                return Err(no_session(id));
            }
            world.faults.rows.entry(id).or_default().insert(field, value);
        }
    }
    Ok(json!({}))
}
