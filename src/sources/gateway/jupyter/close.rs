//! Closing a kernel: a server takes no condition with a delete, so what it rests on is asked on the same connection right before. What is
//! left is the time from the last answer to the delete, and the 8 to 12 ms in which a client that connects isn't counted yet: a client that
//! comes back within these 15 ms, after a whole grace, loses its kernel.

use std::time::Duration;

use hyper::header::{COOKIE, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};

use super::rows::{self, Row};
use super::server::Flavour;
use super::trouble::Trouble;
use super::{JupyterGateway, MAX_ANSWER_BYTES, answers, segment};
use crate::domain::table::{CloseAnswer, Refusal, Told, Transport, Turn};
use crate::domain::warrant::CloseOrder;
use crate::sources::http::Exchange;

/// A server that wants no token takes a delete only with a cookie of its choice and the same in a header: that keeps web pages of others
/// out, and says nothing of who asks.
const XSRF: [(HeaderName, HeaderValue); 2] = [
    (COOKIE, HeaderValue::from_static("_xsrf=gateway-reaper")),
    (HeaderName::from_static("x-xsrftoken"), HeaderValue::from_static("gateway-reaper")),
];

impl JupyterGateway {
    pub(super) async fn close(&self, order: &CloseOrder, within: Duration) -> CloseAnswer {
        match self.close_in(order, within).await {
            Ok(answer) => answer,
            Err(Trouble::Http(error)) => CloseAnswer::Failed { why: error.in_full().into() },
            Err(trouble) => {
                let why = format!("{}: {trouble}", self.at);
                CloseAnswer::Failed { why: self.client.redact(&why).into_owned().into() }
            }
        }
    }

    async fn close_in(&self, order: &CloseOrder, within: Duration) -> Result<CloseAnswer, Trouble> {
        let mut exchange = Exchange::begin(&self.client, within).await?;
        if self.is_other_run(&mut exchange, order).await? {
            return Ok(CloseAnswer::Kept { reason: Refusal::OtherRun });
        }
        if let Some(hold) = self.client_now(order) {
            return Ok(kept(hold));
        }
        let kernel = format!("/api/kernels/{}", segment(&order.id));
        let answer = exchange.ask(Method::GET, &self.path(&kernel), &[], MAX_ANSWER_BYTES).await?;
        match answer.status {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(CloseAnswer::Gone),
            _ => return Err(Trouble::refused(&self.client, &answer)),
        }
        let row = rows::parse_one(&answer.body)?;
        if let Some(reason) = self.no_orphan(&row, order) {
            return Ok(kept(reason));
        }
        let headers: &[_] = if self.client.token().is_none() { &XSRF } else { &[] };
        let answer = exchange.ask(Method::DELETE, &self.path(&kernel), headers, MAX_ANSWER_BYTES).await?;
        match answer.status {
            StatusCode::NO_CONTENT => Ok(CloseAnswer::Reaped),
            StatusCode::NOT_FOUND => Ok(CloseAnswer::Gone),
            _ => Err(Trouble::refused(&self.client, &answer)),
        }
    }

    /// Whether another run of the server answers than the one that was judged.
    async fn is_other_run(&self, exchange: &mut Exchange<'_>, order: &CloseOrder) -> Result<bool, Trouble> {
        let Some(server) = &self.server else { return Ok(true) };
        if server.process.is_some() && !self.kernels.borrow_mut().is_there(server) {
            return Ok(true);
        }
        if server.flavour == Flavour::KernelGateway {
            return Ok(false);
        }
        let status = exchange.ask(Method::GET, &self.path("/api/status"), &[], MAX_ANSWER_BYTES).await?;
        if status.status != StatusCode::OK {
            return Err(Trouble::refused(&self.client, &status));
        }
        let started = answers::started(&status.body);
        Ok(started.as_deref() != order.instance.as_ref().map(|instance| instance.as_str()))
    }

    fn client_now(&self, order: &CloseOrder) -> Option<&'static str> {
        let mut kernels = self.kernels.borrow_mut();
        let kernel = kernels.get(&order.id)?.clone();
        let server = self.server.as_ref().and_then(|server| server.process);
        self.clients.borrow_mut().holds_now(&kernel, server, &mut kernels)
    }

    /// Why it isn't an orphan any more.
    fn no_orphan(&self, row: &Row, order: &CloseOrder) -> Option<&'static str> {
        let kernels = self.kernels.borrow();
        if row.id != order.id {
            return Some("another id");
        }
        match row.transport {
            Told::Known(Transport::Detached) => {}
            Told::Known(Transport::Attached) => return Some("attached"),
            Told::Absent | Told::NotUnderstood(_) => return Some("connections not understood"),
        }
        match row.turn(kernels.get(&row.id), self.start_timeout) {
            Told::Known(Turn::Idle) => {}
            Told::Known(Turn::Running | Turn::Waiting) => return Some("running"),
            Told::Known(Turn::Starting) => return Some("starting"),
            Told::Absent | Told::NotUnderstood(_) => return Some("execution_state not understood"),
        }
        (row.activity != order.activity).then_some("activity")
    }
}

fn kept(reason: &str) -> CloseAnswer {
    CloseAnswer::Kept { reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::sources::http::{Credential, HttpClient};

    /// The word alone would restart the grace of one session, and the others would be closed by what was seen of the earlier run.
    #[tokio::test]
    async fn that_another_run_answers_is_said_as_such() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let client = HttpClient::new(url.parse().unwrap(), Credential::of(None), Duration::from_secs(60));
        // It has met no server.
        let gateway = JupyterGateway::new(client, 1000, Duration::ZERO);
        let order = CloseOrder { id: "k".into(), instance: None, activity: None };
        let answer = gateway.close(&order, Duration::from_secs(60)).await;
        assert_eq!(answer, CloseAnswer::Kept { reason: Refusal::OtherRun });
    }
}
