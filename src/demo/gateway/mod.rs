//! A small gateway: clients connect over WebSocket, sessions own worker processes, and the session table is published over HTTP.
//!
//! It leaks, on purpose and in the usual way: when a client goes away its sessions are detached, and neither they nor their workers are
//! ever ended by the gateway itself. It answers the conditional reap as the contract says, on one thread and without a pause between
//! looking and acting.

#[cfg(debug_assertions)]
mod admin;
mod auth;
mod build;
#[cfg(debug_assertions)]
mod faults;
mod http;
mod options;
mod session;
mod socket;
mod workers;
mod world;

use std::cell::RefCell;
use std::future::pending;
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::rc::Rc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::LocalSet;

use auth::Token;
pub use options::{AtEnd, Exited, Lifeline, Options};
use world::{Shared, World};

use super::protocol::GatewayReady;

/// The hidden subcommand that runs a gateway.
pub const SUBCOMMAND: &str = "demo-gateway";

/// A gateway that couldn't go on.
#[derive(Debug, Error)]
pub enum GatewayError {
    /// The system refused something.
    #[error("demo gateway: {doing} failed")]
    System {
        /// What was tried.
        doing: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// `--token-env` names a variable that isn't set.
    #[error("demo gateway: environment variable {name} is to hold the bearer token and is not set")]
    NoToken {
        /// The variable.
        name: String,
    },
}

fn doing(what: &'static str) -> impl Fn(io::Error) -> GatewayError {
    move |source| GatewayError::System { doing: what, source }
}

/// Runs a gateway until SIGTERM comes or its lifeline ends. Wants a current-thread runtime, with I/O and time.
///
/// # Errors
/// It couldn't be set up.
pub async fn run(options: Options) -> Result<(), GatewayError> {
    LocalSet::new().run_until(serve(options)).await
}

async fn serve(options: Options) -> Result<(), GatewayError> {
    let token = Token::from_environment(options.token_env.as_deref())
        .ok_or_else(|| GatewayError::NoToken { name: options.token_env.clone().unwrap_or_default() })?;
    let mut terminated = signal(SignalKind::terminate()).map_err(doing("handling SIGTERM"))?;
    let mut child_exited = signal(SignalKind::child()).map_err(doing("handling SIGCHLD"))?;
    let mut lifeline = watch_lifeline(options.lifeline).map_err(doing("watching stdin"))?;
    let at_end = options.at_end;
    let world = Rc::new(RefCell::new(World::new(options).map_err(doing("inheriting stdin"))?));
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(doing("listening on the loopback"))?;
    say_ready(&world, &listener).map_err(doing("saying that it is ready"))?;
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    tokio::task::spawn_local(converse(Rc::clone(&world), token.clone(), stream));
                }
            }
            _ = child_exited.recv() => world.borrow_mut().collect(),
            _ = terminated.recv() => break,
            () = ended(&mut lifeline) => break,
        }
    }
    if at_end == AtEnd::TakeWorkers {
        world.borrow_mut().workers.kill_all();
    }
    Ok(())
}

/// What completes when the other end of stdin closes.
fn watch_lifeline(lifeline: Lifeline) -> io::Result<Option<oneshot::Receiver<()>>> {
    if lifeline == Lifeline::None {
        return Ok(None);
    }
    let (held, ended) = oneshot::channel();
    std::thread::Builder::new().name("lifeline".into()).spawn(move || {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        drop(held);
    })?;
    Ok(Some(ended))
}

/// Completes when the lifeline ends.
async fn ended(lifeline: &mut Option<oneshot::Receiver<()>>) {
    match lifeline {
        // An error means the end: the sender was dropped.
        Some(lifeline) => drop(lifeline.await),
        None => pending().await,
    }
}

fn say_ready(world: &Shared, listener: &TcpListener) -> io::Result<()> {
    let ready = GatewayReady {
        address: listener.local_addr()?,
        pid: std::process::id(),
        instance: world.borrow().instance.clone(),
    };
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{}", serde_json::to_string(&ready)?)?;
    stdout.flush()
}

async fn converse(world: Shared, token: Token, stream: TcpStream) {
    let service = service_fn(|request| http::answer(Rc::clone(&world), token.clone(), request));
    // An error here is a client that went away in the middle, or a fault of a test; there is no client to answer.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades().await;
}
