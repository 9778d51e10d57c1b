//! What holds of every decision, shown on random worlds, some of which can't be.
#![expect(clippy::expect_used, clippy::panic, reason = "that is how a test fails")]

#[path = "../support/world.rs"]
mod world;

mod apart;
mod history;
mod laws;
mod oracle;
mod random;
mod small_worlds;

/// Seeds that failed once are kept in the repository and tried first.
fn config() -> proptest::test_runner::Config {
    let kept = "tests/decision_properties/regressions.txt";
    proptest::test_runner::Config {
        failure_persistence: Some(Box::new(proptest::test_runner::FileFailurePersistence::Direct(kept))),
        ..proptest::test_runner::Config::default()
    }
}
