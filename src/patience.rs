//! Waiting, in unit tests.

use std::time::Duration;

/// Waits until this holds. What a test has closed is open for a moment more where another test is starting a process: that has all descriptors
/// of this one, and the locks on them, until it calls exec.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..3_000 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("it never came true that {what}");
}
