//! A worker of the demo gateway, and the children of one: a real process that does nothing, in one of the ways of [`Flavour`].
//!
//! [`Flavour`]: super::flavour::Flavour

mod args;
mod lifeline;
mod spawn;

use std::hint::black_box;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, Stdio};
use std::thread;

use rustix::process::Signal;
use thiserror::Error;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal as SignalStream, SignalKind, signal};

pub use args::{Args, Whose};
pub(in crate::demo) use spawn::spawn_worker;
pub use spawn::{SUBCOMMAND, worker_match};

use super::flavour::{Flavour, Leads, Offspring, OnSigterm};
use super::protocol::{AtEndOfInput, WorkerReady};

/// A worker that couldn't become what it was to be.
#[derive(Debug, Error)]
#[error("demo worker: {doing} failed")]
pub struct WorkerError {
    doing: &'static str,
    source: io::Error,
}

fn doing(what: &'static str) -> impl Fn(io::Error) -> WorkerError {
    move |source| WorkerError { doing: what, source }
}

/// Runs a worker until something ends it.
///
/// # Errors
/// It couldn't be set up. A worker that is ready never returns an error.
pub fn run(args: &Args) -> Result<(), WorkerError> {
    if args.leads == Leads::Session {
        rustix::process::setsid().map_err(|errno| doing("leaving the session")(errno.into()))?;
    }
    if let Some(descriptor) = args.lifeline {
        lifeline::watch(descriptor).map_err(doing("watching the lifeline"))?;
    }
    lifeline::limit(args.max_lifetime).map_err(doing("starting a thread"))?;
    if args.flavour == Flavour::Stopped {
        // What is stopped can't leave by itself: when its gateway dies, it runs again, and sees that its input has ended.
        rustix::process::set_parent_process_death_signal(Some(Signal::CONT))
            .map_err(|errno| doing("asking for a signal at the parent's death")(errno.into()))?;
    }
    let _held = black_box(vec![1_u8; args.memory_mb << 20]);
    let handler = match args.flavour.on_sigterm() {
        OnSigterm::Dies => None,
        OnSigterm::Ignores | OnSigterm::ForksThenDies => Some(handle_sigterm()?),
    };
    let family = start_offspring(args).map_err(doing("starting a child"))?;
    say_ready(&WorkerReady { pid: std::process::id(), family }).map_err(doing("saying that it is ready"))?;
    if args.flavour == Flavour::Intermediate {
        return Ok(());
    }
    live(args, handler)
}

fn handle_sigterm() -> Result<(Runtime, SignalStream), WorkerError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(doing("starting a runtime"))?;
    let signals = {
        let _context = runtime.enter();
        signal(SignalKind::terminate()).map_err(doing("handling SIGTERM"))?
    };
    Ok((runtime, signals))
}

/// Starts the children that the flavour asks for, and waits for each to be ready. Returns all descendants that remain.
fn start_offspring(args: &Args) -> io::Result<Vec<u32>> {
    let mut family = Vec::new();
    for offspring in args.flavour.offspring() {
        let (mut child, ready) = start_child(args, offspring)?;
        if offspring.flavour == Flavour::Intermediate {
            child.wait()?;
        } else {
            family.push(ready.pid);
        }
        family.extend(ready.family);
    }
    Ok(family)
}

fn start_child(parent: &Args, offspring: Offspring) -> io::Result<(Child, WorkerReady)> {
    let args = Args {
        whose: parent.whose.descendant(),
        flavour: offspring.flavour,
        leads: offspring.leads,
        memory_mb: 0,
        // They have no input of their own; nothing but a signal or the lifeline ends them, and that is the leak.
        at_end_of_input: AtEndOfInput::LiveOn,
        lifeline: parent.lifeline,
        max_lifetime: parent.max_lifetime,
    };
    let mut child = spawn_worker(&args, Stdio::null(), None)?;
    let stdout = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    let ready = serde_json::from_str(&line)?;
    Ok((child, ready))
}

fn say_ready(ready: &WorkerReady) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{}", serde_json::to_string(ready)?)?;
    stdout.flush()
}

fn live(args: &Args, handler: Option<(Runtime, SignalStream)>) -> Result<(), WorkerError> {
    if args.at_end_of_input == AtEndOfInput::Exit {
        thread::Builder::new()
            .name("input".into())
            .spawn(|| {
                lifeline::read_to_its_end(io::stdin().lock());
                std::process::exit(0);
            })
            .map_err(doing("starting a thread"))?;
    }
    let Some((runtime, mut signals)) = handler else {
        loop {
            thread::park();
        }
    };
    runtime.block_on(async {
        while signals.recv().await.is_some() {
            if args.flavour.on_sigterm() == OnSigterm::ForksThenDies {
                let heir = Offspring { flavour: Flavour::Plain, leads: Leads::Nothing };
                return start_child(args, heir).map(drop).map_err(doing("forking while dying"));
            }
        }
        Ok(())
    })
}
