//! A story that is cut short leaves nothing behind: told in a process of its own, because what cuts it short are signals.
#![expect(clippy::disallowed_methods, reason = "the story runs in a process that can be killed")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use gateway_reaper::demo::pinned::Pinned;
use gateway_reaper::demo::story::{Narrator, Script, stage};
use rustix::process::Signal;

use crate::support::{EXE, descendants, gone};

#[tokio::test]
#[ignore = "a part of the tests below, which run it in a process of its own"]
async fn a_story_by_itself() {
    let narrator = Narrator::new(std::io::stdout());
    let forever = async |_| std::future::pending().await;
    let told = stage(Path::new(EXE), &Script::default(), &narrator, forever).await;
    match told {
        Ok(ending) => println!("ended: {ending:?}"),
        Err(error) => println!("ended: {error}"),
    }
}

/// Starts the story, cuts it short with a signal when all are on stage, and returns what it still had to say.
async fn cut_short(by: Signal) -> Vec<String> {
    let mut story = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "alone::a_story_by_itself", "--nocapture"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(story.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("opens desk")), "the last one to come on");
    let itself = Pinned::new(story.id()).unwrap();
    let all = descendants(story.id());
    itself.signal(by).unwrap();
    let last = lines.collect();
    story.wait().unwrap();
    assert_eq!(all.len(), 12, "a gateway, 8 workers, 3 descendants of one");
    for process in &all {
        gone(process).await;
    }
    last
}

#[tokio::test]
async fn an_interrupted_story_cleans_up_and_says_so() {
    for signal in [Signal::INT, Signal::TERM] {
        let last = cut_short(signal).await;
        assert!(
            last.iter().any(|line| line == "ended: interrupted; nothing of the demo is left"),
            "{last:?}"
        );
    }
}

#[tokio::test]
async fn a_story_that_is_killed_leaves_nothing_either() {
    cut_short(Signal::KILL).await;
}
