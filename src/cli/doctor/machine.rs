//! The machine: what of /proc is seen, and whether processes can be held.

use std::path::Path;

use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::Check;
use crate::sources::processes::Processes;

pub(super) fn check(checks: &mut Vec<Check>) {
    if let Err(error) = Processes::new() {
        let fix = "mount the /proc of the reaper's own PID namespace";
        checks.push(Check::failure("processes", crate::text::in_full(&error), fix));
        return;
    }
    checks.push(if Path::new("/proc/1/stat").exists() {
        let children = Path::new("/proc/thread-self/children").exists();
        let how = if children { "by their parents" } else { "by reading all of /proc: this kernel has no children files" };
        Check::ok("processes", format!("/proc shows PID 1; children are found {how}"))
    } else {
        Check::failure(
            "processes",
            "/proc hides PID 1 and other users' processes: orphans that were adopted are found late or not at all",
            "ProtectProc=default in the unit, or mount /proc without hidepid, or give the reaper CAP_SYS_PTRACE",
        )
    });
    let own = Pid::from_raw(std::process::id().cast_signed()).unwrap_or(Pid::INIT);
    checks.push(match pidfd_open(own, PidfdFlags::empty()) {
        Ok(_) => Check::ok("pidfds", "processes are held before they are signalled"),
        Err(error) => Check::failure(
            "pidfds",
            format!("processes can't be held ({error}), so none is ever signalled"),
            "Linux 5.3 or later, and a seccomp profile that allows pidfd_open and pidfd_send_signal",
        ),
    });
}
