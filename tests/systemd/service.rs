//! The service: leaks go, live work stays, a frozen reaper is started again, the journal has fields.

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
    the_journal_has_fields(&machine);
    exposed_less_than_1_5(&machine);
    machine.run(&format!("systemctl stop {SERVICE}"));
    assert_eq!(machine.property(SERVICE, "Result"), "success");
}

/// One line for one event, without a time and colours of its own, and a level that systemd understands.
fn the_journal_has_fields(machine: &Machine) {
    let lines = machine.run("journalctl --output json --no-pager _COMM=gateway-reaper");
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let reaped: Vec<&Value> =
        lines.iter().filter(|line| line["MESSAGE"].as_str().unwrap().contains("reaped")).collect();
    assert!(reaped.len() >= 2, "{lines:#?}");
    for line in reaped {
        assert_eq!(line["_SYSTEMD_UNIT"], SERVICE, "{line:#}");
        assert!(matches!(line["PRIORITY"].as_str(), Some("5" | "6")), "{line:#}");
        let message = line["MESSAGE"].as_str().unwrap();
        assert!(
            !message.contains('\u{1b}') && !message.starts_with('<') && !message.starts_with("20"),
            "{line:#}"
        );
    }
}

fn exposed_less_than_1_5(machine: &Machine) {
    let said = machine.run(&format!("systemd-analyze security --no-pager {SERVICE}"));
    let overall = said.lines().find(|line| line.contains("Overall exposure level")).unwrap();
    println!("{overall}");
    let level = overall.rsplit_once(": ").unwrap().1.split(' ').next().unwrap();
    assert!(level.parse::<f64>().unwrap() < 1.5, "{overall}");
}
