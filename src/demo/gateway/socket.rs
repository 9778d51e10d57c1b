//! A client's WebSocket: requests in, replies out, one at a time; and when it ends, the leak.

use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

#[cfg(debug_assertions)]
use super::admin;
use super::build;
use super::session::ConnectionId;
use super::world::Shared;
use crate::demo::protocol::{Reply, Request};

/// Serves one client until its connection ends, in whichever way.
pub(super) async fn serve(world: Shared, upgraded: Upgraded) {
    let mut socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
    let client = world.borrow_mut().connect();
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else { continue };
        #[cfg(debug_assertions)]
        admin::thawed(&world).await;
        let reply = match serde_json::from_str(text.as_str()) {
            Ok(request) => answer(&world, request, client).await,
            Err(error) => Reply::Refused { why: format!("not understood: {error}") },
        };
        let Ok(text) = serde_json::to_string(&reply) else { break };
        if socket.send(Message::text(text)).await.is_err() {
            break;
        }
    }
    world.borrow_mut().disconnect(client, Instant::now());
}

async fn answer(world: &Shared, request: Request, client: ConnectionId) -> Reply {
    match request {
        Request::Ping => Reply::Pong,
        Request::Create(new) => match build::create(world, new, client).await {
            Ok(created) => Reply::Created(created),
            Err(error) => Reply::Refused { why: format!("no worker: {error}") },
        },
        request => match world.borrow_mut().serve(request, client, Instant::now()) {
            Ok(()) => Reply::Done,
            Err(why) => Reply::Refused { why },
        },
    }
}
