//! The story of the `demo` command on a real Jupyter Server that is on this machine: tabs are closed, kernels stay, and the reaper beside
//! the server closes those that were left. The server is one of the demo's own, with a configuration and a runtime folder of its own;
//! nothing of it is left at the end.

mod kernel;
mod server;

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep};

use self::kernel::{Act, Kernel, TABS};
use self::server::Server;
use super::story::{Narrator, StoryError, Tally, Who};
use crate::domain::ids::SessionId;

/// How long a kernel has to be abandoned. `busy_cpu` counts only between looks that are not too close together, so it isn't shorter.
pub const GRACE: Duration = Duration::from_secs(3);
/// How much longer than its grace a kernel that is due may take.
const SLACK: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What the reaper's turn is told.
#[derive(Debug)]
pub struct Stage<'a> {
    /// Where the server's own file is.
    pub runtime: &'a Path,
    names: &'a [(SessionId, &'static str)],
}

impl Stage<'_> {
    /// What the story calls a kernel.
    pub fn name_of(&self, session: &SessionId) -> Option<&'static str> {
        self.names.iter().find(|(id, _)| id == session).map(|(_, name)| *name)
    }
}

/// Tells the story, with a turn of the reaper's every half second, and cleans up, also when SIGINT or SIGTERM comes. Returns whether it
/// came right. `exe`: this program. `jupyter`: Jupyter's. `folder`: an empty one.
///
/// # Errors
/// The story couldn't be told to its end.
pub async fn stage<R>(
    exe: &Path,
    jupyter: &Path,
    folder: &Path,
    narrator: &Narrator,
    reaper: R,
) -> Result<bool, StoryError>
where
    R: AsyncFnMut(Stage<'_>) -> Result<(), Box<dyn Error>>,
{
    let mut interrupt = signal(SignalKind::interrupt()).map_err(StoryError::Signals)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(StoryError::Signals)?;
    narrator.line("  A Jupyter Server keeps the kernel of every tab, also of those that were closed: its variables stay in memory.");
    narrator.line(&format!(
        "  A reaper beside it closes what has no client and has been idle for {}, and nothing else.\n",
        humantime::format_duration(GRACE)
    ));
    let mut server = Server::start(exe, jupyter, folder)?;
    let mut kernels = Vec::new();
    let played = tokio::select! {
        played = play(&mut server, &mut kernels, narrator, reaper) => played,
        _ = interrupt.recv() => Err(StoryError::Interrupted),
        _ = terminate.recv() => Err(StoryError::Interrupted),
    };
    let left_over = server.strike(kernels).await;
    if !left_over.is_empty() {
        return Err(StoryError::LeftOver(left_over));
    }
    played
}

async fn play<R>(
    server: &mut Server,
    kernels: &mut Vec<Kernel>,
    narrator: &Narrator,
    mut reaper: R,
) -> Result<bool, StoryError>
where
    R: AsyncFnMut(Stage<'_>) -> Result<(), Box<dyn Error>>,
{
    server.answers().await?;
    narrator.say(
        Who::Gateway,
        &format!("Jupyter Server, process {}, serves kernels on {}", server.pid(), server.address()),
    );
    for tab in TABS {
        let kernel = Kernel::open(server, tab).await?;
        let (name, special) = (tab.name, tab.special);
        narrator.say(Who::Client, &format!("opens {name}: kernel process {}{special}", kernel.pid()));
        kernels.push(kernel);
    }
    let names: Vec<_> = kernels.iter().map(|kernel| (kernel.id.clone(), kernel.tab.name)).collect();
    let before: Vec<Tally> = kernels.iter().map(Kernel::tally).collect();
    let left_at = Instant::now();
    let leaving: Vec<&mut Kernel> =
        kernels.iter_mut().filter(|kernel| kernel.tab.act != Act::Stays).collect();
    let left: Vec<&str> = leaving.iter().map(|kernel| kernel.tab.name).collect();
    narrator.say(Who::Client, &format!("tabs are closed: {}", left.join(", ")));
    narrator
        .say(Who::Gateway, &format!("keeps all {} kernels: their tabs might be opened again", left.len()));
    leaving.into_iter().for_each(Kernel::leave);
    let mut is_back = false;
    loop {
        reaper(Stage { runtime: server.runtime(), names: &names }).await.map_err(StoryError::Reaper)?;
        if !is_back && left_at.elapsed() > GRACE / 3 {
            is_back = true;
            for kernel in kernels.iter_mut().filter(|kernel| kernel.tab.act == Act::ComesBack) {
                kernel.connect(server).await?;
                narrator
                    .say(Who::Client, &format!("opens {} again, and finds its variables", kernel.tab.name));
            }
        }
        let is_done = kernels.iter().all(|kernel| kernel.tab.stays().is_some() || kernel.is_gone());
        let waited = left_at.elapsed();
        // What is to be spared has to survive longer than the grace to prove anything.
        if waited > GRACE + SLACK || is_done && waited > GRACE * 2 {
            break;
        }
        sleep(LOOK_EVERY).await;
    }
    ended(server, kernels, &before, narrator).await
}

/// Looks at every kernel, without asking the reaper.
async fn ended(
    server: &mut Server,
    kernels: &[Kernel],
    before: &[Tally],
    narrator: &Narrator,
) -> Result<bool, StoryError> {
    let (mut reclaimed, mut spared, mut wrong) = (Tally::default(), Tally::default(), 0);
    for (kernel, tally) in kernels.iter().zip(before) {
        let (name, is_listed) = (kernel.tab.name, server.lists(&kernel.id).await?);
        let met = match kernel.tab.stays() {
            None if kernel.is_gone() && !is_listed => {
                narrator.say(Who::Check, &format!("{name} is gone for good"));
                &mut reclaimed
            }
            Some(because) if kernel.is_unharmed() && is_listed => {
                narrator.say(Who::Check, &format!("{name} is still there: {because}"));
                &mut spared
            }
            _ => {
                narrator.say(Who::Check, &format!("WRONG: {name} should have come to another end"));
                wrong += 1;
                continue;
            }
        };
        met.add(*tally);
    }
    narrator.line(&format!("\n  reclaimed  {reclaimed}\n  spared     {spared}"));
    if wrong == 0 {
        narrator.line("  All as it should be, and nothing of this demo is left on the machine.");
    }
    Ok(wrong == 0)
}
