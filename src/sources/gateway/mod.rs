//! Where session tables come from: the seam at which a kind of gateway plugs in.

pub mod command;
pub mod contract;
pub mod hermes;
mod hermes_home;
pub mod http;
mod json;
pub mod jupyter;
pub mod table_json;

use std::fmt::Debug;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use thiserror::Error;

use self::command::{CommandError, ProgramGateway};
use self::hermes::HermesGateway;
use self::hermes_home::HermesOfHome;
use self::http::HttpGateway;
use self::jupyter::runtime::Running;
use self::jupyter::{JupyterGateway, Servers};
use super::http::{Credential, HttpClient, Listeners, Scheme};
use crate::config::token::TokenError;
use crate::config::user::UserError;
use crate::config::{Endpoint, GatewayConfig, GatewayKind, ListenerUser};
use crate::domain::ids::Pid;
use crate::domain::outside::Outside;
use crate::domain::table::{Answer, CloseAnswer, SessionTable, Software, TableView};
use crate::domain::warrant::CloseOrder;

/// A gateway that can be asked, whatever its kind. Reaps of several sessions run at the same time, also while its table is read: each takes
/// along what it needs.
pub trait Gateway: Debug {
    /// What the gateway publishes now: its sessions, whole and validated, or why not. Never an error, never a partial table, never an
    /// empty one for one that couldn't be read, and an end within its timeout.
    fn read_table(&mut self) -> LocalBoxFuture<'_, TableView>;

    /// Where the last answer was no table: what a look from outside shows. `process`: the gateway's, as far as it is known. `None`: the
    /// kind can't be looked at so, or this answer wasn't its.
    fn look_outside(&mut self, process: Option<Pid>) -> Option<Outside> {
        let _ = process;
        None
    }

    /// Which programs the last table was published by, where the kind says so.
    fn software(&self) -> Software {
        Software::default()
    }

    /// Fetches the token anew from where it is configured; whether there is another one now.
    fn renew_token(&mut self) -> bool {
        false
    }

    /// Everything is read for now: lets go of what would keep the gateway busy.
    fn rest(&mut self) {}

    /// Asks the gateway to close the session if it is still an orphan, which the gateway must check once more itself at that instant. A
    /// kind that can't ask for that answers [`CloseAnswer::Failed`] and says so. The exchange takes no longer than `within`.
    fn reap(&self, order: &CloseOrder, within: Duration) -> LocalBoxFuture<'static, CloseAnswer>;
}

/// Reads the table; once more if it was refused and there is another token by now: tokens are replaced while `watch` runs.
pub async fn read_table(gateway: &mut dyn Gateway) -> TableView {
    let view = gateway.read_table().await;
    let is_refused = view.missing().is_some_and(|missing| missing.answer == Answer::Untrusted);
    if is_refused && gateway.renew_token() {
        return gateway.read_table().await;
    }
    view
}

/// Where there is no gateway: a table without sessions, always.
#[derive(Debug)]
struct Nothing;

impl Gateway for Nothing {
    fn read_table(&mut self) -> LocalBoxFuture<'_, TableView> {
        Box::pin(std::future::ready(TableView::Current(SessionTable::default())))
    }

    fn reap(&self, _: &CloseOrder, _: Duration) -> LocalBoxFuture<'static, CloseAnswer> {
        let why = "there is no gateway, and so no session".into();
        Box::pin(std::future::ready(CloseAnswer::Failed { why }))
    }
}

/// A gateway can't be asked as it is configured.
#[derive(Debug, Error)]
pub enum OpenError {
    /// A token is configured and can't be had.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// A user isn't known here.
    #[error(transparent)]
    User(#[from] UserError),
    /// A program can't be run.
    #[error(transparent)]
    Program(#[from] CommandError),
}

/// A gateway as it is configured, ready to be asked. Nothing is asked yet.
///
/// # Errors
/// A token is configured and can't be had, or a user isn't known here.
pub fn open(config: &GatewayConfig) -> Result<Box<dyn Gateway>, OpenError> {
    Ok(match &config.kind {
        GatewayKind::Http(endpoint) => {
            Box::new(HttpGateway::new(client(endpoint, config)?, config.max_table_bytes))
        }
        GatewayKind::Hermes(endpoint) => {
            Box::new(HermesGateway::new(client(endpoint, config)?, config.max_table_bytes))
        }
        GatewayKind::HermesHome(home) => {
            let credential = Credential::fetch(home.token.clone())?;
            let listeners = listeners(home.listener_user.as_ref(), config)?;
            Box::new(HermesOfHome::new(home, credential, listeners, config))
        }
        GatewayKind::Jupyter(endpoint) => {
            let client = client(endpoint, config)?.with_scheme(Scheme::Token);
            Box::new(JupyterGateway::new(client, config.max_table_bytes, config.policy.start_timeout))
        }
        GatewayKind::JupyterRuntime(_) => Box::new(Servers::default()),
        GatewayKind::Processes => Box::new(Nothing),
        GatewayKind::Command(of) => {
            Box::new(ProgramGateway::open(of, config.timeout, config.max_table_bytes)?)
        }
    })
}

/// The client of a kind that is spoken to over HTTP.
fn client(endpoint: &Endpoint, config: &GatewayConfig) -> Result<HttpClient, OpenError> {
    let credential = Credential::fetch(endpoint.token.clone())?;
    let listeners = listeners(endpoint.listener_user.as_ref(), config)?;
    let client = HttpClient::new(endpoint.address.clone(), credential, config.timeout);
    Ok(client.with_listeners(listeners))
}

/// The users that the gateway may run as.
fn listeners(user: Option<&ListenerUser>, config: &GatewayConfig) -> Result<Listeners, UserError> {
    let worker = config.worker_user.as_ref().map(|user| user.uid("gateway.worker.user")).transpose()?;
    let listener = match user {
        Some(ListenerUser::Any) => return Ok(Listeners::Any),
        Some(ListenerUser::User(user)) => Some(user.uid("gateway.listener_user")?),
        None => None,
    };
    Ok(Listeners::own_and(worker.into_iter().chain(listener)))
}

/// A server of a user, as its own file tells how it is asked.
pub(crate) fn open_found(
    server: &Running,
    listener_user: Option<&ListenerUser>,
    config: &GatewayConfig,
) -> Result<Box<dyn Gateway>, OpenError> {
    let credential = Credential::of(server.token.clone()).with_scheme(Scheme::Token);
    let listeners = listeners(listener_user, config)?;
    let client =
        HttpClient::new(server.address.clone(), credential, config.timeout).with_listeners(listeners);
    let gateway = JupyterGateway::new(client, config.max_table_bytes, config.policy.start_timeout);
    Ok(Box::new(gateway.of_process(server.pid)))
}
