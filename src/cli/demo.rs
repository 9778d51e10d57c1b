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
use crate::demo::story::{Narrator, Scene, Script, Who, stage};
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

/// The main job, as `watch` does it, until the curtain falls.
async fn reap_beside(scene: Scene, state: &Path) -> Result<(), Box<dyn Error>> {
    let config = configuration(&scene)?;
    let mut sweep = Sweep::new(&config, Patience::None)?;
    let mut store = Store::open(state, sweep.boot(), clock::awake_now())?;
    let mut told = HashMap::new();
    loop {
        let run = sweep.run(&mut store, Mode::Enforce).await?;
        tell(&run.report, &scene, &mut told);
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
fn tell(report: &Report, scene: &Scene, told: &mut HashMap<String, String>) {
    for line in report.gateways.iter().flat_map(|gateway| &gateway.subjects) {
        let name = match &line.judged.subject {
            Subject::Session { id, .. } => {
                scene.name_of(id).map_or_else(|| format!("session {id}"), Into::into)
            }
            Subject::Worker { .. } => format!("worker {}", line.judged.subject.id()),
        };
        let (gist, words) = words(line, &name);
        if told.insert(name, gist.clone()) != Some(gist) {
            scene.narrator.say(Who::Reaper, &words);
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
