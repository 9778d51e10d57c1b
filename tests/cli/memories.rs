//! Whose memory is asked and written by hand: that of the runs. The service of the package keeps it elsewhere than a run in a shell.

use serde_json::json;

use crate::gateway::{Answer, Gateway, orphan, table};
use crate::place::{Place, Ran};
use crate::privileges::has_root;

/// The unit of the package gives a service such a directory.
const OF_ROOT: &str = "/var/lib/gateway-reaper/root";

fn gateway() -> Gateway {
    let gateway = Gateway::start();
    gateway.publish(&table(None, &[orphan("abc")]));
    gateway.when_reaping(|_| Answer::reaped());
    gateway
}

fn place(gateway: &Gateway) -> Place {
    Place::with(&format!("[policy]\ngrace = \"0s\"\n{}", gateway.section("desk")))
}

/// Runs this shell script where nothing else is in `/var/lib`; `$R` is the program.
fn where_nothing_is_in_var_lib(place: &Place, script: &str) -> Ran {
    let script = format!("mount -t tmpfs -o mode=755 none /var/lib && {script}");
    let args = ["--mount", "--", "sh", "-ec", &script];
    place.program("unshare", args).without("STATE_DIRECTORY").env("R", crate::place::EXE).run()
}

/// Nor is there any service.
#[test]
fn what_is_paused_before_the_first_run_holds_for_that() {
    if !has_root("what_is_paused_before_the_first_run_holds_for_that") {
        return;
    }
    let gateway = gateway();
    let place = place(&gateway);
    let own = place.path("home/.local/state/gateway-reaper").display().to_string();
    let ran = where_nothing_is_in_var_lib(&place, "$R resume; $R pause 1h; $R once");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.err.contains(&format!("no run was ever made with {own}: until one is")), "{ran:?}");
    assert!(ran.out.contains(&format!("\nfor the runs whose memory is in {own}\n")), "{ran:?}");
    assert!(gateway.reaps().is_empty());
}

#[test]
fn what_is_held_where_no_run_was_ever_made_is_told_to_hold_for_nothing_yet() {
    let gateway = gateway();
    let place = place(&gateway);
    let ask = |args: &[&str]| place.reaper(args.iter().copied()).run();
    let dir = place.path("state").display().to_string();
    let unused = format!("no run was ever made with {dir}: until one is");
    for args in [&["pause", "1h"][..], &["hold", "abc", "--for", "1h"]] {
        let ran = ask(args);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(ran.err.contains(&unused) && ran.err.contains("set dir under [state]"), "{ran:?}");
        assert!(ran.out.ends_with(&format!("\nfor the runs whose memory is in {dir}\n")), "{ran:?}");
    }
    let keeps = || {
        let doctor = ask(&["--json", "doctor"]).json();
        let checks = doctor["checks"].as_array().unwrap().clone();
        let keeps = checks.into_iter().filter(|check| check["check"] == "keep");
        keeps.map(|check| check["detail"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert!(keeps()[0].starts_with(&unused), "{:?}", keeps());
    assert_eq!(place.once([]).code, Some(0));
    assert!(gateway.reaps().is_empty());
    let again = ask(&["pause", "2h"]);
    assert!(!again.err.contains("no run"), "{again:?}");
    assert!(keeps()[0].starts_with("1 hold in force"), "{:?}", keeps());
}

#[test]
fn what_is_asked_or_held_in_a_shell_is_for_the_users_service_where_that_makes_the_runs() {
    if !has_root("what_is_asked_or_held_in_a_shell_is_for_the_users_service_where_that_makes_the_runs") {
        return;
    }
    let gateway = gateway();
    let place = place(&gateway);
    let script = format!(
        "mkdir -p /var/lib/gateway-reaper
         STATE_DIRECTORY={OF_ROOT} $R -q once --dry-run
         $R pause 1h
         $R hold abc --for 1h
         $R status
         STATE_DIRECTORY={OF_ROOT} $R -q once
         $R release abc
         $R resume"
    );
    let ran = where_nothing_is_in_var_lib(&place, &script);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(
        ran.out.matches(&format!("for the runs whose memory is in {OF_ROOT}\n")).count(),
        4,
        "{ran:?}"
    );
    assert!(ran.out.contains(&format!("state {OF_ROOT}\n")), "{ran:?}");
    assert!(gateway.reaps().is_empty(), "{ran:?}");
    assert!(!place.path("home/.local").exists());
}

#[test]
fn that_runs_are_made_with_two_memories_is_said_where_something_is_held() {
    if !has_root("that_runs_are_made_with_two_memories_is_said_where_something_is_held") {
        return;
    }
    let gateway = gateway();
    let place = place(&gateway);
    let script = format!(
        "mkdir -p /var/lib/gateway-reaper
         $R -q once
         STATE_DIRECTORY={OF_ROOT} $R -q once
         $R pause 1h"
    );
    let ran = where_nothing_is_in_var_lib(&place, &script);
    let own = place.path("home/.local/state/gateway-reaper");
    assert!(ran.out.ends_with(&format!("for the runs whose memory is in {OF_ROOT}\n")), "{ran:?}");
    let too = format!("runs are made with {} too, and for these it doesn't hold", own.display());
    assert!(ran.err.contains(&too), "{ran:?}");
}

/// It was tried in the shell, as the README says; the service makes the runs.
#[test]
fn a_dry_run_in_a_shell_is_no_reason_to_hold_there() {
    if !has_root("a_dry_run_in_a_shell_is_no_reason_to_hold_there") {
        return;
    }
    let gateway = gateway();
    let place = place(&gateway);
    let of_another = "install -d -o nobody -m 700 /var/lib/gateway-reaper/nobody
        $R -q once --dry-run > /dev/null
        $R pause 1h";
    let ran = where_nothing_is_in_var_lib(&place, of_another);
    assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{ran:?}");
    let own = place.path("home/.local/state/gateway-reaper");
    let said = format!("no run but dry ones was ever made with {}", own.display());
    assert!(ran.err.contains(&said), "{ran:?}");
    let of_its_own = format!(
        "mkdir -p /var/lib/gateway-reaper
         STATE_DIRECTORY={OF_ROOT} $R -q once
         $R -q once --dry-run > /dev/null
         $R pause 1h"
    );
    let ran = where_nothing_is_in_var_lib(&place, &of_its_own);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    assert!(ran.out.ends_with(&format!("for the runs whose memory is in {OF_ROOT}\n")), "{ran:?}");
}

#[test]
fn nothing_is_held_in_a_shell_that_no_run_shares_its_memory_with_while_a_service_has_its_own() {
    if !has_root("nothing_is_held_in_a_shell_that_no_run_shares_its_memory_with_while_a_service_has_its_own")
    {
        return;
    }
    let gateway = gateway();
    let place = place(&gateway);
    for command in ["pause 1h", "hold abc --for 1h", "release abc", "resume"] {
        let script = format!("install -d -o nobody -m 700 /var/lib/gateway-reaper/nobody\n$R {command}");
        let ran = where_nothing_is_in_var_lib(&place, &script);
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{ran:?}");
        let own = place.path("home/.local/state/gateway-reaper");
        for said in [
            format!("no run was ever made with {}", own.display()),
            "the service of nobody uses /var/lib/gateway-reaper/nobody: `sudo -u nobody gateway-reaper"
                .into(),
        ] {
            assert!(ran.err.contains(&said), "{said} in {ran:?}");
        }
        assert!(!own.exists());
    }
    let doctor = where_nothing_is_in_var_lib(
        &place,
        "install -d -o nobody -m 700 /var/lib/gateway-reaper/nobody\n$R --json doctor",
    );
    let checks = doctor.json()["checks"].as_array().unwrap().clone();
    let state =
        checks.iter().find(|it| it["check"] == "state" && it["state"] == "warning").unwrap_or(&json!(null));
    assert!(state["fix"].as_str().is_some_and(|fix| fix.contains("sudo -u nobody")), "{doctor:?}");
}
