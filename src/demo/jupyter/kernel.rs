//! The kernels of the story: what each is, what becomes of its tab, and its processes, held from their start on.

use futures_util::{SinkExt, StreamExt};
use hyper::header::{AUTHORIZATION, HeaderValue};
use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::server::Server;
use crate::demo::pinned::Pinned;
use crate::demo::story::{StoryError, Tally};
use crate::domain::ids::{Pid, SessionId};
use crate::sources::http::Stream;
use crate::sources::processes::{Proc, ProcessesError};

/// What becomes of a tab.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Stays,
    IsClosed,
    IsClosedWhileACellRuns,
    ComesBack,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Tab {
    pub(super) name: &'static str,
    /// What is special about it, said as it opens.
    pub(super) special: &'static str,
    pub(super) act: Act,
    code: &'static str,
}

/// All of them, in the order in which they are opened.
pub(super) const TABS: [Tab; 6] = [
    Tab { name: "notes", special: "", act: Act::IsClosed, code: "x = 1" },
    Tab {
        name: "photos",
        special: ", with 40 MB of variables",
        act: Act::IsClosed,
        code: "x = bytearray(40_000_000)",
    },
    Tab {
        name: "build",
        special: ", which starts three more processes, each in a session of its own",
        act: Act::IsClosed,
        code: "import subprocess\nfor _ in range(3): subprocess.Popen(['sleep', '120'], start_new_session=True)",
    },
    Tab {
        name: "report",
        special: ", and runs a cell that takes long",
        act: Act::IsClosedWhileACellRuns,
        code: "import time; time.sleep(120)",
    },
    Tab { name: "train", special: "", act: Act::ComesBack, code: "x = 1" },
    Tab { name: "desk", special: "", act: Act::Stays, code: "x = 1" },
];

impl Tab {
    /// Why its kernel has to be there in the end. `None`: it has to be gone.
    pub(super) fn stays(&self) -> Option<&'static str> {
        match self.act {
            Act::IsClosed => None,
            Act::Stays => Some("its tab was never closed"),
            Act::IsClosedWhileACellRuns => Some("a cell runs in it"),
            Act::ComesBack => Some("its tab was opened again in time"),
        }
    }
}

#[derive(Debug)]
pub(super) struct Kernel {
    pub(super) tab: Tab,
    pub(super) id: SessionId,
    /// The kernel's own first.
    pub(super) processes: Vec<Pinned>,
    socket: Option<WebSocketStream<Stream>>,
}

impl Kernel {
    /// Starts one, connects a client, and has it run its code.
    pub(super) async fn open(server: &Server, tab: Tab) -> Result<Self, StoryError> {
        let answer = server.ask(Method::POST, "api/kernels").await?;
        let row: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let id = row["id"].as_str().filter(|_| answer.status == StatusCode::CREATED);
        let id = id.ok_or_else(|| {
            StoryError::Jupyter(format!("it started no kernel ({}): is ipykernel installed?", answer.status))
        })?;
        let mut kernel = Self { tab, id: id.into(), processes: Vec::new(), socket: None };
        kernel.processes = kernel.find(server)?;
        kernel.connect(server).await?;
        kernel.run().await?;
        kernel.processes = kernel.find(server)?;
        Ok(kernel)
    }

    /// Its process and what is below that.
    fn find(&self, server: &Server) -> Result<Vec<Pinned>, StoryError> {
        let file = format!("kernel-{}.json", self.id.as_str());
        let family = || -> Result<Vec<Pid>, ProcessesError> {
            let mut proc = Proc::open()?;
            let mut all = Vec::new();
            let mut below = |pid: Pid| match proc.process(pid)? {
                Some(dir) => proc.children_of_process(&dir),
                None => Ok(Vec::new()),
            };
            let kernels = server.process().map(&mut below).transpose()?.unwrap_or_default();
            let is_it = |pid: &Pid| {
                std::fs::read_to_string(format!("/proc/{pid}/cmdline"))
                    .is_ok_and(|argv| argv.trim_end_matches('\0').ends_with(&file))
            };
            all.extend(kernels.into_iter().filter(is_it));
            let mut at = 0;
            while let Some(pid) = all.get(at).copied() {
                at += 1;
                all.extend(below(pid)?);
            }
            Ok(all)
        };
        let family = family().map_err(|error| StoryError::Jupyter(error.to_string()))?;
        family
            .into_iter()
            .map(|pid| Pinned::new(pid.get()))
            .collect::<Result<_, _>>()
            .map_err(StoryError::Hold)
    }

    pub(super) async fn connect(&mut self, server: &Server) -> Result<(), StoryError> {
        let failed = |error: &dyn std::fmt::Display| {
            StoryError::Jupyter(format!("no client can connect to its kernel ({error})"))
        };
        let (running, client) = server.found()?;
        let stream = client.connect().await.map_err(|error| failed(&error))?;
        let to =
            format!("{}api/kernels/{}/channels", running.address, self.id.as_str()).replacen("http", "ws", 1);
        let mut request = to.into_client_request().map_err(|error| failed(&error))?;
        if let Some(token) = &running.token {
            let value =
                HeaderValue::try_from(format!("token {}", token.expose())).map_err(|error| failed(&error))?;
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        let (socket, _) =
            tokio_tungstenite::client_async(request, stream).await.map_err(|error| failed(&error))?;
        self.socket = Some(socket);
        Ok(())
    }

    /// Until it is done with its code; with what takes long, until it has begun.
    async fn run(&mut self) -> Result<(), StoryError> {
        let Some(socket) = &mut self.socket else { return Ok(()) };
        let until = if self.tab.act == Act::IsClosedWhileACellRuns { "busy" } else { "idle" };
        let header = json!({ "msg_id": "run", "username": "", "session": "demo", "msg_type": "execute_request", "version": "5.3" });
        let content = json!({ "code": self.tab.code, "silent": false, "store_history": false, "user_expressions": {}, "allow_stdin": false });
        let message = json!({ "header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell", "buffers": [] });
        let broken = || StoryError::Jupyter("the connection to its kernel broke".into());
        socket.send(Message::text(message.to_string())).await.map_err(|_| broken())?;
        loop {
            let Some(Ok(message)) = socket.next().await else { return Err(broken()) };
            let said: Value =
                message.to_text().ok().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
            if said["parent_header"]["msg_id"] == "run" && said["content"]["execution_state"] == until {
                return Ok(());
            }
        }
    }

    /// Its tab is closed.
    pub(super) fn leave(&mut self) {
        self.socket = None;
    }

    pub(super) fn pid(&self) -> u32 {
        self.processes.first().map_or(0, Pinned::pid)
    }

    pub(super) fn is_gone(&self) -> bool {
        !self.processes.iter().any(Pinned::alive)
    }

    pub(super) fn is_unharmed(&self) -> bool {
        self.processes.iter().all(Pinned::alive)
    }

    pub(super) fn tally(&self) -> Tally {
        let rss_bytes = self.processes.iter().filter_map(Pinned::rss_bytes).sum();
        Tally { sessions: 1, processes: self.processes.len(), rss_bytes }
    }
}
