//! Several requests on one connection, so that all are answered by the same process.

use std::time::Duration;

use bytes::Bytes;
use hyper::Method;
use hyper::header::{HeaderName, HeaderValue};

use super::client::{HttpClient, Response, must_be_new, whole};
use super::connection::Connection;
use super::deadline::Deadline;
use super::error::{HttpError, HttpProblem, Phase};

/// A connection that is used for several requests, until one deadline.
#[derive(Debug)]
pub struct Exchange<'a> {
    client: &'a HttpClient,
    connection: Connection,
    deadline: Deadline,
}

impl<'a> Exchange<'a> {
    /// Connects. All requests together have this span.
    ///
    /// # Errors
    /// There is no connection.
    pub async fn begin(client: &'a HttpClient, within: Duration) -> Result<Self, HttpError> {
        let deadline = Deadline::after(within);
        let connection = client.open(deadline).await.map_err(|problem| client.error(problem))?;
        Ok(Self { client, connection, deadline })
    }

    /// Asks; never twice. The body of the answer comes whole, whatever the status.
    ///
    /// # Errors
    /// No whole answer within the span and `limit` bytes.
    pub async fn ask(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(HeaderName, HeaderValue)],
        limit: usize,
    ) -> Result<Response, HttpError> {
        self.asked(method, path, headers, limit).await.map_err(|problem| self.client.error(problem))
    }

    async fn asked(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(HeaderName, HeaderValue)],
        limit: usize,
    ) -> Result<Response, HttpProblem> {
        let mut request = self.client.request(method, path, Bytes::new())?;
        request.headers_mut().extend(headers.iter().cloned().map(|(name, value)| (Some(name), value)));
        let answer = self.deadline.within(Phase::Answer, self.connection.send(request)).await??;
        let (head, body) = answer.into_parts();
        must_be_new(&head.headers)?;
        let body = self.deadline.within(Phase::Body, whole(body, limit)).await??;
        let (listener, peer) = (self.connection.listener(), self.connection.peer());
        Ok(Response { status: head.status, headers: head.headers, body, listener, peer })
    }
}
