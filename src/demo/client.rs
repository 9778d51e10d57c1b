//! A client of the demo gateway: a person's browser tab or terminal, as far as the gateway can tell.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use thiserror::Error;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{self, Message};

use super::protocol::{Created, NewSession, Reply, Request};
use crate::domain::ids::SessionId;

/// What went wrong between a client and the gateway.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The gateway couldn't be reached.
    #[error("the demo gateway can't be reached")]
    Connect(#[source] io::Error),
    /// The connection broke.
    #[error("the connection to the demo gateway broke")]
    Socket(#[source] Box<tungstenite::Error>),
    /// The gateway closed the connection, or said something else.
    #[error("the demo gateway said {0}, which no client understands")]
    NotUnderstood(String),
    /// The gateway said no.
    #[error("the demo gateway refused: {0}")]
    Refused(String),
}

impl From<tungstenite::Error> for ClientError {
    fn from(error: tungstenite::Error) -> Self {
        Self::Socket(Box::new(error))
    }
}

/// A connected client. Dropping it drops the connection, without a goodbye, and the gateway detaches its sessions.
#[derive(Debug)]
pub struct Client {
    socket: WebSocketStream<TcpStream>,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// Nothing listens there, or it isn't a demo gateway.
    pub async fn connect(gateway: SocketAddr) -> Result<Self, ClientError> {
        let stream = TcpStream::connect(gateway).await.map_err(ClientError::Connect)?;
        let (socket, _) = tokio_tungstenite::client_async(format!("ws://{gateway}/ws"), stream).await?;
        Ok(Self { socket })
    }

    /// Starts a session; when this returns, its worker and the worker's family are up.
    ///
    /// # Errors
    /// The worker didn't start, or the connection broke.
    pub async fn create(&mut self, new: NewSession) -> Result<Created, ClientError> {
        match self.ask(Request::Create(new)).await? {
            Reply::Created(created) => Ok(created),
            other => Err(unexpected(other)),
        }
    }

    /// Comes back to a session.
    ///
    /// # Errors
    /// There is no such session any more, or the connection broke.
    pub async fn resume(&mut self, session: &SessionId) -> Result<(), ClientError> {
        self.tell(Request::Resume { session: session.clone() }).await
    }

    /// Starts a turn; without a length it lasts until it is finished.
    ///
    /// # Errors
    /// There is no such session any more, or the connection broke.
    pub async fn prompt(&mut self, session: &SessionId, lasts: Option<Duration>) -> Result<(), ClientError> {
        let for_ms = lasts.map(|span| u64::try_from(span.as_millis()).unwrap_or(u64::MAX));
        self.tell(Request::Prompt { session: session.clone(), for_ms }).await
    }

    /// Asks for something that is answered with `done`.
    ///
    /// # Errors
    /// The gateway refused, or the connection broke.
    pub async fn tell(&mut self, request: Request) -> Result<(), ClientError> {
        match self.ask(request).await? {
            Reply::Done | Reply::Pong => Ok(()),
            other => Err(unexpected(other)),
        }
    }

    async fn ask(&mut self, request: Request) -> Result<Reply, ClientError> {
        let text = serde_json::to_string(&request).map_err(|error| ClientError::Connect(error.into()))?;
        self.socket.send(Message::text(text)).await?;
        loop {
            match self.socket.next().await.transpose()? {
                Some(Message::Text(text)) => {
                    return serde_json::from_str(text.as_str())
                        .map_err(|_| ClientError::NotUnderstood(text.as_str().to_owned()));
                }
                Some(Message::Ping(_) | Message::Pong(_)) => {}
                other => return Err(ClientError::NotUnderstood(format!("{other:?}"))),
            }
        }
    }
}

fn unexpected(reply: Reply) -> ClientError {
    match reply {
        Reply::Refused { why } => ClientError::Refused(why),
        other => ClientError::NotUnderstood(format!("{other:?}")),
    }
}
