//! The version with its commit, for `--version`.

#![expect(clippy::disallowed_methods, reason = "cargo tells a build script everything by its environment")]

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=GATEWAY_REAPER_COMMIT");
    let package = env::var("CARGO_PKG_VERSION").unwrap_or_default();
    let commit = commit().map(|commit| commit[..commit.len().min(12)].to_owned());
    println!("cargo::rustc-env=GATEWAY_REAPER_COMMIT={}", commit.as_deref().unwrap_or("unknown"));
    let version = match commit {
        Some(commit) => format!("{package} ({commit})"),
        None => package,
    };
    println!("cargo::rustc-env=GATEWAY_REAPER_VERSION={version}");
}

/// What the packager says, else what the checkout or the packed crate says. A development build has none: it would be built anew after
/// every commit.
fn commit() -> Option<String> {
    let is_release = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let commit = match env::var("GATEWAY_REAPER_COMMIT") {
        Ok(commit) => Some(commit),
        Err(_) if is_release => of_checkout(Path::new(".git")).or_else(of_packed_crate),
        Err(_) => None,
    };
    commit.filter(|commit| commit.len() >= 7 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn of_checkout(git: &Path) -> Option<String> {
    // In a worktree it is a file that names the folder.
    let folder = match fs::read_to_string(git) {
        Ok(text) => PathBuf::from(text.strip_prefix("gitdir: ")?.trim()),
        Err(_) => git.to_owned(),
    };
    let common = match fs::read_to_string(folder.join("commondir")) {
        Ok(text) => folder.join(text.trim()),
        Err(_) => folder.clone(),
    };
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).ok()?;
        println!("cargo::rerun-if-changed={}", path.display());
        Some(text)
    };
    let head = read(folder.join("HEAD"))?;
    let Some(name) = head.strip_prefix("ref: ").map(str::trim) else { return Some(head.trim().to_owned()) };
    if let Some(commit) = read(common.join(name)) {
        return Some(commit.trim().to_owned());
    }
    let packed = read(common.join("packed-refs"))?;
    let line = packed.lines().find(|line| line.ends_with(name))?;
    line.split_once(' ').map(|(commit, _)| commit.to_owned())
}

/// `cargo package` writes the commit into the crate.
fn of_packed_crate() -> Option<String> {
    let text = fs::read_to_string(".cargo_vcs_info.json").ok()?;
    let (_, rest) = text.split_once("\"sha1\"")?;
    rest.split('"').nth(1).map(str::to_owned)
}
