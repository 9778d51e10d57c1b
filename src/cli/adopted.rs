//! As PID 1 of a container: waiting for what it adopted, so that no zombies are left.

use rustix::process::{WaitOptions, wait};

/// Waits for all that has ended by now. Between runs: a run waits for what it starts itself.
pub(super) fn wait_for_the_dead() {
    if std::process::id() != 1 {
        return;
    }
    while let Ok(Some((pid, _))) = wait(WaitOptions::NOHANG) {
        tracing::debug!(pid = pid.as_raw_nonzero(), "an adopted process has ended");
    }
}
