//! `demo`: the reaper at work beside the embedded gateway, telling what it sees and does.

use std::collections::HashMap;
use std::error::Error;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::environment;
use super::exit::{Exit, Failure};
use super::once::A_MOMENT;
use crate::config::{Config, parse};
use crate::demo::jupyter;
use crate::demo::story::{Narrator, Scene, Script, StoryError, Who, stage};
use crate::domain::ids::SessionId;
use crate::domain::policy::Mode;
use crate::domain::verdict::{Subject, Verdict};
use crate::report::{Line, Report, human};
use crate::sources::clock;
use crate::sweep::{Patience, Store, Sweep};

pub(super) async fn run() -> Result<Exit, Failure> {
    let exe =
        std::env::current_exe().map_err(|error| Failure::System("this program can't find itself", error))?;
    let state = Scratch::make().map_err(|error| Failure::System("no place for the demo's state", error))?;
    let narrator = Narrator::new(anstream::stdout());
    let reaper = async |scene: Scene| reap_beside(scene, &state.0).await;
    let ending = stage(&exe, &Script::default(), &narrator, reaper).await.map_err(Failure::demo)?;
    Ok(if ending.came_right() { Exit::Done } else { Exit::NotReaped })
}

/// The same story on a real server.
pub(super) async fn run_on_jupyter() -> Result<Exit, Failure> {
    let exe =
        std::env::current_exe().map_err(|error| Failure::System("this program can't find itself", error))?;
    let program = environment::program("jupyter").ok_or_else(|| Failure::demo(StoryError::NoJupyter))?;
    let scratch = Scratch::make().map_err(|error| Failure::System("no place for the demo's state", error))?;
    let narrator = Narrator::new(anstream::stdout());
    let mut reaper = None;
    let mut told = HashMap::new();
    let turn = async |stage: jupyter::Stage<'_>| {
        let (sweep, store) = match &mut reaper {
            Some(reaper) => reaper,
            None => {
                let config = configuration_beside(stage.runtime)?;
                let sweep = Sweep::new(&config, Patience::None)?;
                let store = Store::open(&scratch.0.join("state"), sweep.boot(), clock::awake_now())?;
                reaper.insert((sweep, store))
            }
        };
        let run = sweep.run(store, Mode::Enforce).await?;
        tell(&run.report, |id| stage.name_of(id), &narrator, &mut told);
        Ok(())
    };
    let came_right =
        jupyter::stage(&exe, &program, &scratch.0, &narrator, turn).await.map_err(Failure::demo)?;
    Ok(if came_right { Exit::Done } else { Exit::NotReaped })
}

/// The configuration that a person would write for the servers of a runtime folder.
fn configuration_beside(runtime: &Path) -> Result<Config, Box<dyn Error>> {
    let grace = humantime::format_duration(jupyter::GRACE);
    let text = format!(
        "[policy]\ngrace = \"{grace}\"\n[[gateway]]\nname = \"jupyter\"\nkind = \"jupyter\"\nruntime_dir = {}\n",
        serde_json::Value::from(runtime.to_string_lossy())
    );
    Ok(parse(&text, Path::new("the demo's configuration"))?)
}

/// The main job, as `watch` does it, until the curtain falls.
async fn reap_beside(scene: Scene, state: &Path) -> Result<(), Box<dyn Error>> {
    let config = configuration(&scene)?;
    let mut sweep = Sweep::new(&config, Patience::None)?;
    let mut store = Store::open(state, sweep.boot(), clock::awake_now())?;
    let mut told = HashMap::new();
    loop {
        let run = sweep.run(&mut store, Mode::Enforce).await?;
        tell(&run.report, |id| scene.name_of(id), &scene.narrator, &mut told);
        let pause = run.next_due.map_or(scene.interval, |due| scene.interval.min(due + A_MOMENT));
        tokio::select! {
            () = scene.curtain() => return Ok(()),
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// The configuration that a person would write for this gateway, read the way theirs is.
fn configuration(scene: &Scene) -> Result<Config, Box<dyn Error>> {
    let Scene { table_url, worker_match, policy, .. } = scene;
    let span = |span: Duration| humantime::format_duration(span).to_string();
    let text = format!(
        "[policy]\ngrace = \"{}\"\nclose_on_disconnect_grace = \"{}\"\nworker_grace = \"{}\"\nclose_timeout = \"{}\"\n\
         term_timeout = \"{}\"\n[[gateway]]\nname = \"demo\"\nkind = \"http\"\nurl = \"{table_url}\"\n[gateway.worker]\n\
         match = '{worker_match}'\n",
        span(policy.grace),
        span(policy.close_on_disconnect_grace),
        span(policy.worker_grace),
        span(policy.close_timeout),
        span(policy.term_timeout),
    );
    Ok(parse(&text, Path::new("the demo's configuration"))?)
}

/// Tells what changed since the last look.
fn tell(
    report: &Report,
    name_of: impl Fn(&SessionId) -> Option<&'static str>,
    narrator: &Narrator,
    told: &mut HashMap<String, String>,
) {
    for line in report.gateways.iter().flat_map(|gateway| &gateway.subjects) {
        let name = match &line.judged.subject {
            Subject::Session { id, .. } => name_of(id).map_or_else(|| format!("session {id}"), Into::into),
            Subject::Worker { .. } => format!("worker {}", line.judged.subject.id()),
        };
        let (gist, words) = words(line, &name);
        if told.insert(name, gist.clone()) != Some(gist) {
            narrator.say(Who::Reaper, &words);
        }
    }
}

/// What is news about a subject, and the words for it.
fn words(line: &Line, name: &str) -> (String, String) {
    match &line.judged.verdict {
        Verdict::Keep(keep) => (keep.reason().into(), format!("leaves {name} alone: {keep}")),
        Verdict::Wait { remaining, .. } => {
            ("waiting".into(), format!("sees {name} abandoned; waits {} more", human::span(*remaining)))
        }
        _ => ("ended".into(), format!("{name}: {}", human::in_words(line))),
    }
}

/// A folder for the demo's own state, taken away at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn make() -> std::io::Result<Self> {
        let name =
            format!("gateway-reaper-demo-{:x}-{:x}", std::process::id(), clock::awake_now().as_nanos());
        let dir = environment::temporary().join(name);
        DirBuilder::new().mode(0o700).create(&dir)?;
        Ok(Self(dir))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What can't be taken away is a few kilobytes in a temporary folder.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
