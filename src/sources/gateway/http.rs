//! A gateway that publishes the session table over HTTP/1.1.
//!
//! The table decides what may be reaped, so nothing about reading it is forgiving: one deadline from connect to last byte, a size limit,
//! no redirects, no proxies, no half answers. A conditional reap is never sent twice: the next run asks again.

mod client;
mod connection;
mod deadline;
mod error;
mod reap_answer;
mod table_answer;
mod target;

use std::time::Duration;

use bytes::Bytes;
use hyper::Uri;
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use self::client::HttpClient;
pub use self::client::Response;
use self::connection::Connection;
pub use self::error::{HttpError, HttpProblem, NotAnAddress, Phase};
use crate::config::token::Token;
use crate::domain::ids::Instance;
use crate::domain::table::{CloseAnswer, TableView};
use crate::domain::warrant::CloseOrder;

/// Conditional reaps under way at once; the next waits for its turn. More than the default `max_reaps`, so that a hundred sessions whose
/// close takes long take as long as one; and far below the usual limit of 1,024 descriptors.
const REAPS_AT_ONCE: usize = 128;

/// A gateway that publishes the session table over HTTP/1.1.
#[derive(Debug)]
pub struct HttpGateway {
    client: HttpClient,
    max_table_bytes: usize,
    reaps: Semaphore,
    sends_activity: bool,
}

impl HttpGateway {
    /// `url` is the table's; `timeout` covers one whole read of it, from connecting to the last byte.
    ///
    /// # Errors
    /// The url is not `http://`, has no host, or has credentials in it.
    pub fn new(
        url: Uri,
        token: Option<Token>,
        timeout: Duration,
        max_table_bytes: usize,
    ) -> Result<Self, NotAnAddress> {
        let client = HttpClient::new(&url, token, timeout)?;
        Ok(Self { client, max_table_bytes, reaps: Semaphore::new(REAPS_AT_ONCE), sends_activity: false })
    }

    /// Another token from now on: where it was replaced meanwhile, and for kinds that learn it from the gateway.
    pub fn set_token(&mut self, token: Option<Token>) {
        self.client.set_token(token);
    }

    /// So many conditional reaps at once and no more: for gateways that have few threads to answer with.
    pub(super) fn with_reaps_at_once(self, reaps: usize) -> Self {
        Self { reaps: Semaphore::new(reaps), ..self }
    }

    /// Tells the gateway which `activity` was judged, which the contract doesn't ask for.
    pub(super) fn with_activity(self) -> Self {
        Self { sends_activity: true, ..self }
    }

    /// Reads the session table. The connection is kept for the next read.
    pub async fn read_table(&mut self) -> TableView {
        let answer = self.ask_for_table().await;
        self.judge_table(answer)
    }

    /// The first half of a read: the answer as it came.
    pub(super) async fn ask_for_table(&mut self) -> Result<Response, HttpError> {
        let path = self.client.target().table_path();
        self.client.get(&path, self.max_table_bytes).await
    }

    /// The second half: what it means.
    pub(super) fn judge_table(&self, answer: Result<Response, HttpError>) -> TableView {
        table_answer::judge(&self.client, answer, self.max_table_bytes)
    }

    /// Whether requests go to this machine and can't go anywhere else.
    pub(super) fn is_loopback(&self) -> bool {
        self.client.target().is_loopback()
    }

    /// A bare connection to the gateway, for what isn't HTTP.
    pub(super) async fn connect(&self) -> Result<TcpStream, HttpProblem> {
        connection::connect(self.client.target()).await
    }

    /// Reads another path of the same gateway, within the same timeout. The body of an answer other than 2xx is an excerpt for messages.
    ///
    /// # Errors
    /// No whole answer within the timeout and `limit` bytes.
    pub async fn get(&mut self, path_and_query: &str, limit: usize) -> Result<Response, HttpError> {
        self.client.get(path_and_query, limit).await
    }

    /// Asks the gateway to close the session if it is still an orphan. The exchange takes no longer than `within`.
    pub async fn reap(&self, order: &CloseOrder, within: Duration) -> CloseAnswer {
        let _turn = self.reaps.acquire().await;
        self.reap_on(None, order, within).await
    }

    async fn reap_on(&self, over: Option<Connection>, order: &CloseOrder, within: Duration) -> CloseAnswer {
        let path = self.client.target().reap_path(&order.id);
        let body = self.reap_request(order);
        let response = self.client.post(over, &path, body, reap_answer::MAX_BYTES, within).await;
        reap_answer::judge(&self.client, response)
    }

    fn reap_request(&self, order: &CloseOrder) -> Bytes {
        #[derive(Serialize)]
        struct ReapRequest<'a> {
            instance: Option<&'a Instance>,
            reason: &'static str,
            #[serde(skip_serializing_if = "Option::is_none")]
            activity: Option<&'a str>,
        }
        let activity = order.activity.as_deref().filter(|_| self.sends_activity);
        let request = ReapRequest { instance: order.instance.as_ref(), reason: "orphaned", activity };
        // Texts alone can't fail to become JSON; an empty body would only be refused by the gateway.
        serde_json::to_vec(&request).unwrap_or_default().into()
    }
}

/// Whatever bytes an answer is made of, without a network: the fuzzers' way in.
#[doc(hidden)]
impl HttpGateway {
    /// Reads the table over a stream that is there already.
    pub async fn read_table_over<S>(&mut self, stream: S) -> TableView
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        if let Ok(connection) = Connection::over(stream).await {
            self.client.keep(connection);
        }
        self.read_table().await
    }

    /// Asks for a reap over a stream that is there already.
    pub async fn reap_over<S>(&self, stream: S, order: &CloseOrder, within: Duration) -> CloseAnswer
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        self.reap_on(Connection::over(stream).await.ok(), order, within).await
    }
}
