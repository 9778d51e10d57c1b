//! Building what takes time: a worker is started at once and used when it says that it is ready.

use std::io;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, waitid};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::unix::pipe;
use tokio::time::{Instant, sleep, timeout};

use super::session::{ConnectionId, Turn};
use super::world::Shared;
use crate::demo::flavour::Flavour;
use crate::demo::protocol::{Created, NewSession, WorkerReady, WorkerSpec};
use crate::domain::ids::SessionId;

/// Longer than the slowest machine needs for the largest family.
const READY: Duration = Duration::from_secs(20);

/// Creates a session and its worker. The session is in the table, `starting`, from the beginning.
pub(super) async fn create(world: &Shared, new: NewSession, client: ConnectionId) -> io::Result<Created> {
    let (session, key) = world.borrow_mut().open(&new, client);
    match give_worker(world, &session, new.worker).await {
        Ok(worker) => {
            if let Some(session) = world.borrow_mut().sessions.get_mut(&session) {
                session.turn = Turn::Idle { since: Instant::now() };
                session.stir();
            }
            Ok(Created { session, key, worker })
        }
        Err(error) => {
            world.borrow_mut().sessions.remove(&session);
            Err(error)
        }
    }
}

/// Starts a worker for a session; one that it has already runs on, of no session.
pub(super) async fn give_worker(world: &Shared, id: &SessionId, spec: WorkerSpec) -> io::Result<WorkerReady> {
    let (pid, stdout) = {
        let mut world = world.borrow_mut();
        let world = &mut *world;
        let session = world.sessions.get_mut(id).ok_or(io::ErrorKind::NotFound)?;
        let (pid, stdout) = world.workers.start(&session.key, spec)?;
        session.worker = Some(pid);
        (pid, stdout)
    };
    let ready = timeout(READY, read_ready(stdout)).await??;
    world.borrow_mut().workers.adopt(&ready)?;
    if spec.flavour == Flavour::Stopped {
        world.borrow().workers.signal(pid, Signal::STOP)?;
        timeout(READY, stopped(pid)).await??;
    }
    Ok(ready)
}

/// Waits until our child has stopped: a SIGTERM that comes before SIGSTOP has been seen to would still end it.
async fn stopped(pid: u32) -> io::Result<()> {
    let who = Pid::from_raw(pid as i32).ok_or(io::ErrorKind::InvalidInput)?;
    while waitid(WaitId::Pid(who), WaitIdOptions::STOPPED | WaitIdOptions::NOHANG)?.is_none() {
        sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

async fn read_ready(stdout: pipe::Receiver) -> io::Result<WorkerReady> {
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).await?;
    Ok(serde_json::from_str(&line)?)
}
