//! Kernels and containers that lack something: no `children` files, no pidfds, a `/proc` that hides others.

use std::path::Path;

use crate::not_run;
use crate::reaper::run;
use crate::strace::{self, traced};
use crate::world::{Before, ONCE, World, assert_told};

#[test]
fn without_children_files_every_process_is_looked_at_and_the_work_is_done_all_the_same() {
    if !strace::is_there() {
        return;
    }
    let world = World::new();
    let memory = world.memory("no-children", Before::New);
    let victims = world.victims();
    // Nothing but the files' being there is asked for this way.
    let options = ["-e", "trace=faccessat,faccessat2", "-e", "inject=faccessat,faccessat2:error=ENOENT"];
    let traced = traced(&options, &memory.config, ONCE);
    assert_eq!(traced.ended.code, Some(0), "{traced:?}");
    assert!(victims.all_gone(), "{traced:?}");
    assert!(
        traced.ended.stderr.contains("this kernel has no /proc/PID/task/TID/children files"),
        "{traced:?}"
    );
    world.assert_sound(&victims, &memory, "no children files");
}

#[test]
fn without_pidfds_no_process_is_signalled_and_the_remedy_is_told() {
    if !strace::is_there() {
        return;
    }
    let world = World::new();
    for (call, error) in [
        ("pidfd_open", "ENOSYS"),
        ("pidfd_open", "EPERM"),
        ("pidfd_send_signal", "ENOSYS"),
        ("pidfd_send_signal", "EPERM"),
    ] {
        let victims = world.victims();
        let inject = format!("inject={call}:error={error}");
        let memory = world.memory_with(&format!("{call}-{error}"), Before::New, "1s");
        let trace = "trace=kill,tkill,tgkill,pidfd_open,pidfd_send_signal";
        let traced = traced(&["-e", trace, "-e", &inject], &memory.config, ONCE);
        assert_eq!(traced.ended.code, Some(1), "{inject}\n{traced:?}");
        let remedy = traced.ended.stdout.contains("pidfd_open and pidfd_send_signal");
        assert!(remedy, "the remedy: {inject}\n{:?}", traced.ended);
        for sent in traced.calls.iter().filter(|call| !call.starts_with("pidfd_open")) {
            // Signal 0 asks whether somebody is there, and reaches nobody.
            assert!(
                sent.contains("(INJECTED)") || sent.contains(", 0)"),
                "a signal was sent: {inject}\n{sent}"
            );
        }
        world.assert_sound(&victims, &memory, &inject);
        // The gateway closed its session, and its worker ended with its input.
        assert_eq!(
            victims.processes().filter(|process| process.alive()).count(),
            4,
            "{inject}\n{:?}",
            traced.ended
        );
        let ended = run(&[], &memory.config, ONCE);
        assert_eq!(ended.code, Some(0), "with pidfds: {inject}\n{ended:?}");
        world.assert_sound(&victims, &memory, &inject);
    }
}

#[test]
fn every_signal_has_its_line_in_the_audit_log_just_before_it() {
    if !strace::is_there() {
        return;
    }
    let world = World::new();
    let memory = world.memory("order", Before::Used);
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
        return not_run("where_proc_hides_the_workers_none_is_signalled needs root and unshare");
    }
    let world = World::new();
    let memory = world.memory("hidepid", Before::New);
    let victims = world.victims();
    open_to_all(&memory.dir, &memory.config);
    let ended = run(&unshare, &memory.config, ONCE);
    assert_told(&ended, "hidepid");
    assert!(ended.stderr.contains("hidepid"), "{ended:?}");
    world.assert_spared("hidepid");
    // The gateway may close its session, and end that worker itself; nobody else is touched.
    let alive = victims.processes().filter(|process| process.alive()).count();
    assert!(alive >= 4, "{ended:?}");
}

fn works(before: &[&str]) -> bool {
    #[expect(clippy::disallowed_methods, reason = "a tool for a test")]
    let tried = std::process::Command::new(before[0]).args(&before[1..]).arg("true").status();
    tried.is_ok_and(|status| status.success())
}

/// The state directory becomes the other user's, and everything on the way to it can be passed.
fn open_to_all(dir: &Path, config: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir_all(dir).unwrap();
    std::fs::set_permissions(dir, PermissionsExt::from_mode(0o700)).unwrap();
    std::os::unix::fs::chown(dir, Some(65534), Some(65534)).unwrap();
    for folder in config.ancestors().skip(1).take(2) {
        std::fs::set_permissions(folder, PermissionsExt::from_mode(0o755)).unwrap();
    }
}
