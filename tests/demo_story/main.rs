//! The story of the `demo` command comes right with a reaper that does its job, says so when it doesn't, and leaves nothing behind.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on has failed")]

mod alone;
mod stub;
#[path = "../support/gateway.rs"]
mod support;

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gateway_reaper::demo::story::{Narrator, Scene, Script, StoryError, stage};
use gateway_reaper::domain::policy::Policy;

use support::EXE;

/// The demo's script, only faster.
fn fast() -> Script {
    let script = Script::default();
    Script {
        policy: Policy {
            grace: Duration::from_millis(1200),
            close_timeout: Duration::from_millis(200),
            term_timeout: Duration::from_millis(200),
            ..script.policy
        },
        interval: Duration::from_millis(50),
        prelude: Duration::from_millis(100),
        slack: Duration::from_millis(1500),
    }
}

/// What a narrator told.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<u8>>>);

impl io::Write for Told {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(text)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Told {
    fn text(&self) -> String {
        anstream::adapter::strip_str(&String::from_utf8(self.0.lock().unwrap().clone()).unwrap()).to_string()
    }
}

#[tokio::test]
async fn with_a_reaper_that_does_its_job_the_story_comes_right() {
    let told = Told::default();
    let ending = stage(Path::new(EXE), &fast(), &Narrator::new(told.clone()), stub::careful).await.unwrap();
    let text = told.text();
    assert!(ending.came_right(), "{text}");
    assert_eq!((ending.leaked.sessions, ending.leaked.processes), (5, 8));
    assert!(ending.leaked.rss_bytes > 40 << 20);
    assert_eq!(ending.reclaimed, ending.leaked);
    assert_eq!((ending.spared.sessions, ending.spared.processes), (3, 3));
    for line in [
        "client   opens build: worker ",
        "client   connections are lost: notes, photos, build, legacy, popup, report, train\n",
        "client   train is back, and finds its session as it was\n",
        "reaper   popup is gone\n",
        "check    legacy is gone for good\n",
        "check    report is still there: it is in the middle of its turn\n",
        "\n  spared     3 sessions, 3 processes, ",
    ] {
        assert!(text.contains(line), "{line:?} is missing in\n{text}");
    }
}

#[tokio::test]
async fn without_a_reaper_everything_that_leaked_is_named_and_ended() {
    let told = Told::default();
    let idle = async |scene: Scene| {
        scene.curtain().await;
        Ok(())
    };
    let script = Script { slack: Duration::from_millis(100), ..fast() };
    let ending = stage(Path::new(EXE), &script, &Narrator::new(told.clone()), idle).await.unwrap();
    assert_eq!(ending.reclaimed.sessions, 0);
    assert_eq!(ending.spared.sessions, 3);
    assert_eq!(ending.wrong.len(), 5);
    assert_eq!(
        ending.wrong[2],
        "build should be gone for good; now 4 of 4 processes run, its session is there"
    );
    assert!(told.text().contains("WRONG      build should be gone for good"), "{}", told.text());
}

#[tokio::test]
async fn a_reaper_that_takes_live_work_is_found_out() {
    let told = Told::default();
    let ending = stage(Path::new(EXE), &fast(), &Narrator::new(told.clone()), stub::ruthless).await.unwrap();
    assert_eq!(ending.reclaimed, ending.leaked);
    assert_eq!(ending.spared.sessions, 2, "{}", told.text());
    assert_eq!(
        ending.wrong,
        [
            "report should be still there: it is in the middle of its turn; now 0 of 1 processes run, its session is there"
        ]
    );
}

#[tokio::test]
async fn a_reaper_that_gives_up_ends_the_story() {
    let giving_up = async |_| Err("no ledger".into());
    let error = stage(Path::new(EXE), &fast(), &Narrator::new(io::sink()), giving_up).await.unwrap_err();
    let StoryError::Reaper(why) = error else { unreachable!("{error}") };
    assert_eq!(why.to_string(), "no ledger");
}
