//! The units, as systemd understands them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const UNITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/systemd");
const EXE: &str = env!("CARGO_BIN_EXE_gateway-reaper");

/// Whether systemd-analyze is there. If not, that is said, and fails where `CI` is set.
fn is_there() -> bool {
    let is_there = Command::new("systemd-analyze").arg("--version").output().is_ok();
    if !is_there {
        let why = "systemd-analyze isn't there: apt-get install systemd";
        assert!(std::env::var_os("CI").is_none(), "{why}");
        eprintln!("NOT RUN: {why}");
    }
    is_there
}

fn analyze(args: &[&str]) -> Output {
    Command::new("systemd-analyze").args(args).output().unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The units in a folder of their own, with the program where it was built, for the user that runs the tests.
fn instances() -> (tempfile::TempDir, Vec<PathBuf>) {
    let dir = tempfile::tempdir().unwrap();
    let mut units = Vec::new();
    for name in [
        "gateway-reaper@.service",
        "gateway-reaper-once@.service",
        "gateway-reaper-once@.timer",
        "user/gateway-reaper.service",
    ] {
        let unit = fs::read_to_string(Path::new(UNITS).join(name)).unwrap();
        let unit = unit.replace("/usr/bin/gateway-reaper", EXE);
        let path = dir.path().join(Path::new(name).file_name().unwrap());
        fs::write(&path, unit).unwrap();
        let instance = path.to_string_lossy().replace('@', "@root");
        units.push(PathBuf::from(instance));
    }
    (dir, units)
}

#[test]
fn systemd_finds_nothing_to_complain_of() {
    if !is_there() {
        return;
    }
    let (_dir, units) = instances();
    for unit in units {
        let output = analyze(&["verify", "--man=no", &unit.to_string_lossy()]);
        let said = text(&output);
        let own: Vec<&str> = said.lines().filter(|line| line.contains("gateway-reaper")).collect();
        assert!(output.status.success() && own.is_empty(), "{}: {said}", unit.display());
    }
}

#[test]
fn the_system_units_expose_less_than_1_5() {
    if !is_there() {
        return;
    }
    for name in ["gateway-reaper@.service", "gateway-reaper-once@.service"] {
        let unit = format!("{UNITS}/{name}");
        let output = analyze(&["security", "--offline=true", "--threshold=15", &unit]);
        assert!(output.status.success(), "{}", text(&output));
        // The threshold means something.
        assert!(!analyze(&["security", "--offline=true", "--threshold=5", &unit]).status.success());
    }
}
