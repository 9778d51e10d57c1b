//! A test alone in a PID namespace of its own: what it counts depends on the processes there are, and elsewhere those change under it.

use std::process::Command;
use std::sync::{Mutex, PoisonError};

use crate::strace;

const INSIDE: &str = "GATEWAY_REAPER_COST_INSIDE";

/// One at a time: they are traced, which is slow enough.
static TURN: Mutex<()> = Mutex::new(());

#[allow(clippy::disallowed_methods, reason = "how a test knows where it runs")]
fn is_set(variable: &str) -> bool {
    std::env::var_os(variable).is_some()
}

/// Whether this test is alone in a namespace of its own. If not, this has run it in one: then there is nothing left to do.
///
/// Without strace there is nothing to count, and without root or user namespaces for all users there is no namespace. On a developer's
/// machine that is said and let pass, in CI (`CI` is set there) it fails.
#[allow(clippy::disallowed_methods, reason = "a namespace for a test")]
pub(crate) fn is_alone() -> bool {
    if is_set(INSIDE) {
        return true;
    }
    // The test harness names a test's thread after it.
    let thread = std::thread::current();
    let test = thread.name().unwrap();
    let own_user = (!rustix::process::geteuid().is_root()).then_some("--map-root-user");
    // Process 1 is a shell that waits, so that what the test starts is no child of init's: a reaper looks closer at those.
    let arguments =
        ["--pid", "--fork", "--kill-child", "--mount-proc", "--", "sh", "-c", "\"$0\" \"$@\"; exit $?"];
    let unshare = || {
        let mut command = Command::new("unshare");
        command.args(own_user).args(arguments);
        command
    };
    let namespaces = unshare().arg("true").status();
    let lacks = if namespaces.is_ok_and(|status| status.success()) {
        strace::check().err()
    } else {
        Some(
            "`unshare` makes no PID namespace here: run as root, or allow user namespaces for all users"
                .into(),
        )
    };
    if let Some(why) = lacks {
        assert!(!is_set("CI"), "{why}");
        eprintln!("NOT RUN: {why}");
        return false;
    }
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let output = unshare()
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", "--test-threads=1", test])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "inside:\n{said}");
    print!("{said}");
    false
}
