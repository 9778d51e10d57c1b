//! Changing the world on demand: for tests that need a gateway to misbehave.

use rustix::process::{Signal, getpid, kill_process};
use serde_json::{Value, json};

use super::build;
use super::world::Shared;
use crate::demo::protocol::AdminRequest;

/// Does it. `Err`: there is no such session, or its new worker didn't start.
pub(super) async fn act(world: &Shared, request: AdminRequest) -> Result<Value, String> {
    let no_session = |id| format!("there is no session {id}");
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
            world.borrow().frozen.send_replace(true);
        }
        AdminRequest::Thaw => {
            world.borrow().frozen.send_replace(false);
        }
        // Not an abort: that may leave a core file behind.
        AdminRequest::Crash => kill_process(getpid(), Signal::KILL).map_err(|errno| errno.to_string())?,
        AdminRequest::ChangeInstance => world.borrow_mut().change_instance(),
        AdminRequest::ReapFault { fault } => world.borrow_mut().reap_fault = fault,
        AdminRequest::Publish { session: None, field, value } => {
            world.borrow_mut().published.insert(field, value);
        }
        AdminRequest::Publish { session: Some(id), field, value } => {
            let mut world = world.borrow_mut();
            let session = world.sessions.get_mut(&id).ok_or_else(|| no_session(id))?;
            session.published.insert(field, value);
        }
    }
    Ok(json!({}))
}
