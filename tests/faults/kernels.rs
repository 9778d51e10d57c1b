//! Kernels and containers that lack something: no `children` files, no pidfds, a `/proc` that hides others.

use std::path::Path;

use crate::not_run;
use crate::reaper::run;
use crate::strace::{self, traced};
use crate::world::{ONCE, World, assert_told};

#[test]
fn without_children_files_every_process_is_looked_at_and_the_work_is_done_all_the_same() {
    if !strace::is_there() {
        return;
    }
    let world = World::new();
    let memory = world.memory("no-children");
    let victims = world.victims();
    let traced = traced(
        &["-e", "trace=faccessat,faccessat2,openat", "-e", "inject=faccessat,faccessat2:error=ENOENT"],
        &memory.config,
        &["-v", "once"],
    );
    assert_eq!(traced.ended.code, Some(0), "{traced:?}");
    assert!(victims.all_gone(), "{traced:?}");
    assert!(
        traced.ended.stderr.contains("this kernel has no /proc/PID/task/TID/children files"),
        "{traced:?}"
    );
    let read = traced.calls.iter().find(|call| call.contains("/children\"") && call.contains("openat"));
    assert_eq!(read, None, "they aren't there");
    world.assert_sound(&victims, &memory, "no children files");
}

#[test]
fn without_pidfds_no_process_is_signalled_and_the_remedy_is_told() {
    if !strace::is_there() {
        return;
    }
    let world = World::new();
    let victims = world.victims();
    for (calls, error) in [
        ("pidfd_open", "ENOSYS"),
        ("pidfd_open", "EPERM"),
        ("pidfd_send_signal", "ENOSYS"),
        ("pidfd_send_signal", "EPERM"),
    ] {
        let memory = world.memory(&format!("{calls}-{error}"));
        let inject = format!("inject={calls}:error={error}");
        let trace = "trace=kill,tkill,tgkill,pidfd_open,pidfd_send_signal";
        let traced = traced(&["-e", trace, "-e", &inject], &memory.config, ONCE);
        assert_eq!(traced.ended.code, Some(1), "{inject}\n{traced:?}");
        assert!(
            traced.ended.stdout.contains("pidfd_open and pidfd_send_signal"),
            "the remedy: {inject}\n{traced:?}"
        );
        // Signal 0 asks whether somebody is there, and reaches nobody.
        let sent = traced.calls.iter().find(|call| {
            !call.contains("(INJECTED)")
                && !call.starts_with("+++")
                && !call.starts_with("pidfd_open")
                && !call.contains(", 0)")
                && !call.contains(", 0, NULL, 0)")
        });
        assert_eq!(sent, None, "a signal was sent: {inject}");
        world.assert_sound(&victims, &memory, &inject);
        assert!(victims.everybody().filter(|process| process.alive()).count() >= 4, "{inject}\n{traced:?}");
    }
    // Which session's worker this was is only known from the journal of the runs above.
    let memory = world.memory("pidfd_open-ENOSYS");
    world.assert_spared("pidfds");
    let ended = run(&[], &memory.config, ONCE);
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn every_signal_has_its_line_in_the_audit_log_just_before_it() {
    if !strace::is_there() {
        return;
    }
    let world = World::new();
    let memory = world.memory("order");
    let victims = world.victims();
    let traced = traced(&["-e", "trace=write,pidfd_send_signal"], &memory.config, ONCE);
    assert!(traced.ended.code == Some(0) && victims.all_gone(), "{traced:?}");
    let mut announced = "";
    let mut signals = 0;
    for call in &traced.calls {
        if call.contains("audit.jsonl>") {
            announced = call;
        }
        for signal in ["SIGTERM", "SIGKILL"] {
            if call.starts_with("pidfd_send_signal(") && call.contains(signal) {
                signals += 1;
                assert!(
                    announced.contains(&format!("\\\"step\\\":\\\"{signal}\\\"")),
                    "{call} after {announced}"
                );
            }
        }
        if call.starts_with("pidfd_send_signal(") && call.contains("SIGSTOP") {
            assert!(announced.contains("SIGKILL"), "{call} after {announced}");
        }
    }
    assert!(signals >= 4, "{traced:?}");
}

/// The reaper as another user than the gateway, where `/proc` shows that user its own processes alone.
#[test]
fn where_proc_hides_the_workers_none_is_signalled() {
    let root = rustix::process::geteuid().is_root();
    let hide = "mount -t proc -o hidepid=2 proc /proc && exec setpriv --reuid 65534 --regid 65534 --clear-groups \"$0\" \"$@\"";
    let unshare = ["unshare", "--mount", "--", "sh", "-c", hide];
    if !root || !works(&unshare) {
        return not_run("a /proc that hides needs root and unshare");
    }
    let world = World::new();
    let memory = world.memory("hidepid");
    let victims = world.victims();
    open_to_everybody(&memory.dir, &memory.config);
    let ended = run(&unshare, &memory.config, ONCE);
    assert_told(&ended, "hidepid");
    assert!(ended.stderr.contains("hidepid"), "{ended:?}");
    world.assert_spared("hidepid");
    // The gateway may close its session, and end that worker itself; nobody else is touched.
    let alive = victims.everybody().filter(|process| process.alive()).count();
    assert!(alive >= 4, "{ended:?}");
}

fn works(before: &[&str]) -> bool {
    #[expect(clippy::disallowed_methods, reason = "a tool for a test")]
    let tried = std::process::Command::new(before[0]).args(&before[1..]).arg("true").status();
    tried.is_ok_and(|status| status.success())
}

/// The state directory becomes the other user's, and everything on the way to it can be passed.
fn open_to_everybody(dir: &Path, config: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir_all(dir).unwrap();
    std::fs::set_permissions(dir, PermissionsExt::from_mode(0o700)).unwrap();
    std::os::unix::fs::chown(dir, Some(65534), Some(65534)).unwrap();
    for folder in config.ancestors().skip(1).take(2) {
        std::fs::set_permissions(folder, PermissionsExt::from_mode(0o755)).unwrap();
    }
}
