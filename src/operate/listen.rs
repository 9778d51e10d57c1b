//! `[metrics] listen`: `/metrics` for Prometheus and `/healthz` for what monitors the reaper. Only in `watch`.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::sync::Semaphore;

use super::counters::Counters;
use super::last_run::LastRun;
use super::{metrics, when};
use crate::sources::clock;

/// A scrape takes milliseconds. Who takes longer is cut off.
const PATIENCE: Duration = Duration::from_secs(10);

/// More at once than any two Prometheus servers ask, and too few to use up the descriptors that reaping needs.
const MOST_AT_ONCE: usize = 8;

/// The address, and what is told there.
#[derive(Debug)]
pub struct Listener {
    address: SocketAddr,
    told: Arc<Told>,
}

#[derive(Debug)]
struct Told {
    last_run: Mutex<LastRun>,
    /// A run that is older than this is late.
    late: Duration,
}

impl Listener {
    /// Listens from now on. `counters`: what is told before the first run is over; without them every counter would seem to begin again.
    ///
    /// # Errors
    /// The address can't be listened at.
    pub fn start(address: SocketAddr, interval: Duration, counters: &Counters) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        // A run may take as long as a teardown of stubborn workers.
        let late = (interval * 3).max(Duration::from_secs(120));
        let last_run = LastRun { counters: counters.clone(), ..LastRun::none() };
        let told = Arc::new(Told { last_run: Mutex::new(last_run), late });
        tokio::spawn(serve(listener, Arc::clone(&told)));
        Ok(Self { address, told })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What is told from now on.
    pub fn publish(&self, last_run: &LastRun) {
        self.told.last_run.lock().unwrap_or_else(PoisonError::into_inner).clone_from(last_run);
    }
}

async fn serve(listener: tokio::net::TcpListener, told: Arc<Told>) {
    let free = Arc::new(Semaphore::new(MOST_AT_ONCE));
    loop {
        let Ok(permit) = Arc::clone(&free).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(%error, "a connection to [metrics] listen failed");
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
        };
        let told = Arc::clone(&told);
        tokio::spawn(async move {
            let answer = service_fn(|request| {
                let answer = told.answer(&request);
                async { Ok::<_, Infallible>(answer) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), answer);
            let _ = tokio::time::timeout(PATIENCE, connection).await;
            drop(permit);
        });
    }
}

impl Told {
    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let (status, text) = match (request.method(), request.uri().path()) {
            (&Method::GET | &Method::HEAD, "/metrics") => (StatusCode::OK, metrics::render(&self.last_run())),
            (&Method::GET | &Method::HEAD, "/healthz") => self.health(),
            (_, "/metrics" | "/healthz") => (StatusCode::METHOD_NOT_ALLOWED, "only GET\n".to_owned()),
            _ => (StatusCode::NOT_FOUND, "/metrics or /healthz\n".to_owned()),
        };
        let mut response = Response::new(Full::new(Bytes::from(text)));
        *response.status_mut() = status;
        let plain = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, plain);
        response
    }

    fn last_run(&self) -> LastRun {
        self.last_run.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Healthy: runs are made. What they found is for the metrics to say: restarting the reaper mends no gateway.
    fn health(&self) -> (StatusCode, String) {
        let run = self.last_run();
        let age = when::parse(&run.ended_at).and_then(|ended| clock::wall_now().duration_since(ended).ok());
        match age {
            Some(age) if age > self.late => {
                (StatusCode::SERVICE_UNAVAILABLE, format!("last run {} ago\n", when::coarse(age)))
            }
            _ => (StatusCode::OK, "ok\n".to_owned()),
        }
    }
}
