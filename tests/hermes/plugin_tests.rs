//! The plugin's own tests, in Python; they need no gateway.

use std::path::Path;
use std::process::Command;

#[test]
fn the_plugin_passes_its_own_tests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new("python3")
        .args(["-B", "-m", "unittest", "discover", "-s"])
        .arg(root.join("tests/hermes/plugin"))
        .env("GATEWAY_REAPER_PLUGIN", root.join("src/hermes/plugin/plugin_api.py"))
        .output()
        .expect("python3 is needed to test the plugin");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert!(!stderr.contains("Ran 0 tests"), "{stderr}");
}
