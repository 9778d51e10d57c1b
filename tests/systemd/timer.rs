//! The timer: single runs, one after another, with one memory.

use crate::gateway::{Gateway, Wanted};
use crate::machine::Machine;
use crate::package::install;

#[test]
#[ignore = "boots a machine, and wants the package: .ci/long systemd"]
fn the_timer_reaps_with_single_runs() {
    let machine = Machine::boot();
    install(&machine);
    let gateway = Gateway::start(&machine);
    machine.run("systemctl enable gateway-reaper-once@hermes.timer && systemctl start gateway-reaper-once@hermes.timer");
    let attached = gateway.session(Wanted::Attached);
    let leaked = gateway.session(Wanted::Leaked);
    machine.wait_until_gone(&leaked);
    // The next run comes by itself.
    let later = gateway.session(Wanted::Leaked);
    machine.wait_until_gone(&later);
    assert!(machine.has(&attached), "live work is kept");
    machine
        .wait("systemctl show --value --property ActiveState gateway-reaper-once@hermes.service", |state| {
            state == "inactive"
        });
    assert_eq!(machine.property("gateway-reaper-once@hermes.service", "Result"), "success");
    let told = machine.run(
        "STATE_DIRECTORY=/var/lib/gateway-reaper/hermes gateway-reaper --config /etc/gateway-reaper/reaper.toml --json history",
    );
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["totals"]["reaped"], 2, "{told:#}");
}
