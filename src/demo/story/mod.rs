//! The story that the `demo` command tells: clients come and go, a gateway leaks, a reaper beside it takes what is abandoned and leaves
//! alone what isn't. Everything in it is real: processes, sockets, signals; and nothing of it is left at the end, however it ends.

mod cast;
mod ending;
mod error;
mod narrator;
mod role;
mod script;
mod timeline;

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::timeout;

pub use ending::{Ending, Tally};
pub use error::StoryError;
pub use narrator::{Narrator, Who};
pub use script::{Scene, Script};

use super::launch::worker_match;
use cast::Cast;
use timeline::act;

/// Tells the whole story, with `reaper` at work in it, and cleans up, also when SIGINT or SIGTERM comes. Wants a runtime with I/O and time.
///
/// # Errors
/// The story couldn't be told to its end. One that was told and ended badly is an [`Ending`] that did not come right.
pub async fn stage<R>(
    exe: &Path,
    script: &Script,
    narrator: &Narrator,
    reaper: R,
) -> Result<Ending, StoryError>
where
    R: AsyncFnOnce(Scene) -> Result<(), Box<dyn Error>>,
{
    let mut interrupt = signal(SignalKind::interrupt()).map_err(StoryError::Signals)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(StoryError::Signals)?;
    introduce(script, narrator);
    let mut cast = Cast::assemble(exe)?;
    let (pid, address) = (cast.gateway.pid(), cast.gateway.address());
    narrator.say(Who::Gateway, &format!("process {pid} serves sessions on {address}"));
    let played = tokio::select! {
        played = play(exe, &mut cast, script, narrator, reaper) => played,
        _ = interrupt.recv() => Err(StoryError::Interrupted),
        _ = terminate.recv() => Err(StoryError::Interrupted),
    };
    let left_over = cast.strike().await;
    if !left_over.is_empty() {
        return Err(StoryError::LeftOver(left_over));
    }
    let ending = played?;
    ending.tell(narrator);
    Ok(ending)
}

/// The introduction: what a leak is.
fn introduce(script: &Script, narrator: &Narrator) {
    let grace = humantime::format_duration(script.policy.grace);
    narrator.line("  A gateway keeps a session and a worker process for every client. When a client is lost, it keeps both,");
    narrator.line("  because the client might come back. Many never do, and that is the leak. A reaper beside the gateway");
    narrator.line(&format!("  ends what has been abandoned, and idle, for {grace}, and nothing else."));
    narrator.line("");
}

/// The timeline beside the reaper.
async fn play<R>(
    exe: &Path,
    cast: &mut Cast,
    script: &Script,
    narrator: &Narrator,
    reaper: R,
) -> Result<Ending, StoryError>
where
    R: AsyncFnOnce(Scene) -> Result<(), Box<dyn Error>>,
{
    let (name, names) = watch::channel(Vec::new());
    let (lower, curtain) = watch::channel(false);
    let scene = Scene {
        table_url: cast.gateway.table_url(),
        worker_match: worker_match(exe),
        gateway_pid: cast.gateway.pid(),
        policy: script.policy.clone(),
        interval: script.interval,
        narrator: narrator.clone(),
        names,
        curtain,
    };
    let before = beside(reaper(scene), act(cast, script, narrator, &name), &lower, script.slack).await?;
    Ok(ending::look(cast, &before, narrator).await)
}

/// Runs the reaper and the clients beside each other, until the clients are done and the reaper has left.
async fn beside<T>(
    reaping: impl Future<Output = Result<(), Box<dyn Error>>>,
    acting: impl Future<Output = Result<T, StoryError>>,
    lower: &watch::Sender<bool>,
    slack: Duration,
) -> Result<T, StoryError> {
    tokio::pin!(reaping, acting);
    tokio::select! {
        acted = &mut acting => {
            let acted = acted?;
            lower.send_replace(true);
            // It may have something in hand; what it makes of it, the last look will see.
            if let Ok(left) = timeout(slack, reaping).await {
                left.map_err(StoryError::Reaper)?;
            }
            Ok(acted)
        }
        left = &mut reaping => {
            left.map_err(StoryError::Reaper)?;
            acting.await
        }
    }
}
