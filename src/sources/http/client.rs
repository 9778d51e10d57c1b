//! Requests to one gateway: one deadline each, a size limit, and a connection kept between reads.

use std::borrow::Cow;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::header::{
    ACCEPT, AGE, AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HOST, HeaderMap, HeaderValue,
    USER_AGENT,
};
use hyper::{Method, Request, StatusCode};

use super::connect::connect;
use super::connection::Connection;
use super::credential::{Credential, Scheme};
use super::deadline::Deadline;
use super::error::{HttpError, HttpProblem, Phase};
use super::listener::Listeners;
use super::stream::{Peer, Stream};
use crate::config::address::Address;
use crate::config::token::Token;
use crate::domain::table::Listener;
use crate::text::excerpt;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");
const AGENT: HeaderValue = HeaderValue::from_static(concat!("gateway-reaper/", env!("CARGO_PKG_VERSION")));
/// Memory that is reserved at once for a body that announces its length; a larger announcement reserves no more.
const SET_ASIDE_BYTES: u64 = 1024 * 1024;
/// What is read of a body that only explains a refusal.
const EXPLANATION_BYTES: usize = 2048;
/// Characters of a text from outside that a message shows.
const QUOTED: usize = 160;

/// An answer.
#[derive(Debug)]
pub struct Response {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// What is known of the user who answered.
    pub listener: Listener,
    /// What tells which process that was.
    pub peer: Peer,
}

/// A gateway's HTTP side.
#[derive(Debug)]
pub struct HttpClient {
    address: Address,
    listeners: Listeners,
    credential: Credential,
    bearer: Option<HeaderValue>,
    timeout: Duration,
    kept: Option<Connection>,
}

impl HttpClient {
    /// `timeout` covers one whole read, from connecting to the last byte. On this machine nothing is sent to a listener of a user who
    /// isn't the reaper's or root.
    pub fn new(address: Address, credential: Credential, timeout: Duration) -> Self {
        let (bearer, listeners) = (credential.header(), Listeners::own_and([]));
        Self { address, listeners, credential, bearer, timeout, kept: None }
    }

    /// With these listeners instead.
    pub fn with_listeners(self, listeners: Listeners) -> Self {
        Self { listeners, ..self }
    }

    /// With its token sent in this way.
    pub fn with_scheme(mut self, scheme: Scheme) -> Self {
        self.credential = self.credential.with_scheme(scheme);
        self.bearer = self.credential.header();
        self
    }

    /// The same for a close, which has a connection of its own.
    pub fn for_close(&self) -> Self {
        Self {
            address: self.address.clone(),
            listeners: self.listeners.clone(),
            credential: self.credential.clone(),
            bearer: self.bearer.clone(),
            kept: None,
            ..*self
        }
    }

    /// Where the gateway is.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// How long a read may take.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The token that requests carry.
    pub fn token(&self) -> Option<&Token> {
        self.credential.token()
    }

    /// Another token from now on, learnt from the gateway.
    pub fn learn_token(&mut self, token: Option<Token>) {
        self.credential.learn(token);
        self.bearer = self.credential.header();
    }

    /// Fetches the token anew from where it is configured; whether it is another one now.
    pub fn renew_token(&mut self) -> bool {
        let is_new = self.credential.renew();
        self.bearer = self.credential.header();
        is_new
    }

    /// The text without the token, which an error page may have echoed.
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.credential.redact(text)
    }

    /// Text from outside for a message: short, harmless and without the token.
    pub fn quote(&self, text: &str) -> Box<str> {
        excerpt(&self.redact(text), QUOTED)
    }

    /// A new connection.
    pub(super) async fn open(&self, deadline: Deadline) -> Result<Connection, HttpProblem> {
        deadline.within(Phase::Connect, Connection::open(&self.address, &self.listeners)).await?
    }

    /// A bare connection to the gateway, for what isn't HTTP.
    ///
    /// # Errors
    /// There is none.
    pub async fn connect(&self) -> Result<Stream, HttpError> {
        let deadline = Deadline::after(self.timeout);
        let stream = deadline.within(Phase::Connect, connect(&self.address, &self.listeners)).await;
        stream.and_then(|stream| stream).map(|(stream, _)| stream).map_err(|problem| self.error(problem))
    }

    /// Reads a path, within the client's timeout. The body of a 2xx comes whole, of anything else only its beginning, as far as it came:
    /// an excerpt for messages.
    ///
    /// # Errors
    /// No whole answer within the timeout and `limit` bytes.
    pub async fn get(&mut self, path: &str, limit: usize) -> Result<Response, HttpError> {
        let deadline = Deadline::after(self.timeout);
        self.get_by(path, limit, deadline).await.map_err(|problem| self.error(problem))
    }

    /// Closes the connection that is kept between the reads of a run. A gateway may serve one connection at a time, and none of its
    /// answers tells that it doesn't; a new connection costs less than its other clients' waiting.
    pub fn rest(&mut self) {
        self.kept = None;
    }

    /// The next read goes over this connection.
    pub fn keep(&mut self, connection: Connection) {
        self.kept = Some(connection);
    }

    /// Posts JSON; the body of the answer comes whole, whatever the status. On a connection of its own, so that many can be under way;
    /// never sent twice. `over`: a connection that is there already.
    ///
    /// # Errors
    /// No whole answer within the span and `limit` bytes.
    pub async fn post(
        &self,
        over: Option<Connection>,
        path: &str,
        body: Bytes,
        limit: usize,
        within: Duration,
    ) -> Result<Response, HttpError> {
        let deadline = Deadline::after(within);
        self.post_by(over, path, body, limit, deadline).await.map_err(|problem| self.error(problem))
    }

    async fn post_by(
        &self,
        over: Option<Connection>,
        path: &str,
        body: Bytes,
        limit: usize,
        deadline: Deadline,
    ) -> Result<Response, HttpProblem> {
        let mut request = self.request(Method::POST, path, body)?;
        request.headers_mut().insert(CONTENT_TYPE, JSON);
        request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        let (open, answer) = match over {
            None => self.ask_afresh(request, deadline).await?,
            Some(mut open) => {
                let answer = deadline.within(Phase::Answer, open.send(request)).await??;
                (open, answer)
            }
        };
        let (head, body) = answer.into_parts();
        let body = deadline.within(Phase::Body, whole(body, limit)).await??;
        Ok(Response {
            status: head.status,
            headers: head.headers,
            body,
            listener: open.listener(),
            peer: open.peer(),
        })
    }

    async fn get_by(
        &mut self,
        path: &str,
        limit: usize,
        deadline: Deadline,
    ) -> Result<Response, HttpProblem> {
        let request = self.request(Method::GET, path, Bytes::new())?;
        let (connection, answer) = self.ask(request, deadline).await?;
        let (head, body) = answer.into_parts();
        let (listener, peer) = (connection.listener(), connection.peer());
        let body = if head.status.is_success() {
            must_be_new(&head.headers)?;
            let body = deadline.within(Phase::Body, whole(body, limit)).await??;
            self.kept = Some(connection);
            body
        } else {
            beginning(body, limit.min(EXPLANATION_BYTES), deadline).await
        };
        Ok(Response { status: head.status, headers: head.headers, body, listener, peer })
    }

    /// On the connection kept from the last read, if there is one. Gateways close idle connections; then once more on a new one.
    async fn ask(
        &mut self,
        request: Request<Full<Bytes>>,
        deadline: Deadline,
    ) -> Result<(Connection, hyper::Response<Incoming>), HttpProblem> {
        if let Some(mut kept) = self.kept.take() {
            match deadline.within(Phase::Answer, kept.send(request.clone())).await? {
                Err(HttpProblem::Closed) => {}
                answer => return Ok((kept, answer?)),
            }
        }
        self.ask_afresh(request, deadline).await
    }

    async fn ask_afresh(
        &self,
        request: Request<Full<Bytes>>,
        deadline: Deadline,
    ) -> Result<(Connection, hyper::Response<Incoming>), HttpProblem> {
        let mut connection =
            deadline.within(Phase::Connect, Connection::open(&self.address, &self.listeners)).await??;
        let answer = deadline.within(Phase::Answer, connection.send(request)).await??;
        Ok((connection, answer))
    }

    pub(super) fn request(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, HttpProblem> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .body(Full::new(body))
            .map_err(|_| HttpProblem::Unaskable)?;
        let host = HeaderValue::from_str(self.address.authority()).map_err(|_| HttpProblem::Unaskable)?;
        let headers = request.headers_mut();
        headers.insert(HOST, host);
        headers.insert(ACCEPT, JSON);
        headers.insert(USER_AGENT, AGENT);
        headers.insert(CACHE_CONTROL, NO_CACHE);
        if let Some(bearer) = &self.bearer {
            headers.insert(AUTHORIZATION, bearer.clone());
        }
        Ok(request)
    }

    pub(super) fn error(&self, problem: HttpProblem) -> HttpError {
        HttpError { at: self.address.at().into(), problem }
    }
}

/// A cache on the way tells what was: a session or a worker that began since isn't in it. The answer of one that passes requests on has
/// the age 0.
pub(super) fn must_be_new(headers: &HeaderMap) -> Result<(), HttpProblem> {
    match headers.get(AGE) {
        Some(age) if age != "0" => {
            Err(HttpProblem::Stale { age: excerpt(&String::from_utf8_lossy(age.as_bytes()), QUOTED) })
        }
        _ => Ok(()),
    }
}

/// The whole body. A length beyond the limit is refused before a byte is read, a body without a length as soon as it is too long.
pub(super) async fn whole(mut body: Incoming, limit: usize) -> Result<Bytes, HttpProblem> {
    let announced = body.size_hint().lower();
    if announced > limit as u64 {
        return Err(HttpProblem::TooLarge { limit });
    }
    let mut bytes = BytesMut::with_capacity(announced.min(SET_ASIDE_BYTES) as usize);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| HttpProblem::CutShort { got: bytes.len() })?;
        let Ok(data) = frame.into_data() else { continue };
        if data.len() > limit - bytes.len() {
            return Err(HttpProblem::TooLarge { limit });
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.freeze())
}

/// As much of a body as comes before the limit and the deadline.
async fn beginning(mut body: Incoming, limit: usize, deadline: Deadline) -> Bytes {
    let mut bytes = BytesMut::new();
    while bytes.len() < limit {
        let Ok(Some(Ok(frame))) = deadline.within(Phase::Body, body.frame()).await else { break };
        if let Ok(data) = frame.into_data() {
            bytes.extend_from_slice(&data[..data.len().min(limit - bytes.len())]);
        }
    }
    bytes.freeze()
}
