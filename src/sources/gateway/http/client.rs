//! Requests to one gateway: one deadline each, a size limit, and a connection kept between reads.

use std::borrow::Cow;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::header::{
    ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, USER_AGENT,
};
use hyper::{Method, Request, StatusCode, Uri};

use super::connection::Connection;
use super::deadline::Deadline;
use super::error::{HttpError, HttpProblem, NotAnAddress, Phase};
use super::target::Target;
use crate::config::token::Token;
use crate::sources::gateway::excerpt::excerpt;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const AGENT: HeaderValue = HeaderValue::from_static(concat!("gateway-reaper/", env!("CARGO_PKG_VERSION")));
/// What is set aside at once for a body that announces its length; an announcement alone costs nobody memory.
const SET_ASIDE_BYTES: u64 = 1024 * 1024;
/// What is read of a body that only explains a refusal.
const EXPLANATION_BYTES: usize = 2048;
/// Characters of somebody else's text that a message shows.
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
}

/// A gateway's HTTP side.
#[derive(Debug)]
pub(super) struct HttpClient {
    target: Target,
    token: Option<Token>,
    bearer: Option<HeaderValue>,
    timeout: Duration,
    kept: Option<Connection>,
}

impl HttpClient {
    pub(super) fn new(url: &Uri, token: Option<Token>, timeout: Duration) -> Result<Self, NotAnAddress> {
        let target = Target::new(url)?;
        let mut client = Self { target, token: None, bearer: None, timeout, kept: None };
        client.set_token(token);
        Ok(client)
    }

    pub(super) fn set_token(&mut self, token: Option<Token>) {
        self.bearer = token.as_ref().and_then(bearer);
        self.token = token;
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    pub(super) fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// The text without the token, which an error page may have echoed.
    pub(super) fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match &self.token {
            Some(token) => text.replace(token.expose(), "…").into(),
            None => text.into(),
        }
    }

    /// Somebody else's text for a message: short, harmless and without the token.
    pub(super) fn quote(&self, text: &str) -> Box<str> {
        excerpt(&self.redact(text), QUOTED)
    }

    /// The body of a 2xx whole, of anything else only its beginning, as far as it came.
    pub(super) async fn get(&mut self, path: &str, limit: usize) -> Result<Response, HttpError> {
        let deadline = Deadline::after(self.timeout);
        self.get_by(path, limit, deadline).await.map_err(|problem| self.error(problem))
    }

    /// The next read goes over this connection.
    pub(super) fn keep(&mut self, connection: Connection) {
        self.kept = Some(connection);
    }

    /// The body whole, whatever the status. On a connection of its own, so that many can be under way; never sent twice. `over`: a
    /// connection that is there already.
    pub(super) async fn post(
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
        let (_open, answer) = match over {
            None => self.ask_afresh(request, deadline).await?,
            Some(mut open) => {
                let answer = deadline.within(Phase::Answer, open.send(request)).await??;
                (open, answer)
            }
        };
        let (head, body) = answer.into_parts();
        let body = deadline.within(Phase::Body, whole(body, limit)).await??;
        Ok(Response { status: head.status, headers: head.headers, body })
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
        let body = if head.status.is_success() {
            let body = deadline.within(Phase::Body, whole(body, limit)).await??;
            self.kept = Some(connection);
            body
        } else {
            beginning(body, limit.min(EXPLANATION_BYTES), deadline).await
        };
        Ok(Response { status: head.status, headers: head.headers, body })
    }

    /// On the connection kept from the last read, if there is one. Gateways close one that rests, and that is no reason to give up: then
    /// once more on a fresh one.
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
        let mut connection = deadline.within(Phase::Connect, Connection::open(&self.target)).await??;
        let answer = deadline.within(Phase::Answer, connection.send(request)).await??;
        Ok((connection, answer))
    }

    fn request(&self, method: Method, path: &str, body: Bytes) -> Result<Request<Full<Bytes>>, HttpProblem> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .body(Full::new(body))
            .map_err(|_| HttpProblem::Unaskable)?;
        let headers = request.headers_mut();
        headers.insert(HOST, self.target.host_header());
        headers.insert(ACCEPT, JSON);
        headers.insert(USER_AGENT, AGENT);
        if let Some(bearer) = &self.bearer {
            headers.insert(AUTHORIZATION, bearer.clone());
        }
        Ok(request)
    }

    fn error(&self, problem: HttpProblem) -> HttpError {
        HttpError { at: self.target.authority().into(), problem }
    }
}

/// Always one: a token is made of what can stand in a header.
fn bearer(token: &Token) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose())).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The whole body. A length beyond the limit is refused before a byte is read, a body without one when it gets there.
async fn whole(mut body: Incoming, limit: usize) -> Result<Bytes, HttpProblem> {
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

/// What comes of a body up to the limit and the deadline.
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
