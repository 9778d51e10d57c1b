//! The cast: a gateway in a process of its own, the clients, and every process of the story held from its start on.

use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use tokio::time::sleep;

use super::StoryError;
use super::role::{Act, ROLES, Role};
use crate::demo::client::Client;
use crate::demo::gateway::Options;
use crate::demo::launch::{GatewayProcess, spawn_gateway};
use crate::demo::pinned::Pinned;
use crate::domain::ids::SessionId;

/// How long processes have to go by themselves once the gateway's lifeline has ended.
const LEAVE: Duration = Duration::from_secs(2);

/// All processes and clients of the story. Dropping it ends the gateway and every process that it started; [`Cast::strike`] also looks that it did.
#[derive(Debug)]
pub(super) struct Cast {
    pub(super) gateway: GatewayProcess,
    pub(super) gateway_process: Pinned,
    pub(super) members: Vec<Member>,
}

/// One session with its client and its processes.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) role: Role,
    pub(super) session: SessionId,
    /// Its worker first.
    pub(super) processes: Vec<Pinned>,
    client: Option<Client>,
}

impl Cast {
    /// Starts the gateway.
    pub(super) fn assemble(exe: &Path) -> Result<Self, StoryError> {
        let gateway = spawn_gateway(exe, &Options::default(), &[]).map_err(StoryError::Launch)?;
        let gateway_process = Pinned::new(gateway.pid()).map_err(StoryError::Hold)?;
        Ok(Self { gateway, gateway_process, members: Vec::new() })
    }

    /// Opens every session, each with a client of its own.
    pub(super) async fn enter(&mut self, mut each: impl FnMut(&Member)) -> Result<(), StoryError> {
        for role in ROLES {
            let mut client = Client::connect(self.gateway.address()).await?;
            let created = client.create(role.session()).await?;
            if role.act == Act::LeavesMidTurn {
                client.prompt(&created.session, None).await?;
            }
            let pids = std::iter::once(created.worker.pid).chain(created.worker.family);
            let processes = pids.map(Pinned::new).collect::<Result<_, _>>().map_err(StoryError::Hold)?;
            let member = Member { role, session: created.session, processes, client: Some(client) };
            each(&member);
            self.members.push(member);
        }
        Ok(())
    }

    /// Whether all that must be gone in the end is gone.
    pub(super) fn all_due_gone(&self) -> bool {
        self.members.iter().filter(|member| member.is_due()).all(Member::gone)
    }

    /// Ends all that is left, and returns what could not be ended.
    pub(super) async fn strike(self) -> Vec<String> {
        const LOOK: Duration = Duration::from_millis(10);
        let Self { gateway, gateway_process, members } = self;
        drop(gateway);
        let processes: Vec<Pinned> = members.into_iter().flat_map(|member| member.processes).collect();
        let left = || processes.iter().chain([&gateway_process]).filter(|process| process.alive());
        for _ in 0..LEAVE.as_millis() / LOOK.as_millis() {
            if left().next().is_none() {
                return Vec::new();
            }
            sleep(LOOK).await;
        }
        for process in left() {
            let _ = process.signal(Signal::KILL);
        }
        sleep(LOOK * 10).await;
        left().map(ToString::to_string).collect()
    }
}

impl Member {
    pub(super) fn is_due(&self) -> bool {
        self.role.fate == super::role::Fate::Reaped
    }

    pub(super) fn worker_pid(&self) -> u32 {
        self.processes.first().map_or(0, Pinned::pid)
    }

    /// Its client closes the connection without a message.
    pub(super) fn leave(&mut self) {
        self.client = None;
    }

    /// Its client, or another one, picks the session up.
    pub(super) async fn come_back(&mut self, mut client: Client) -> Result<(), StoryError> {
        client.resume(&self.session).await?;
        self.client = Some(client);
        Ok(())
    }

    pub(super) fn gone(&self) -> bool {
        !self.processes.iter().any(Pinned::alive)
    }

    pub(super) fn unharmed(&self) -> bool {
        self.processes.iter().all(Pinned::alive)
    }

    pub(super) fn rss_bytes(&self) -> u64 {
        self.processes.iter().filter_map(Pinned::rss_bytes).sum()
    }
}
