//! The service: leaks go, live work stays, a frozen reaper is started again, the journal has fields.

use gateway_reaper::demo::protocol::Created;
use serde_json::Value;

use crate::gateway::{Gateway, Wanted};
use crate::machine::Machine;
use crate::package::{SERVICE, install};

#[test]
#[ignore = "boots a machine, and wants the package: .ci/long systemd"]
fn the_service_reaps_and_is_started_again_when_it_hangs() {
    let machine = Machine::boot();
    install(&machine);
    let gateway = Gateway::start(&machine);
    // Otherwise a hang is noticed after a minute.
    machine.write(&format!("/etc/systemd/system/{SERVICE}.d/soon.conf"), "[Service]\nWatchdogSec=4\n");
    machine.run(&format!("systemctl daemon-reload && systemctl enable --now {SERVICE}"));
    assert_eq!(machine.property(SERVICE, "ActiveState"), "active");

    let (attached, at_work) = (gateway.session(Wanted::Attached), gateway.session(Wanted::MidTurn));
    let leaked = gateway.session(Wanted::Leaked);
    machine.wait_until_gone(&leaked);

    // Longer than the watchdog's time, and nothing happened.
    let first = machine.property(SERVICE, "MainPID");
    machine.run("sleep 10");
    assert_eq!(
        (machine.property(SERVICE, "MainPID"), machine.property(SERVICE, "NRestarts")),
        (first.clone(), "0".into())
    );

    machine.run(&format!("kill -STOP {first}"));
    machine
        .wait(&format!("systemctl show --value --property NRestarts {SERVICE}"), |restarts| restarts == "1");
    machine
        .wait(&format!("systemctl show --value --property ActiveState {SERVICE}"), |state| state == "active");
    assert_ne!(machine.property(SERVICE, "MainPID"), first);
    machine.run(&format!("journalctl --unit {SERVICE} --grep 'Watchdog timeout'"));
    let leaked_later = gateway.session(Wanted::Leaked);
    machine.wait_until_gone(&leaked_later);

    assert!(machine.has(&attached) && machine.has(&at_work), "live work is kept");
    the_journal_has_fields(&machine, &leaked_later);
    exposed_less_than_1_5(&machine);
    machine.run(&format!("systemctl stop {SERVICE}"));
    assert_eq!(machine.property(SERVICE, "Result"), "success");
}

/// One entry for each thing that was done, found by its fields; no line has a time or colours of its own, or a level that systemd didn't take off.
fn the_journal_has_fields(machine: &Machine, reaped: &Created) {
    let of_session = format!("journalctl --output json --no-pager REAPER_SESSION={}", reaped.session);
    let entry = machine.wait(&of_session, |entries| entries.lines().count() == 1);
    let entry: Value = serde_json::from_str(&entry).unwrap();
    assert_eq!(entry["_SYSTEMD_UNIT"], SERVICE, "{entry:#}");
    assert_eq!(entry["PRIORITY"], "6", "{entry:#}");
    assert_eq!(entry["REAPER_GATEWAY"], "demo", "{entry:#}");
    assert_eq!(entry["REAPER_ORPHAN"], "detached-session", "{entry:#}");
    assert_eq!(entry["REAPER_OUTCOME"], "reaped", "{entry:#}");
    assert!(entry["REAPER_RUN"].is_string() && entry["REAPER_RECLAIMED_BYTES"].is_string(), "{entry:#}");

    let lines = machine.run("journalctl --output json --no-pager _COMM=gateway-reaper");
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        // What isn't plain text comes as a list of bytes.
        let message = line["MESSAGE"].as_str().unwrap_or_else(|| panic!("{line:#}"));
        assert!(!message.starts_with('<') && !message.starts_with("20"), "{line:#}");
    }
}

fn exposed_less_than_1_5(machine: &Machine) {
    let said = machine.run(&format!("systemd-analyze security --no-pager {SERVICE}"));
    let overall = said.lines().find(|line| line.contains("Overall exposure level")).unwrap();
    println!("{overall}");
    let level = overall.rsplit_once(": ").unwrap().1.split(' ').next().unwrap();
    assert!(level.parse::<f64>().unwrap() < 1.5, "{overall}");
}
