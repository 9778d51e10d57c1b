//! Stories of single incidents, as text with what comes of them: `tests/scenarios/*.txt`. What stands below `---` is what the tool did,
//! to the letter; `UPDATE_SCENARIOS=1` writes it again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that can't go on fails")]

#[path = "scenarios/parse.rs"]
mod parse;
#[path = "simulation/mod.rs"]
#[allow(dead_code, reason = "the simulation's own test uses the rest")]
mod simulation;

use std::fmt::Write;
use std::path::Path;

use simulation::procs::Kind;
use simulation::session::Life;
use simulation::sim::{Plan, Sim};

fn tell(text: &str) -> Result<String, String> {
    let parse::Story { setup, mut events, until } = parse::story(text)?;
    events.sort_by_key(|(at, _)| *at);
    let sim = Sim::new(&Plan { seed: 1, setup, events }, true);
    Ok(live(sim, until))
}

fn live(mut sim: Sim, until: u64) -> String {
    sim.run_until(until);
    let mut world = sim.world.borrow_mut();
    let mut told = world.story.take().unwrap_or_default().join("\n");
    let sessions = world.sessions.iter().filter(|session| session.life == Life::Live);
    let sessions: Vec<&str> = sessions.map(|session| session.id.as_str()).collect();
    let procs =
        world.procs.iter().filter(|proc| matches!(proc.kind, Kind::Worker | Kind::Child) && !proc.zombie);
    let procs: Vec<String> = procs.map(|proc| format!("{:?} {}", proc.kind, proc.pid)).collect();
    let list = |of: &[String]| if of.is_empty() { "none".to_owned() } else { of.join(", ") };
    let sessions: Vec<String> = sessions.into_iter().map(Into::into).collect();
    write!(told, "\nsessions left: {}\nworkers left: {}\n", list(&sessions), list(&procs)).unwrap();
    assert!(world.breach.is_none(), "{told}");
    told
}

#[test]
fn every_story_ends_as_it_is_written() {
    #[expect(
        clippy::disallowed_methods,
        reason = "the edge of a test: whether to write the stories' ends again"
    )]
    let updates = std::env::var_os("UPDATE_SCENARIOS").is_some();
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut paths: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    paths.sort();
    assert!(paths.len() >= 20, "only {} stories", paths.len());
    let mut wrong = String::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        let (story, golden) = text.split_once("---\n").unwrap_or((&text, ""));
        let name = path.file_name().unwrap().to_string_lossy();
        let told = tell(story).unwrap_or_else(|error| panic!("{name}: {error}"));
        if told == golden {
            continue;
        }
        if updates {
            std::fs::write(&path, format!("{story}---\n{told}")).unwrap();
        } else {
            writeln!(wrong, "{name} ends otherwise:\n{told}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
