//! The commands of the README work as they are pasted: in namespaces of their own, with cargo and the service manager replaced by programs that
//! only check what they are asked for.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use crate::program::write_program;

const EXE: &str = env!("CARGO_BIN_EXE_gateway-reaper");
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The blocks of shell commands.
fn blocks() -> Vec<String> {
    let readme = fs::read_to_string(Path::new(ROOT).join("README.md")).unwrap();
    let blocks = readme.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned());
    blocks.collect()
}

/// What stands between backquotes in a table and is a command of ours.
fn asked() -> Vec<String> {
    let readme = fs::read_to_string(Path::new(ROOT).join("README.md")).unwrap();
    let rows = readme.lines().filter(|line| line.starts_with("| "));
    let words: Vec<String> = rows.flat_map(|row| row.split('`').map(ToOwned::to_owned)).collect();
    words.into_iter().filter(|word| word.starts_with("gateway-reaper ")).collect()
}

/// A home, a PATH, and nothing of this machine: no process, no network.
struct Sandbox(tempfile::TempDir);

impl Sandbox {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let bin = dir.path().join("bin");
        for folder in [
            "bin",
            "home/.hermes/cron",
            "home/.hermes/logs",
            "home/.hermes/memories",
            "home/.hermes/sessions",
        ] {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        symlink(EXE, bin.join("gateway-reaper")).unwrap();
        for program in ["cargo", "sudo", "systemctl", "loginctl"] {
            let text = format!("#!/bin/sh\necho \"{program} $*\" >> {}/asked\n", dir.path().display());
            write_program(&bin.join(program), text);
        }
        Self(dir)
    }

    fn run(&self, script: &str) -> Output {
        let path = format!("{}/bin:/usr/bin:/bin", self.0.path().display());
        let unshare = ["--pid", "--fork", "--kill-child", "--mount-proc", "--net", "--", "sh", "-c", script];
        let mut command = Command::new("unshare");
        command
            .args(unshare)
            .current_dir(ROOT)
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.0.path().join("home"));
        command.output().unwrap()
    }

    fn asked(&self) -> String {
        fs::read_to_string(self.0.path().join("asked")).unwrap_or_default()
    }
}

/// Namespaces without a user namespace are root's.
fn may() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        assert!(
            std::env::var_os("CI").is_none(),
            "the README's commands need root, for namespaces of their own"
        );
        eprintln!("NOT RUN: the README's commands need root, for namespaces of their own");
    }
    is_root
}

/// On both streams: a report says itself what can't be read.
fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn each_block_of_commands_works_as_it_is_pasted() {
    if !may() {
        return;
    }
    let blocks = blocks();
    assert!(blocks.len() >= 5, "{blocks:#?}");
    let sandbox = Sandbox::new();
    for block in &blocks {
        for line in block.lines().filter(|line| !line.trim_start().starts_with('#')) {
            let output = sandbox.run(line);
            let said = said(&output);
            // Nothing listens at the dashboard's address in here, and that is what is to be said.
            let is_away = output.status.code() == Some(3) && said.contains("127.0.0.1:9119");
            assert!(output.status.success() || is_away, "{line}\n{output:?}");
        }
    }
    let home = sandbox.0.path().join("home");
    assert!(
        home.join(".config/gateway-reaper/reaper.toml").exists() && home.join(".hermes/plugins").exists()
    );
    let unit = fs::read_to_string(home.join(".config/systemd/user/gateway-reaper.service")).unwrap();
    assert!(unit.contains(&format!("ExecStart={}/.cargo/bin/gateway-reaper", home.display())), "{unit}");
    // What is asked of cargo is there.
    for line in sandbox.asked().lines().filter(|line| line.starts_with("cargo ")) {
        let words: Vec<&str> = line.split_whitespace().collect();
        assert!(["run", "test", "install", "bench"].contains(&words[1]), "{line}");
        if let Some(at) = words.iter().position(|word| *word == "--bench") {
            let manifest = fs::read_to_string(Path::new(ROOT).join("Cargo.toml")).unwrap();
            assert!(manifest.contains(&format!("[[bench]]\nname = \"{}\"", words[at + 1])), "{line}");
        }
    }
    assert!(sandbox.asked().contains("systemctl enable --now gateway-reaper@"), "{}", sandbox.asked());
}

#[test]
fn each_command_of_the_tables_is_understood() {
    if !may() {
        return;
    }
    let sandbox = Sandbox::new();
    let asked = asked();
    assert!(asked.len() >= 7, "{asked:?}");
    let config = "mkdir -p ~/.config/gateway-reaper; gateway-reaper default-config > ~/.config/gateway-reaper/reaper.toml";
    assert!(sandbox.run(config).status.success());
    for command in asked {
        let output = sandbox.run(&command);
        let said = said(&output);
        assert!(!said.contains("Usage:") && !said.contains("unexpected argument"), "{command}: {output:?}");
        // There is no such session here, no terminal, and no dashboard.
        let expected = ["nothing is known of", "top needs a terminal", "127.0.0.1:9119"];
        let is_known = expected.iter().any(|words| said.contains(words)) || output.status.code() == Some(1);
        assert!(output.status.success() || is_known, "{command}: {output:?}");
    }
}

#[test]
fn the_page_of_a_kind_has_at_most_forty_lines() {
    let readme = fs::read_to_string(Path::new(ROOT).join("README.md")).unwrap();
    for title in ["## Jupyter", "### Any other gateway, by a program of yours", "### No gateway"] {
        let from = readme.find(title).unwrap_or_else(|| panic!("there is no page {title}"));
        let page = &readme[from..];
        let lines = 1 + page
            .lines()
            .skip(1)
            .take_while(|line| !line.starts_with("## ") && !line.starts_with("### "))
            .count();
        assert!(lines <= 40, "{title}: {lines} lines");
    }
}
