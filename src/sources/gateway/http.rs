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
use tokio::sync::Semaphore;

use self::client::HttpClient;
pub use self::client::Response;
use self::connection::Connection;
pub use self::error::{HttpError, HttpProblem, NotAnAddress, Phase};
use crate::config::token::Token;
use crate::domain::ids::{Instance, SessionId};
use crate::domain::table::{CloseAnswer, TableView};

/// Conditional reaps under way at once; the next waits for its turn. More than the default `max_reaps`, so that a hundred sessions whose
/// close takes long take as long as one; and far below the usual limit of 1,024 descriptors.
const REAPS_AT_ONCE: usize = 128;

/// A gateway that publishes the session table over HTTP/1.1.
#[derive(Debug)]
pub struct HttpGateway {
    client: HttpClient,
    max_table_bytes: usize,
    reaps: Semaphore,
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
        Ok(Self { client, max_table_bytes, reaps: Semaphore::new(REAPS_AT_ONCE) })
    }

    /// Another token from now on: where it was replaced meanwhile, and for kinds that learn it from the gateway.
    pub fn set_token(&mut self, token: Option<Token>) {
        self.client.set_token(token);
    }

    /// Reads the session table. The connection is kept for the next read.
    pub async fn read_table(&mut self) -> TableView {
        let path = self.client.target().table_path();
        let response = self.client.get(&path, self.max_table_bytes).await;
        table_answer::judge(&self.client, response, self.max_table_bytes)
    }

    /// Reads another path of the same gateway, within the same timeout. The body of an answer other than 2xx is an excerpt for messages.
    ///
    /// # Errors
    /// No whole answer within the timeout and `limit` bytes.
    pub async fn get(&mut self, path_and_query: &str, limit: usize) -> Result<Response, HttpError> {
        self.client.get(path_and_query, limit).await
    }

    /// Asks the gateway to close the session if it is still an orphan. The exchange takes no longer than `within`.
    pub async fn reap(&self, id: &SessionId, instance: Option<&Instance>, within: Duration) -> CloseAnswer {
        let _turn = self.reaps.acquire().await;
        self.reap_on(None, id, instance, within).await
    }

    async fn reap_on(
        &self,
        over: Option<Connection>,
        id: &SessionId,
        instance: Option<&Instance>,
        within: Duration,
    ) -> CloseAnswer {
        let path = self.client.target().reap_path(id);
        let body = reap_request(instance);
        let response = self.client.post(over, &path, body, reap_answer::MAX_BYTES, within).await;
        reap_answer::judge(&self.client, response)
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
    pub async fn reap_over<S>(&self, stream: S, id: &SessionId, within: Duration) -> CloseAnswer
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        self.reap_on(Connection::over(stream).await.ok(), id, None, within).await
    }
}

fn reap_request(instance: Option<&Instance>) -> Bytes {
    #[derive(Serialize)]
    struct ReapRequest<'a> {
        instance: Option<&'a Instance>,
        reason: &'static str,
    }
    // Texts alone can't fail to become JSON; an empty body would only be refused by the gateway.
    serde_json::to_vec(&ReapRequest { instance, reason: "orphaned" }).unwrap_or_default().into()
}
