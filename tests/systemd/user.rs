//! The unit of a user's own systemd: it outlives the user's logins, and has one memory with the user's shell.

use serde_json::Value;

use crate::gateway::{Gateway, Wanted};
use crate::machine::Machine;
use crate::package::install;

const SYSTEMCTL: &str = "systemctl --user --machine hermes@.host";

#[test]
#[ignore = "boots a machine, and wants the package: .ci/long systemd"]
fn the_user_unit_reaps_without_a_login_and_remembers_in_one_place() {
    let machine = Machine::boot();
    install(&machine);
    let gateway = Gateway::start(&machine);
    // By root: without polkit a user may not.
    machine.run("loginctl enable-linger hermes");
    machine
        .wait("systemctl show --value --property ActiveState user@1000.service", |state| state == "active");
    machine.run(&format!("{SYSTEMCTL} enable --now gateway-reaper"));
    assert_eq!(
        machine.run(&format!("{SYSTEMCTL} show --value --property ActiveState gateway-reaper")).trim(),
        "active"
    );

    let attached = gateway.session(Wanted::Attached);
    let leaked = gateway.session(Wanted::Leaked);
    machine.wait_until_gone(&leaked);
    assert!(machine.has(&attached), "live work is kept");

    // The unit's memory is the one of the user's shell, and there is no other.
    let places = machine.run("find / -xdev -name audit.jsonl -not -path '/proc/*' -not -path '/mnt/*'");
    assert_eq!(places, "/home/hermes/.local/state/gateway-reaper/audit.jsonl\n");
    let history: Value = serde_json::from_str(&as_user(&machine, "gateway-reaper --json history")).unwrap();
    assert_eq!(
        (&history["totals"]["reaped"], &history["acts"][0]["id"]),
        (&1.into(), &leaked.session.as_str().into())
    );
    let doctor = as_user(&machine, "gateway-reaper doctor || true");
    assert!(doctor.contains("✓ runner") && doctor.contains("watch, last run "), "{doctor}");

    // It comes back with the user's systemd, as after a boot of the machine.
    machine.run("systemctl restart user@1000.service");
    let later = gateway.session(Wanted::Leaked);
    machine.wait_until_gone(&later);
    machine.run(&format!("{SYSTEMCTL} stop gateway-reaper"));
    assert_eq!(
        machine.run(&format!("{SYSTEMCTL} show --value --property Result gateway-reaper")).trim(),
        "success"
    );
}

/// In a login shell of the user's.
fn as_user(machine: &Machine, line: &str) -> String {
    machine.run(&format!("runuser --login hermes --command '{line}'"))
}
