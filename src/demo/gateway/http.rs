//! The gateway's side of HTTP: the session table, the conditional reap, the way to a WebSocket.

use std::io;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{
    AUTHORIZATION, CONNECTION, CONTENT_TYPE, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE,
};
use hyper::{Method, Request, Response, StatusCode};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

#[cfg(debug_assertions)]
use super::admin;
use super::auth::Token;
use super::socket;
use super::world::{ReapAnswer, Shared, World};
use crate::domain::ids::{Instance, SessionId};

type Answer = Response<Full<Bytes>>;

/// No request to this gateway needs more.
const MAX_BODY: usize = 64 * 1024;

/// The body of a reap request.
#[derive(Deserialize)]
struct ReapRequest {
    #[serde(default)]
    instance: Option<Instance>,
}

/// Answers one request. `Err` ends the connection without an answer: one of the faults, in tests.
pub(super) async fn answer(
    world: Shared,
    token: Token,
    mut request: Request<Incoming>,
) -> io::Result<Answer> {
    let path = request.uri().path().to_owned();
    let steps: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    #[cfg(debug_assertions)]
    if path != "/admin" {
        admin::thawed(&world).await;
    }
    // Clients have ways of their own to say who they are; the token is for those who read the table and act on it.
    if path != "/ws" && !token.admits(request.headers().get(AUTHORIZATION)) {
        return Ok(refusal(StatusCode::UNAUTHORIZED, "a valid bearer token is needed"));
    }
    #[cfg(debug_assertions)]
    let admin = world.borrow().options.admin;
    match (request.method(), steps.as_slice()) {
        (&Method::GET, ["ws"]) => Ok(upgrade(world, &mut request)),
        (&Method::GET, ["sessions"]) => {
            let table = world.borrow_mut().table(Instant::now());
            Ok(reply(StatusCode::OK, &table))
        }
        (&Method::POST, ["sessions", id, "reap"]) => {
            let id = percent_decode_str(id).decode_utf8_lossy().into_owned();
            reap(&world, &SessionId::from(id), request.into_body()).await
        }
        #[cfg(debug_assertions)]
        (&Method::POST, ["admin"]) if admin => match read(request.into_body()).await {
            Ok(order) => Ok(match admin::act(&world, order).await {
                Ok(done) => reply(StatusCode::OK, &done),
                Err(why) => refusal(StatusCode::NOT_FOUND, &why),
            }),
            Err(why) => Ok(refusal(StatusCode::BAD_REQUEST, &why)),
        },
        _ => Ok(refusal(StatusCode::NOT_FOUND, "nothing here")),
    }
}

fn upgrade(world: Shared, request: &mut Request<Incoming>) -> Answer {
    let Some(key) = request.headers().get(SEC_WEBSOCKET_KEY) else {
        return refusal(StatusCode::UPGRADE_REQUIRED, "this is for WebSocket clients");
    };
    let accept = derive_accept_key(key.as_bytes());
    let upgraded = hyper::upgrade::on(request);
    tokio::task::spawn_local(async move {
        if let Ok(upgraded) = upgraded.await {
            socket::serve(world, upgraded).await;
        }
    });
    let answer = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_ACCEPT, accept)
        .body(Full::default());
    answer.unwrap_or_default()
}

async fn reap(world: &Shared, id: &SessionId, body: Incoming) -> io::Result<Answer> {
    let request: ReapRequest = match read(body).await {
        Ok(request) => request,
        Err(why) => return Ok(refusal(StatusCode::BAD_REQUEST, &why)),
    };
    #[cfg(debug_assertions)]
    if let Some((status, body)) = admin::instead_of_reaping(world).await? {
        return Ok(reply(status, &body));
    }
    let (answer, closed) = world.borrow_mut().reap(id, request.instance.as_ref(), Instant::now());
    if let Some(session) = closed {
        World::close(world, &session);
    }
    #[cfg(debug_assertions)]
    admin::after_reaping(world)?;
    let (status, body) = match answer {
        ReapAnswer::Reaped => (StatusCode::OK, json!({ "outcome": "reaped" })),
        ReapAnswer::Gone => (StatusCode::NOT_FOUND, json!({ "outcome": "gone" })),
        ReapAnswer::Kept(reason) => (StatusCode::CONFLICT, json!({ "outcome": "kept", "reason": reason })),
        ReapAnswer::OtherInstance => {
            (StatusCode::PRECONDITION_FAILED, json!({ "outcome": "kept", "reason": "instance" }))
        }
    };
    Ok(reply(status, &body))
}

async fn read<T: for<'de> Deserialize<'de>>(body: Incoming) -> Result<T, String> {
    let body = Limited::new(body, MAX_BODY).collect().await.map_err(|error| error.to_string())?;
    serde_json::from_slice(&body.to_bytes()).map_err(|error| error.to_string())
}

fn refusal(status: StatusCode, why: &str) -> Answer {
    reply(status, &json!({ "error": why }))
}

fn reply(status: StatusCode, body: &Value) -> Answer {
    let answer = Response::builder()
        .status(status)
        .header(CONTENT_TYPE, "application/json")
        .body(Full::from(body.to_string()));
    answer.unwrap_or_default()
}
