//! A Hermes dashboard with the plugin that `hermes install` puts there: the session table of the contract, under the dashboard's own token.
//!
//! What this adds to [`HttpGateway`]: where the table is, how the token is learnt that a loopback dashboard writes into its page, and in
//! one sentence each what is wrong with a dashboard that has no table for us. Nothing here resumes or activates a session, ever.

mod active_list;
mod diagnosis;
pub mod page;
mod trouble;

use std::time::Duration;

use hyper::{StatusCode, Uri};
use serde::Deserialize;

use self::page::Page;
use self::trouble::Trouble;
use super::http::{HttpGateway, NotAnAddress, Response};
use super::json::{Object, Raw, object, string};
use super::table_json;
use crate::config::token::Token;
use crate::domain::table::{CloseAnswer, TableView};
use crate::domain::warrant::CloseOrder;
use crate::hermes::plugin;

/// A dashboard's page has a few kilobytes.
const MAX_PAGE_BYTES: usize = 1024 * 1024;
/// As much as any of its small answers.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;
/// A dashboard answers with forty threads, and its people need some of them while it closes sessions.
const REAPS_AT_ONCE: usize = 8;

/// A Hermes dashboard.
#[derive(Debug)]
pub struct HermesGateway {
    http: HttpGateway,
    /// The path of the dashboard's root, without a slash at its end.
    root: Box<str>,
    /// The dashboard's address for messages.
    at: Box<str>,
    host: Box<str>,
    timeout: Duration,
    token: Secret,
}

/// The dashboard's token, and where it comes from.
#[derive(Debug)]
enum Secret {
    /// As the operator says.
    Configured(Token),
    /// From the page, once that was read.
    FromPage(Option<Token>),
    /// None is configured, and a page that came over a network proves nothing.
    None,
}

impl Secret {
    fn token(&self) -> Option<&Token> {
        match self {
            Self::Configured(token) | Self::FromPage(Some(token)) => Some(token),
            Self::FromPage(None) | Self::None => None,
        }
    }
}

impl HermesGateway {
    /// `url` is the dashboard's own, without the path of the table.
    ///
    /// # Errors
    /// The url is not `http://`, has no host, or has credentials in it.
    pub fn new(
        url: &Uri,
        token: Option<Token>,
        timeout: Duration,
        max_table_bytes: usize,
    ) -> Result<Self, NotAnAddress> {
        let host: Box<str> = url.authority().ok_or(NotAnAddress)?.as_str().into();
        let root = url.path().trim_end_matches('/');
        let table = format!("http://{host}{root}/api/plugins/{}/sessions", plugin::NAME);
        let plain = url.scheme_str().is_some_and(|scheme| scheme.eq_ignore_ascii_case("http"));
        let table = table.parse().ok().filter(|_| plain).ok_or(NotAnAddress)?;
        let http = HttpGateway::new(table, token.clone(), timeout, max_table_bytes)?;
        let token = match token {
            Some(token) => Secret::Configured(token),
            None if http.is_loopback() => Secret::FromPage(None),
            None => Secret::None,
        };
        let at = format!("http://{host}{root}").into();
        Ok(Self {
            http: http.with_reaps_at_once(REAPS_AT_ONCE).with_activity(),
            root: root.into(),
            at,
            host,
            timeout,
            token,
        })
    }

    /// Reads the session table; without one, at least which sessions there are.
    pub async fn read_table(&mut self) -> TableView {
        match self.read().await {
            Ok(view) => view,
            Err(trouble) => {
                let why = format!("{}: {trouble}", self.at);
                let sessions = match self.token.token() {
                    Some(token) if trouble.leaves_a_list() => {
                        active_list::read(&self.http, &self.host, &self.root, token, self.timeout).await
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

    /// Asks the plugin to close the session if it is still an orphan. The exchange takes no longer than `within`.
    pub async fn reap(&self, order: &CloseOrder, within: Duration) -> CloseAnswer {
        self.http.reap(order, within).await
    }

    /// Another token as the operator says; none leaves it to the page.
    pub fn set_token(&mut self, token: Option<Token>) {
        if let Some(token) = token {
            self.http.set_token(Some(token.clone()));
            self.token = Secret::Configured(token);
        }
    }

    async fn read(&mut self) -> Result<TableView, Trouble> {
        let fresh = matches!(self.token, Secret::FromPage(None));
        if fresh && let Some(unreachable) = self.learn_token().await? {
            return Ok(unreachable);
        }
        let mut answer = self.http.ask_for_table().await;
        // Before 0.16 every start of a dashboard makes a new token.
        let is_stale = matches!(&answer, Ok(response) if response.status == StatusCode::UNAUTHORIZED);
        if is_stale && !fresh && matches!(self.token, Secret::FromPage(_)) {
            if let Some(unreachable) = self.learn_token().await? {
                return Ok(unreachable);
            }
            answer = self.http.ask_for_table().await;
        }
        match answer {
            Ok(response) if response.status == StatusCode::OK && !is_page(&response) => {
                let said = plugin_version(&response.body);
                if plugin::compare_versions(said.as_deref().unwrap_or_default(), plugin::VERSION).is_lt()
                    && table_json::parse(&response.body).is_ok()
                {
                    return Err(Trouble::OldPlugin { version: said });
                }
                Ok(self.http.judge_table(Ok(response)))
            }
            Ok(response) => match self.diagnose(&response).await {
                Some(trouble) => Err(trouble),
                None => Ok(self.http.judge_table(Ok(response))),
            },
            Err(error) => Ok(self.http.judge_table(Err(error))),
        }
    }

    /// Reads the token off the page. What is returned is why the dashboard can't be asked at all.
    async fn learn_token(&mut self) -> Result<Option<TableView>, Trouble> {
        self.set_page_token(None);
        let path = format!("{}/", self.root);
        let response = match self.http.get(&path, MAX_PAGE_BYTES).await {
            Ok(response) => response,
            Err(error) => return Ok(Some(self.http.judge_table(Err(error)))),
        };
        let page = Page::read(&response.body);
        match page {
            Page { has_chat: Some(false), .. } => Err(Trouble::NoChat),
            Page { token: Some(token), .. } if response.status == StatusCode::OK => {
                self.set_page_token(Some(token));
                Ok(None)
            }
            _ => match self.status().await {
                None => Err(Trouble::NotHermes),
                Some(status) if status.auth_required => Err(Trouble::Gate),
                Some(_) => Err(Trouble::NoTokenOnPage),
            },
        }
    }

    fn set_page_token(&mut self, token: Option<Token>) {
        self.http.set_token(token.clone());
        self.token = Secret::FromPage(token);
    }
}

fn is_page(response: &Response) -> bool {
    response.body.trim_ascii_start().starts_with(b"<")
}

/// Which plugin wrote the table; `None`: it doesn't say.
fn plugin_version(table: &[u8]) -> Option<Box<str>> {
    #[derive(Deserialize)]
    struct Table<'a> {
        #[serde(borrow)]
        plugin: Raw<'a>,
    }
    #[derive(Deserialize)]
    struct Plugin<'a> {
        #[serde(borrow)]
        version: Raw<'a>,
    }
    let Object(table) = serde_json::from_slice::<Object<Table<'_>>>(table).ok()?;
    object::<Plugin<'_>>(table.plugin?)?.version.and_then(string).map(Into::into)
}
