//! Tests that need root, and tests that need root's powers gone.

use crate::place::{EXE, Place, Reaper};

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether a test that needs root may go on. In CI nothing may be left out.
pub(crate) fn has_root(test: &str) -> bool {
    if !is_root() {
        left_out(test, "root");
    }
    is_root()
}

/// Says that a test was not run; in CI that is a failure.
pub(crate) fn left_out(test: &str, needs: &str) {
    assert!(std::env::var_os("CI").is_none(), "{test} needs {needs}");
    eprintln!("NOT RUN: {test} needs {needs}");
}

/// The program as the same user, but without root's power over files.
pub(crate) fn powerless<'a>(place: &Place, args: impl IntoIterator<Item = &'a str>) -> Reaper {
    if !is_root() {
        return place.reaper(args);
    }
    let dropped = ["--inh-caps=-all", "--bounding-set=-all", EXE];
    place.program("setpriv", dropped.into_iter().chain(args))
}

/// The program after some shell commands in a mount namespace of its own.
pub(crate) fn after_mounting<'a>(
    place: &Place,
    commands: &str,
    args: impl IntoIterator<Item = &'a str>,
) -> Reaper {
    let script = format!("set -e; {commands}; exec \"$0\" \"$@\"");
    let mut reaper = place.program("unshare", ["--mount", "sh", "-c"]);
    reaper.command.arg(script).arg(EXE).args(args);
    reaper
}
