//! `demo --jupyter`: the story comes right on a real server, and nothing of it is left however it ends.

use std::process::Command;

use rustix::process::Signal;
use serde_json::json;

use crate::program::write_program;
use crate::releases::Release;
use crate::stage::{EXE, Stage};

impl Stage {
    fn path_with_jupyter(&self) -> String {
        format!("{}:/usr/bin:/bin", self.bin("").display())
    }

    /// Of the demo's server and kernels, and of what they started.
    fn has_any_of_the_demo(&self) -> bool {
        self.processes().iter().any(|it| {
            ["jupyter", "ipykernel", "sleep 120"]
                .iter()
                .any(|word| it.argv.contains(word) && !it.argv.contains("stage.py"))
        })
    }
}

#[test]
#[ignore = "half a minute"]
fn the_story_comes_right_on_a_real_server() {
    let Some(stage) = Stage::start(Release::New) else { return };
    let ran = stage.does(json!(["run", [EXE, "demo", "--jupyter"], { "PATH": stage.path_with_jupyter() }]));
    let (out, err) = (ran["out"].as_str().unwrap(), ran["err"].as_str().unwrap());
    assert_eq!(ran["exit"], 0, "{out}{err}");
    for said in [
        "notes is gone for good",
        "photos is gone for good",
        "build is gone for good",
        "report is still there: a cell runs in it",
        "train is still there: its tab was opened again in time",
        "desk is still there: its tab was never closed",
        "All as it should be",
    ] {
        assert!(out.contains(said), "{said}: {out}{err}");
    }
    assert!(!stage.has_any_of_the_demo(), "{:?}", stage.processes());
}

#[test]
#[ignore = "half a minute"]
fn a_story_on_a_real_server_that_is_interrupted_leaves_nothing() {
    let Some(stage) = Stage::start(Release::New) else { return };
    let environment = json!({ "PATH": stage.path_with_jupyter() });
    let demo =
        stage.does(json!(["start", "demo", [EXE, "demo", "--jupyter"], environment])).as_u64().unwrap();
    let told = || std::fs::read_to_string(stage.path("demo.log")).unwrap_or_default();
    stage.eventually("all tabs are open", || told().contains("opens desk"));
    assert!(stage.has_any_of_the_demo());
    stage.signal(demo, Signal::TERM);
    stage.eventually("it has ended", || stage.does(json!(["has_ended", "demo"])) == true);
    assert!(told().contains("interrupted; nothing of the demo is left"), "{}", told());
    assert!(!stage.has_any_of_the_demo(), "{:?}", stage.processes());
}

#[test]
fn without_jupyter_it_says_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let ran = Command::new(EXE).args(["demo", "--jupyter"]).env("PATH", folder.path()).output().unwrap();
    let err = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(ran.status.code(), Some(1), "{err}");
    assert!(err.contains("no program called jupyter is in $PATH: install it"), "{err}");
}

#[test]
fn a_jupyter_without_a_server_is_quoted() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("jupyter");
    write_program(&program, "#!/bin/sh\necho 'Jupyter command `jupyter-server` not found.' >&2; exit 1\n");
    let ran = Command::new(EXE).args(["demo", "--jupyter"]).env("PATH", folder.path()).output().unwrap();
    let err = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(ran.status.code(), Some(1), "{err}");
    assert!(err.contains("`jupyter-server` not found"), "{err}");
}
