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
use crate::sources::clock;
use crate::sources::http::Exchange;

/// A server that wants no token takes a delete only with a cookie of its choice and the same in a header: that keeps web pages of others
/// out, and says nothing of who asks.
const XSRF: [(HeaderName, HeaderValue); 2] = [
    (COOKIE, HeaderValue::from_static("_xsrf=gateway-reaper")),
    (HeaderName::from_static("x-xsrftoken"), HeaderValue::from_static("gateway-reaper")),
];

/// A reaper that was stopped, or a machine that slept, holds an answer of long ago: one that is older than a second is asked for again, so
/// often. Then the close has failed (exit 1), and each further run tries it: the server refused nothing, so its word isn't "kept", which
/// would start the grace of twelve hours again for one slow moment and end in exit 0 at a server that is slow for ever.
const TRIES: u32 = 3;

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
        for _ in 0..TRIES {
            if let Some(answer) = self.close_if_orphan(&mut exchange, order).await? {
                return Ok(answer);
            }
        }
        Err(Trouble::Slow)
    }

    /// `None`: it is an orphan by an answer that is too old to close by; nothing was asked of the server.
    async fn close_if_orphan(
        &self,
        exchange: &mut Exchange<'_>,
        order: &CloseOrder,
    ) -> Result<Option<CloseAnswer>, Trouble> {
        let asked = clock::ticks_now();
        if let Some(hold) = self.client_now(order) {
            return Ok(Some(kept(hold)));
        }
        let kernel = format!("/api/kernels/{}", segment(&order.id));
        let answer = exchange.ask(Method::GET, &self.path(&kernel), &[], MAX_ANSWER_BYTES).await?;
        match answer.status {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(Some(CloseAnswer::Gone)),
            _ => return Err(Trouble::refused(&self.client, &answer)),
        }
        let row = rows::parse_one(&answer.body)?;
        if let Some(reason) = self.no_orphan(&row, order) {
            return Ok(Some(kept(reason)));
        }
        if clock::ticks_now().saturating_sub(asked) > rustix::param::clock_ticks_per_second() {
            return Ok(None);
        }
        let headers: &[_] = if self.client.token().is_none() { &XSRF } else { &[] };
        let answer = exchange.ask(Method::DELETE, &self.path(&kernel), headers, MAX_ANSWER_BYTES).await?;
        match answer.status {
            StatusCode::NO_CONTENT => Ok(Some(CloseAnswer::Reaped)),
            StatusCode::NOT_FOUND => Ok(Some(CloseAnswer::Gone)),
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
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;
    use crate::sources::gateway::jupyter::server::Server;
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

    /// Answers each request so late with a kernel that has so many connections; says which methods it was asked with.
    fn server(answers: Vec<(Duration, u32)>) -> (String, std::thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let serve = move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = Vec::new();
            for (late, connections) in answers {
                let mut request = [0; 4096];
                let read = stream.read(&mut request).unwrap();
                let request = String::from_utf8_lossy(&request[..read]).into_owned();
                let Some(method) = request.split_whitespace().next() else { break };
                asked.push(method.to_owned());
                std::thread::sleep(late);
                let body = if method == "DELETE" {
                    "HTTP/1.1 204 No Content\r\n\r\n".to_owned()
                } else {
                    let body = format!(
                        r#"{{"id":"k","name":"python3","execution_state":"idle","connections":{connections},"last_activity":"2026-11-01T10:00:00Z"}}"#
                    );
                    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
                };
                stream.write_all(body.as_bytes()).unwrap();
            }
            asked
        };
        (url, std::thread::spawn(serve))
    }

    async fn closed(answers: Vec<(Duration, u32)>) -> (CloseAnswer, Vec<String>) {
        let (url, served) = server(answers);
        let client = HttpClient::new(url.parse().unwrap(), Credential::of(None), Duration::from_secs(60));
        let mut gateway = JupyterGateway::new(client, 1000, Duration::ZERO);
        gateway.server = Some(Server { flavour: Flavour::KernelGateway, process: None });
        let activity = Some("2026-11-01T10:00:00Z".into());
        let order = CloseOrder { id: "k".into(), instance: None, activity };
        let answer = gateway.close(&order, Duration::from_secs(60)).await;
        (answer, served.join().unwrap())
    }

    /// As it is for a reaper that was stopped between the answer and the delete, while a client came back.
    #[tokio::test]
    async fn by_an_answer_of_long_ago_nothing_is_closed() {
        let (late, soon) = (Duration::from_millis(1_200), Duration::ZERO);
        let (answer, asked) = closed(vec![(late, 0), (soon, 1)]).await;
        assert_eq!((answer, asked.join(" ")), (kept("attached"), "GET GET".into()));
        let (answer, asked) = closed(vec![(late, 0); 3]).await;
        let CloseAnswer::Failed { why } = answer else { panic!("{answer:?}") };
        assert!(
            why.contains("took longer than a second") && asked.join(" ") == "GET GET GET",
            "{why} {asked:?}"
        );
    }
}
