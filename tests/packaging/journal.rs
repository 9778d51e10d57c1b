//! What was done, found again in a real journal by its fields: systemd's own, in namespaces of its own.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::program::write_program;

const EXE: &str = env!("CARGO_BIN_EXE_gateway-reaper");
const JOURNALD: &str = "/usr/lib/systemd/systemd-journald";

/// A gateway whose table and closes are a program's: it lists two sessions without a client, and closes one of them.
const GATEWAY: &str = r#"#!/bin/sh
case "$1 $2" in
"table ") echo '{"version":1,"gateway":{"instance":"1"},"sessions":[
    {"id":"360e0f95","key":"talk-1","transport":"detached","turn":"idle"},
    {"id":"c83da104","transport":"detached","turn":"idle"}]}' ;;
"reap 360e0f95") echo '{"outcome":"reaped"}' ;;
*) exit 1 ;;
esac
"#;

/// A journal, and a run whose output goes there as a service's does.
const SCRIPT: &str = r#"
set -e
mount -t tmpfs none /run
echo 0123456789abcdef0123456789abcdef > /run/id
mount --bind /run/id /etc/machine-id
mkdir -p /run/systemd/journal /run/log/journal/0123456789abcdef0123456789abcdef
"$JOURNALD" > /run/said 2>&1 &
until [ -S /run/systemd/journal/stdout ]; do sleep 0.1; done
systemd-cat sh -c 'JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) exec "$EXE" once' || :
wait_for() { until journalctl --quiet -D /run/log/journal "$1" | grep -q .; do sleep 0.1; done; }
wait_for REAPER_OUTCOME=failed
journalctl --quiet -D /run/log/journal -o json REAPER_SESSION=360e0f95
journalctl --quiet -D /run/log/journal -o json REAPER_OUTCOME=failed
"#;

/// Whether this can be done here. If not, that is said, and fails where `CI` is set.
fn may() -> bool {
    let may = rustix::process::geteuid().is_root() && Path::new(JOURNALD).exists();
    if !may {
        let why = "a real journal needs systemd's and root, for namespaces of its own";
        assert!(std::env::var_os("CI").is_none(), "{why}");
        eprintln!("NOT RUN: {why}");
    }
    may
}

#[test]
fn a_real_journal_finds_what_was_done_by_its_fields() {
    if !may() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("gateway");
    write_program(&program, GATEWAY);
    let shown = program.display();
    let config = format!(
        "[policy]\ngrace = \"0s\"\n[state]\ndir = \"state\"\n[[gateway]]\nname = \"desk\"\nkind = \"command\"\n\
         table = [\"{shown}\", \"table\"]\nreap = [\"{shown}\", \"reap\"]\n"
    );
    fs::write(dir.path().join("reaper.toml"), config).unwrap();
    let output = Command::new("unshare")
        .args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--", "sh", "-c", SCRIPT])
        .current_dir(dir.path())
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("HOME", dir.path())
        .env("EXE", EXE)
        .env("JOURNALD", JOURNALD)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let entries: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(entries.len(), 2, "{output:?}");
    let expected = [
        ("MESSAGE", "session 360e0f95 of desk: reaped; detached and idle; closed by its gateway"),
        ("PRIORITY", "6"),
        ("SYSLOG_IDENTIFIER", "gateway-reaper"),
        ("REAPER_GATEWAY", "desk"),
        ("REAPER_KEY", "talk-1"),
        ("REAPER_ORPHAN", "detached-session"),
        ("REAPER_OUTCOME", "reaped"),
        ("_TRANSPORT", "journal"),
    ];
    for (field, value) in expected {
        assert_eq!(entries[0][field], value, "{field} of {:#}", entries[0]);
    }
    assert_eq!((&entries[1]["REAPER_SESSION"], &entries[1]["PRIORITY"]), (&"c83da104".into(), &"4".into()));
    assert_eq!(entries[0]["REAPER_RUN"], entries[1]["REAPER_RUN"]);
}
