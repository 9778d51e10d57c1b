//! Which sessions there are, from a dashboard without the plugin: `session.active_list` over its WebSocket, from 0.16 on. Asking binds
//! nothing and refreshes nothing. The list is for a report; nothing is ever reaped by it.

use futures_util::{SinkExt, StreamExt};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::config::token::Token;
use crate::domain::ids::SessionId;
use crate::sources::http::HttpClient;

/// A list of some ten thousand sessions.
const MAX_MESSAGE_BYTES: usize = 4 * 1024 * 1024;
/// Events that may come before the answer.
const MAX_EVENTS: usize = 100;

/// `None`: this release has no list, or it could not be had; why makes no difference.
pub(super) async fn read(client: &HttpClient, root: &str, token: &Token) -> Option<Box<[SessionId]>> {
    tokio::time::timeout(client.timeout(), ask(client, root, token)).await.ok()?
}

async fn ask(client: &HttpClient, root: &str, token: &Token) -> Option<Box<[SessionId]>> {
    let stream = client.connect().await.ok()?;
    let host = client.address().authority();
    let token = utf8_percent_encode(token.expose(), NON_ALPHANUMERIC);
    let url = format!("ws://{host}{root}/api/ws?token={token}");
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_MESSAGE_BYTES));
    let (mut socket, _) =
        tokio_tungstenite::client_async_with_config(url, stream, Some(config)).await.ok()?;
    let question = json!({ "jsonrpc": "2.0", "id": 1, "method": "session.active_list", "params": {} });
    socket.send(Message::text(question.to_string())).await.ok()?;
    let mut answer = None;
    for _ in 0..MAX_EVENTS {
        match socket.next().await?.ok()? {
            Message::Text(text) => {
                let message: Value = serde_json::from_str(text.as_str()).ok()?;
                if message.get("id") == Some(&json!(1)) {
                    answer = Some(message);
                    break;
                }
            }
            Message::Ping(_) | Message::Pong(_) => {}
            _ => return None,
        }
    }
    let _ = socket.close(None).await;
    sessions(&answer?)
}

/// All of them or none: half a list would be taken for the whole.
fn sessions(answer: &Value) -> Option<Box<[SessionId]>> {
    let rows = answer.get("result")?.get("sessions")?.as_array()?;
    rows.iter().map(|row| row.get("id")?.as_str().map(SessionId::from)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_whole_or_none() {
        let list = |sessions| sessions_of(&json!({ "id": 1, "result": { "sessions": sessions } }));
        assert_eq!(
            list(json!([{ "id": "a" }, { "id": "b", "status": "idle" }])),
            Some(vec!["a".into(), "b".into()])
        );
        assert_eq!(list(json!([])), Some(Vec::new()));
        assert_eq!(list(json!([{ "id": "a" }, {}])), None);
        assert_eq!(list(json!({})), None);
        assert_eq!(sessions_of(&json!({ "id": 1, "error": { "code": -32601 } })), None);
    }

    fn sessions_of(answer: &Value) -> Option<Vec<SessionId>> {
        sessions(answer).map(Vec::from)
    }
}
