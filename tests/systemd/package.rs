//! The package: installed, upgraded, removed, purged.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::gateway::{Gateway, Wanted};
use crate::machine::Machine;

const PACKAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/package");
pub(crate) const SERVICE: &str = "gateway-reaper@hermes.service";

/// What `deploy/package` has built.
pub(crate) fn package() -> PathBuf {
    let files = fs::read_dir(PACKAGES).expect("there is no package yet: deploy/package makes it");
    let mut packages =
        files.map(|file| file.unwrap().path()).filter(|path| path.extension().is_some_and(|e| e == "deb"));
    let package = packages.next().expect("deploy/package made no .deb: cargo install cargo-deb --locked");
    assert_eq!(packages.next(), None, "more than one package in {PACKAGES}");
    package
}

/// A later version, with another default configuration.
fn later_package(machine: &Machine) -> String {
    let folder = tempfile::tempdir().unwrap();
    let unpacked = folder.path().join("unpacked");
    let done = |command: &mut Command| {
        let output = command.output().unwrap();
        assert!(output.status.success(), "{command:?}: {output:?}");
    };
    done(Command::new("dpkg-deb").arg("-R").arg(package()).arg(&unpacked));
    let control = unpacked.join("DEBIAN/control");
    let text = fs::read_to_string(&control).unwrap();
    let changed: Vec<&str> = text
        .lines()
        .map(|line| if line.starts_with("Version:") { "Version: 99.0.0-1" } else { line })
        .collect();
    fs::write(&control, changed.join("\n") + "\n").unwrap();
    let configuration = unpacked.join("etc/gateway-reaper/reaper.toml");
    let text = fs::read_to_string(&configuration).unwrap();
    fs::write(&configuration, format!("# A later default.\n{text}")).unwrap();
    let later = folder.path().join("later.deb");
    done(Command::new("dpkg-deb").args(["--root-owner-group", "-b"]).arg(&unpacked).arg(&later));
    machine.hand(&later)
}

pub(crate) fn install(machine: &Machine) {
    let package = machine.hand(&package());
    machine.run(&format!("dpkg -i {package}"));
}

#[test]
#[ignore = "boots a machine, and wants the package: .ci/long systemd"]
fn an_upgrade_keeps_the_configuration_and_a_purge_leaves_nothing() {
    let machine = Machine::boot();
    install(&machine);
    assert_eq!(
        machine.run("dpkg-query --show --showformat '${db:Status-Abbrev}' gateway-reaper").trim(),
        "ii"
    );
    machine.run("gateway-reaper --config /etc/gateway-reaper/reaper.toml check");
    let gateway = Gateway::start(&machine);
    machine.run(&format!("systemctl enable --now {SERVICE}"));
    let before = machine.property(SERVICE, "MainPID");
    let own = machine.run("cat /etc/gateway-reaper/reaper.toml");

    // Both sides have changed the configuration: the one on the machine stays, the package's lies beside it.
    let later = later_package(&machine);
    machine.run(&format!("dpkg --force-confdef --force-confold -i {later}"));
    assert_eq!(machine.run("dpkg-query --show --showformat '${Version}' gateway-reaper"), "99.0.0-1");
    assert_eq!(machine.run("cat /etc/gateway-reaper/reaper.toml"), own);
    machine.run("grep -q 'A later default' /etc/gateway-reaper/reaper.toml.dpkg-dist");

    // The new program is at work, with the memory of the old one.
    machine.wait(&format!("systemctl show --value --property MainPID {SERVICE}"), |pid| {
        pid != "0" && pid != before
    });
    let leaked = gateway.session(Wanted::Leaked);
    machine.wait_until_gone(&leaked);

    machine.run("dpkg --remove gateway-reaper");
    assert_eq!(machine.property(SERVICE, "ActiveState"), "inactive");
    assert_eq!(machine.try_run("pgrep --exact gateway-reaper").status.code(), Some(1), "the reaper runs on");
    assert_eq!(machine.run("cat /etc/gateway-reaper/reaper.toml"), own, "a removal keeps the configuration");
    machine.run("test -s /var/lib/gateway-reaper/hermes/audit.jsonl");

    machine.run("dpkg --purge gateway-reaper");
    machine.run("systemctl stop demo-gateway");
    let left = machine.run(
        "find / -xdev -path /proc -prune -o -path /sys -prune -o -path /run/host -prune -o -path /mnt -prune -o \
         -name '*gateway-reaper*' -print",
    );
    assert_eq!(left, "", "a purge leaves nothing");
}
