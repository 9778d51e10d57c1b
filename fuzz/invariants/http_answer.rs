//! Bytes as the answer to a read of the table, or to a conditional reap: no answer is taken for one that it isn't, and no message says
//! what it shouldn't.

use std::time::Duration;

use gateway_reaper::config::token::Token;
use gateway_reaper::domain::table::{CloseAnswer, TableView};
use gateway_reaper::domain::warrant::CloseOrder;
use gateway_reaper::sources::gateway::http::HttpGateway;
use gateway_reaper::sources::http::{Credential, HttpClient};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::is_harmless;

const TOKEN: &str = "hunter2-hunter2";
const LIMIT: usize = 4096;
const WITHIN: Duration = Duration::from_secs(5);

/// The first byte says what was asked, and whether the connection stays open; the second how many bytes come at a time.
pub(crate) fn check(data: &[u8]) {
    let [manner, pieces, answer @ ..] = data else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    let Ok(runtime) = runtime else { return };
    let (is_reap, stays_open) = (manner & 1 == 1, manner & 2 == 2);
    runtime.block_on(async {
        let (ours, theirs) = duplex(1 << 16);
        tokio::spawn(gateway(theirs, answer.to_vec(), usize::from(*pieces) + 1, stays_open));
        // Nobody listens at port 1, and nobody is asked there: the stream is all there is.
        let Ok(address) = "http://127.0.0.1:1/sessions".parse() else { return };
        let client = HttpClient::new(address, Credential::of(Token::new(TOKEN)), WITHIN);
        let mut client = HttpGateway::new(client, LIMIT);
        let order = CloseOrder { id: "a".into(), instance: None, activity: None };
        if is_reap {
            check_reap(answer, client.reap_over(ours, &order, WITHIN).await);
        } else {
            check_table(answer, client.read_table_over(ours).await);
        }
    });
}

/// Answers once the request is there.
async fn gateway(mut stream: DuplexStream, answer: Vec<u8>, piece: usize, stays_open: bool) {
    let mut request = Vec::new();
    while !request.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read_buf(&mut request).await {
            Ok(1..) => {}
            _ => return,
        }
    }
    for piece in answer.chunks(piece) {
        if stream.write_all(piece).await.is_err() {
            return;
        }
        tokio::task::yield_now().await;
    }
    if stays_open {
        std::future::pending::<()>().await;
    }
}

fn check_table(answer: &[u8], view: TableView) {
    match view {
        TableView::Current(table) => {
            assert!(has(answer, b"HTTP/1.") && has(answer, b"200"), "a table comes with a 200");
            assert!(answer.len() > 2 * table.sessions.len());
        }
        TableView::Not(missing) => check_message(&missing.why),
    }
}

fn check_reap(answer: &[u8], close: CloseAnswer) {
    match close {
        CloseAnswer::Reaped => assert!(has(answer, b"HTTP/1.") && has(answer, b"200")),
        CloseAnswer::Gone => assert!(has(answer, b"404")),
        CloseAnswer::Kept { reason } => {
            assert!(has(answer, b"409") || has(answer, b"412"));
            check_message(reason.as_str());
        }
        CloseAnswer::Failed { why } => check_message(&why),
        CloseAnswer::Unasked { why } => panic!("it was asked: {why}"),
    }
}

fn check_message(message: &str) {
    assert!(is_harmless(message) && message.len() <= 2048, "{message:?}");
    assert!(!message.contains(TOKEN), "the token is told: {message:?}");
}

fn has(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
