//! A Hermes dashboard with the plugin that `hermes install` puts there: the session table of the contract, under the dashboard's own token.
//!
//! What this adds to [`Contract`]: where the table is, how the token is learnt that a loopback dashboard writes into its page, and in
//! one sentence each what is wrong with a dashboard that has no table for us. Nothing here resumes or activates a session, ever.

mod active_list;
mod beside;
mod clients;
mod diagnosis;
pub mod page;
mod plugin_said;
mod trouble;

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use hyper::StatusCode;

use self::beside::Beside;
use self::page::Page;
use self::plugin_said::Said;
use self::trouble::Trouble;
use super::Gateway;
use super::contract::Contract;
use super::table_json;
use crate::domain::ids::Pid;
use crate::domain::outside::Outside;
use crate::domain::table::{CloseAnswer, Software, TableView};
use crate::domain::warrant::CloseOrder;
use crate::hermes::plugin;
use crate::sources::http::{HttpClient, Response};

/// A dashboard's page has a few kilobytes.
const MAX_PAGE_BYTES: usize = 1024 * 1024;
/// As much as any of its small answers.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// A Hermes dashboard.
#[derive(Debug)]
pub struct HermesGateway {
    client: HttpClient,
    contract: Contract,
    /// The path of the dashboard's root, without a slash at its end.
    root: Box<str>,
    /// The dashboard's address for messages.
    at: Box<str>,
    token: TokenFrom,
    /// What is known of it from outside.
    beside: Beside,
    /// The last answer was a Hermes dashboard's, and no table.
    is_without_table: bool,
    /// What the last table says of the dashboard.
    software: Software,
}

/// Where the dashboard's token comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TokenFrom {
    /// The configuration.
    Configuration,
    /// The dashboard's page.
    Page,
    /// None is configured, and a page that came over a network proves nothing.
    Nowhere,
}

impl HermesGateway {
    /// The client's address is the dashboard's own, without the path of the table.
    pub fn new(client: HttpClient, max_table_bytes: usize) -> Self {
        let base = client.address();
        let root: Box<str> = base.path().trim_end_matches('/').into();
        let table = base.with_path(&format!("{root}/api/plugins/{}/sessions", plugin::NAME));
        let at = base.with_path(&root).to_string().into();
        let token = match client.token() {
            Some(_) => TokenFrom::Configuration,
            None if base.is_local() => TokenFrom::Page,
            None => TokenFrom::Nowhere,
        };
        let contract = Contract::new(table, max_table_bytes).with_activity();
        let (beside, software) = (Beside::default(), Software::default());
        Self { client, contract, root, at, token, beside, is_without_table: false, software }
    }

    /// The session table; without one, at least which sessions there are.
    async fn table(&mut self) -> TableView {
        (self.is_without_table, self.software) = (false, Software::default());
        match self.read().await {
            Ok(view) => view,
            Err(trouble) => {
                self.is_without_table = trouble.is_of_a_dashboard();
                let why = format!("{}: {trouble}", self.at);
                let sessions = match self.client.token() {
                    Some(token) if trouble.leaves_a_list() => {
                        active_list::read(&self.client, &self.root, token).await
                    }
                    _ => None,
                };
                match sessions {
                    Some(sessions) => TableView::listed(sessions, why),
                    None => TableView::refused(why),
                }
            }
        }
    }

    async fn read(&mut self) -> Result<TableView, Trouble> {
        let fresh = self.token == TokenFrom::Page && self.client.token().is_none();
        if fresh && let Some(unreachable) = self.learn_token().await? {
            return Ok(unreachable);
        }
        let mut answer = self.contract.ask_for_table(&mut self.client).await;
        // Before 0.16 every start of a dashboard makes a new token.
        let is_stale = matches!(&answer, Ok(response) if response.status == StatusCode::UNAUTHORIZED);
        if is_stale && !fresh && self.token == TokenFrom::Page {
            if let Some(unreachable) = self.learn_token().await? {
                return Ok(unreachable);
            }
            answer = self.contract.ask_for_table(&mut self.client).await;
        }
        match answer {
            Ok(response) if response.status == StatusCode::OK && !is_page(&response) => {
                let Said { version, release, missing } = Said::read(&response.body);
                let shown = |text: &Option<Box<str>>| Some(self.client.quote(text.as_deref()?));
                self.software = Software { release: shown(&release), plugin: shown(&version) };
                let is_old =
                    plugin::compare_versions(version.as_deref().unwrap_or_default(), plugin::VERSION).is_lt();
                if is_old && table_json::parse(&response.body).is_ok() {
                    return Err(Trouble::OldPlugin { version });
                }
                if !missing.is_empty() {
                    return Err(Trouble::ReleaseNotUnderstood { release, missing });
                }
                Ok(self.contract.judge_table(&self.client, Ok(response)))
            }
            Ok(response) => match self.diagnose(&response).await {
                Some(trouble) => Err(trouble),
                None => Ok(self.contract.judge_table(&self.client, Ok(response))),
            },
            Err(error) => Ok(self.contract.judge_table(&self.client, Err(error))),
        }
    }

    /// Reads the token off the page. What is returned is why the dashboard can't be asked at all.
    async fn learn_token(&mut self) -> Result<Option<TableView>, Trouble> {
        self.client.learn_token(None);
        let path = format!("{}/", self.root);
        let response = match self.client.get(&path, MAX_PAGE_BYTES).await {
            Ok(response) => response,
            Err(error) => return Ok(Some(self.contract.judge_table(&self.client, Err(error)))),
        };
        let page = Page::read(&response.body);
        match page {
            Page { has_chat: Some(false), .. } => Err(Trouble::NoChat),
            Page { token: Some(token), .. } if response.status == StatusCode::OK => {
                self.client.learn_token(Some(token));
                Ok(None)
            }
            _ => match self.status().await {
                None => Err(Trouble::NotHermes),
                Some(status) if status.auth_required => Err(Trouble::Gate),
                Some(_) => Err(Trouble::NoTokenOnPage),
            },
        }
    }
}

impl Gateway for HermesGateway {
    fn read_table(&mut self) -> LocalBoxFuture<'_, TableView> {
        self.table().boxed_local()
    }

    fn look_outside(&mut self, process: Option<Pid>) -> Option<Outside> {
        self.is_without_table.then(|| self.beside.look(self.client.address(), process))
    }

    fn software(&self) -> Software {
        self.software.clone()
    }

    fn renew_token(&mut self) -> bool {
        self.client.renew_token()
    }

    fn rest(&mut self) {
        self.client.rest();
    }

    fn reap(&self, order: &CloseOrder, within: Duration) -> LocalBoxFuture<'static, CloseAnswer> {
        self.contract.reap(&self.client, order, within)
    }
}

fn is_page(response: &Response) -> bool {
    response.body.trim_ascii_start().starts_with(b"<")
}
