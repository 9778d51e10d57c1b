//! A Jupyter Server or a Kernel Gateway: its kernels are the sessions, and its own API is all that it is asked by.
//!
//! Measured on Jupyter Server 2.21.1 and Kernel Gateway 3.0.1. A kernel's row names no process: a kernel that dies is restarted under the
//! same id, so its worker is known by the id in its argv and by nothing else. Asking counts as activity of the server unless the request
//! says that it doesn't; a poll must not keep a server up that its own culler would end.

mod answers;
mod clients;
mod close;
mod kernels;
mod rows;
pub mod runtime;
mod server;
mod servers;
mod trouble;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use hyper::StatusCode;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use self::clients::Clients;
use self::kernels::Kernels;
use self::rows::Row;
use self::server::{Flavour, Server};
pub use self::servers::Servers;
use self::trouble::Trouble;
use super::Gateway;
use crate::domain::ids::{Instance, Pid, SessionId};
use crate::domain::table::{CloseAnswer, SessionTable, TableView};
use crate::domain::warrant::CloseOrder;
use crate::sources::http::{HttpClient, HttpError, HttpProblem, Response};

/// As much as any of its small answers.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;
/// A kernel's row takes a fraction of a kilobyte; smaller ones would fill the memory.
const BYTES_OF_A_ROW: usize = 100;
/// What can stand in a segment of a path as it is.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// Says that a request is no activity.
const UNTRACKED: &str = "no_track_activity=1";

/// A Jupyter Server or a Kernel Gateway.
#[derive(Debug)]
pub struct JupyterGateway {
    client: HttpClient,
    /// The path of its base, without a slash at its end.
    root: Box<str>,
    /// Its address for messages.
    at: Box<str>,
    max_table_bytes: usize,
    start_timeout: Duration,
    /// The process that has to be the one that answers.
    expected: Option<Pid>,
    /// The one that answered last.
    server: Option<Server>,
    kernels: Rc<RefCell<Kernels>>,
    clients: Rc<RefCell<Clients>>,
}

impl JupyterGateway {
    /// The client's address is the server's base.
    pub fn new(client: HttpClient, max_table_bytes: usize, start_timeout: Duration) -> Self {
        let root: Box<str> = client.address().path().trim_end_matches('/').into();
        let at = client.address().with_path(&root).to_string().into();
        Self {
            client,
            root,
            at,
            max_table_bytes,
            start_timeout,
            expected: None,
            server: None,
            kernels: Rc::default(),
            clients: Rc::default(),
        }
    }

    /// Only if this process is the one that answers.
    #[must_use]
    pub fn of_process(self, pid: Pid) -> Self {
        Self { expected: Some(pid), ..self }
    }

    /// What a close needs.
    fn for_close(&self) -> Self {
        Self {
            client: self.client.for_close(),
            root: self.root.clone(),
            at: self.at.clone(),
            server: self.server.clone(),
            kernels: Rc::clone(&self.kernels),
            clients: Rc::clone(&self.clients),
            ..*self
        }
    }

    async fn table(&mut self) -> TableView {
        match self.read().await {
            Ok(table) => TableView::Current(table),
            Err(trouble) => trouble.view(&self.client, &self.at, self.max_table_bytes),
        }
    }

    async fn read(&mut self) -> Result<SessionTable, Trouble> {
        let is_same = self.server.as_ref().is_some_and(|server| self.kernels.borrow_mut().is_there(server));
        if !is_same {
            // Whatever was known is of an earlier run.
            self.server = None;
            let server = self.meet().await?;
            self.server = Some(server);
        }
        let listed = self.get("/api/kernels", self.max_table_bytes).await?;
        let Some(server) = &self.server else { return Err(Trouble::NotJupyter) };
        let (flavour, process, instance) = (server.flavour.clone(), server.process, server.instance());
        let listener = listed.listener;
        let rows = match (listed.status, &flavour) {
            (StatusCode::OK, _) => rows::parse(&listed.body, self.max_table_bytes / BYTES_OF_A_ROW)?,
            (StatusCode::FORBIDDEN, Flavour::KernelGateway) => self.one_by_one(&listed).await?,
            _ => return Err(self.refused(&listed)),
        };
        rows::check(&rows)?;
        let kernels = &mut *self.kernels.borrow_mut();
        kernels.look(process);
        let (sessions, candidates) = rows::sessions(rows, kernels, process.is_some(), self.start_timeout);
        let mut table =
            SessionTable { gateway_pid: process.map(|process| process.pid), instance, sessions, listener };
        self.clients.borrow_mut().hold(&mut table.sessions, &candidates, process, kernels);
        Ok(table)
    }

    /// Finds out who answers.
    async fn meet(&mut self) -> Result<Server, Trouble> {
        let status = self.get("/api/status", MAX_ANSWER_BYTES).await?;
        let peer = status.peer;
        let flavour = match status.status {
            StatusCode::OK => {
                Flavour::Server { started: answers::started(&status.body).ok_or(Trouble::NotJupyter)? }
            }
            StatusCode::NOT_FOUND => {
                let api = self.get("/api", MAX_ANSWER_BYTES).await?;
                if api.status != StatusCode::OK || answers::version(&api.body).is_none() {
                    return Err(Trouble::NotJupyter);
                }
                Flavour::KernelGateway
            }
            _ => return Err(self.refused(&status)),
        };
        if matches!(flavour, Flavour::Server { .. }) && self.hides_clients().await? {
            return Err(Trouble::ServerDocuments);
        }
        let process = self.kernels.borrow_mut().holder(peer);
        match (self.expected, process) {
            (Some(expected), Some(found)) if expected != found.pid => {
                Err(Trouble::OtherProcess { expected, found: found.pid })
            }
            _ => Ok(Server { flavour, process }),
        }
    }

    /// Whether it runs the extension with which every kernel shows no connection, also where there is one.
    async fn hides_clients(&mut self) -> Result<bool, Trouble> {
        let metrics = match self.get("/metrics", MAX_ANSWER_BYTES).await {
            Ok(metrics) if metrics.status == StatusCode::OK => answers::hides_clients(&metrics.body),
            Ok(_) | Err(Trouble::TooLarge) => None,
            Err(trouble) => return Err(trouble),
        };
        match metrics {
            Some(hides) => Ok(hides),
            // Only that extension knows this path; a server without it writes that it was asked into its log.
            None => {
                let index = self.get("/api/fileid/index", MAX_ANSWER_BYTES).await?;
                Ok(index.status == StatusCode::METHOD_NOT_ALLOWED)
            }
        }
    }

    /// The kernels of a gateway that doesn't list them: it is asked for each that its children name.
    async fn one_by_one(&mut self, refusal: &Response) -> Result<Vec<Row>, Trouble> {
        let Some(process) = self.server.as_ref().and_then(|server| server.process) else {
            return Err(if self.client.token().is_some() {
                Trouble::NoListing
            } else {
                self.refused(refusal)
            });
        };
        self.kernels.borrow_mut().look(Some(process));
        let ids: Vec<SessionId> = self.kernels.borrow_mut().ids().collect();
        let mut rows = Vec::with_capacity(ids.len());
        for id in ids {
            let path = format!("/api/kernels/{}", segment(&id));
            let response = self.get(&path, MAX_ANSWER_BYTES).await?;
            match response.status {
                StatusCode::OK => rows.push(rows::parse_one(&response.body)?),
                // Of a manager of its own, which may be an extension's.
                StatusCode::NOT_FOUND => {}
                _ => return Err(self.refused(&response)),
            }
        }
        Ok(rows)
    }

    async fn get(&mut self, path: &str, limit: usize) -> Result<Response, Trouble> {
        let path = self.path(path);
        Ok(self.client.get(&path, limit).await?)
    }

    /// With the base before it, and marked as no activity.
    fn path(&self, path: &str) -> String {
        format!("{}{path}?{UNTRACKED}", self.root)
    }

    fn refused(&self, response: &Response) -> Trouble {
        Trouble::refused(&self.client, response)
    }
}

impl Gateway for JupyterGateway {
    fn read_table(&mut self) -> LocalBoxFuture<'_, TableView> {
        self.table().boxed_local()
    }

    fn renew_token(&mut self) -> bool {
        self.client.renew_token()
    }

    fn rest(&mut self) {
        self.client.rest();
    }

    fn reap(&self, order: &CloseOrder, within: Duration) -> LocalBoxFuture<'static, CloseAnswer> {
        let (gateway, order) = (self.for_close(), order.clone());
        async move { gateway.close(&order, within).await }.boxed_local()
    }
}

impl Server {
    fn instance(&self) -> Option<Instance> {
        match &self.flavour {
            Flavour::Server { started } => Some(Instance::from(started.clone())),
            Flavour::KernelGateway => None,
        }
    }
}

fn segment(id: &SessionId) -> impl std::fmt::Display + '_ {
    utf8_percent_encode(id.as_str(), SEGMENT)
}

impl From<HttpError> for Trouble {
    fn from(error: HttpError) -> Self {
        match error.problem {
            HttpProblem::TooLarge { .. } => Self::TooLarge,
            _ => Self::Http(error),
        }
    }
}
