//! The session table of the contract over an HTTP client, for every kind whose gateway speaks it.
//!
//! The table decides what may be reaped, so nothing about reading it is forgiving. A conditional reap is never sent twice: the next run
//! asks again.

mod elsewhere;
pub(super) mod reap_answer;
pub(super) mod table_answer;

use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use crate::config::address::Address;
use crate::domain::ids::{Instance, SessionId};
use crate::domain::table::{CloseAnswer, TableView};
use crate::domain::warrant::CloseOrder;
use crate::sources::http::{Connection, HttpClient, HttpError, Peer, Response};

use self::elsewhere::Elsewhere;

/// What of an id stands in a path as it is. Not the dot: `.` and `..` mean something there.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'~');

/// Where a gateway publishes its table, and how it is asked for it.
#[derive(Debug)]
pub struct Contract {
    table: Address,
    max_table_bytes: usize,
    sends_activity: bool,
    elsewhere: Elsewhere,
}

impl Contract {
    /// The table at this address.
    pub fn new(table: Address, max_table_bytes: usize) -> Self {
        Self { table, max_table_bytes, sends_activity: false, elsewhere: Elsewhere::default() }
    }

    /// Tells the gateway which `activity` was judged, which the contract doesn't ask for.
    pub fn with_activity(self) -> Self {
        Self { sends_activity: true, ..self }
    }

    /// Reads the session table.
    pub async fn read_table(&self, client: &mut HttpClient) -> TableView {
        let answer = self.ask_for_table(client).await;
        self.judge_table(client, answer)
    }

    /// The first half of a read: the answer as it came.
    ///
    /// # Errors
    /// None came, or half of one, or too much.
    pub async fn ask_for_table(&self, client: &mut HttpClient) -> Result<Response, HttpError> {
        client.get(self.table.path(), self.max_table_bytes).await
    }

    /// The second half: what it means.
    pub fn judge_table(&self, client: &HttpClient, answer: Result<Response, HttpError>) -> TableView {
        let peer = answer.as_ref().map_or(Peer::Unknown, |response| response.peer);
        match table_answer::judge(client, &self.table, answer, self.max_table_bytes) {
            TableView::Current(table) => TableView::Current(self.elsewhere.translate(table, peer)),
            missing => missing,
        }
    }

    /// Asks the gateway to close the session if it is still an orphan. The exchange takes no longer than `within`.
    pub fn reap(
        &self,
        client: &HttpClient,
        order: &CloseOrder,
        within: Duration,
    ) -> LocalBoxFuture<'static, CloseAnswer> {
        let (contract, client, order) = (self.for_close(), client.for_close(), order.clone());
        async move { contract.reap_over(&client, None, &order, within).await }.boxed_local()
    }

    /// What a close needs.
    fn for_close(&self) -> Self {
        Self { table: self.table.clone(), elsewhere: Elsewhere::default(), ..*self }
    }

    /// The same over a connection that is there already.
    pub async fn reap_over(
        &self,
        client: &HttpClient,
        over: Option<Connection>,
        order: &CloseOrder,
        within: Duration,
    ) -> CloseAnswer {
        let path = self.reap_path(&order.id);
        let body = self.reap_request(order);
        let response = client.post(over, &path, body, reap_answer::MAX_BYTES, within).await;
        reap_answer::judge(client, &self.table, response)
    }

    fn reap_path(&self, id: &SessionId) -> String {
        let table = self.table.path().trim_end_matches('/');
        format!("{table}/{}/reap", utf8_percent_encode(id.as_str(), SEGMENT))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn reap_path(url: &str, id: &str) -> String {
        Contract::new(url.parse().unwrap(), 1).reap_path(&id.into())
    }

    #[test]
    fn an_id_is_one_segment_of_the_path_whatever_is_in_it() {
        for (id, segment) in [
            ("441fb3fb", "441fb3fb"),
            ("a-b_c~d", "a-b_c~d"),
            ("..", "%2E%2E"),
            ("../../etc", "%2E%2E%2F%2E%2E%2Fetc"),
            ("a?b#c%d", "a%3Fb%23c%25d"),
            ("a b\r\nX: y", "a%20b%0D%0AX%3A%20y"),
            ("ü", "%C3%BC"),
        ] {
            let path = reap_path("http://127.0.0.1:9119/api/sessions", id);
            assert_eq!(path, format!("/api/sessions/{segment}/reap"));
        }
    }

    #[test]
    fn a_trailing_slash_stays_out_of_the_reap_path() {
        assert_eq!(reap_path("http://h/t/", "i"), "/t/i/reap");
        assert_eq!(reap_path("http://h", "i"), "/i/reap");
        assert_eq!(reap_path("unix:///run/gw.sock:/t", "i"), "/t/i/reap");
    }
}
