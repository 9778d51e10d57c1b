//! The command line explains itself, and says what it doesn't understand.

use crate::place::{Place, Ran};
use crate::told::Names;

fn told(args: &[&str]) -> String {
    let place = Place::new();
    let ran = place.reaper(args.iter().copied()).run();
    Names::of(&place).all(&ran)
}

fn run(args: &[&str]) -> Ran {
    Place::new().reaper(args.iter().copied()).run()
}

#[test]
fn help_of_the_program_and_of_each_command() {
    insta::assert_snapshot!("help", told(&["--help"]));
    insta::assert_snapshot!("help_once", told(&["once", "--help"]));
    insta::assert_snapshot!("help_watch", told(&["watch", "--help"]));
    insta::assert_snapshot!("help_status", told(&["status", "--help"]));
    assert_eq!(told(&["help", "once"]), told(&["once", "--help"]));
}

#[test]
fn the_short_help_has_two_examples_and_the_long_one_has_more() {
    let (short, long) = (run(&["-h"]).out, run(&["--help"]).out);
    let examples = |text: &str| text.lines().filter(|line| line.starts_with("  gateway-reaper ")).count();
    assert_eq!((examples(&short), examples(&long)), (2, 4), "{short}\n{long}");
    assert!(!short.contains("Exit codes") && long.contains("Exit codes"), "{short}");
    assert!(short.lines().count() + 10 < long.lines().count(), "{short}");
}

#[test]
fn the_version_is_that_of_the_crate() {
    let ran = run(&["--version"]);
    assert_eq!(
        (ran.out.as_str(), ran.err.as_str(), ran.code),
        (concat!("gateway-reaper ", env!("CARGO_PKG_VERSION"), "\n"), "", Some(0))
    );
}

#[test]
fn what_is_not_understood_on_the_command_line_is_said_with_exit_code_2() {
    let mut said = String::new();
    for args in [
        &[][..],
        &["onec"],
        &["once", "--dryrun"],
        &["once", "--wait", "20"],
        &["once", "--wait", "soon"],
        &["once", "--wait"],
        &["once", "extra"],
        &["watch", "--interval", "0s"],
        &["watch", "--interval", "1ms"],
        &["watch", "--dry-run"],
        &["status", "--wait", "1s"],
        &["-v", "-q", "once"],
        &["--config"],
        &["--json=yes", "once"],
    ] {
        let ran = run(args);
        assert_eq!((ran.out.as_str(), ran.code), ("", Some(2)), "{args:?}: {ran:?}");
        said += &format!("$ gateway-reaper {}\n{}\n", args.join(" "), ran.err);
    }
    insta::assert_snapshot!(said);
}

#[test]
fn the_global_options_stand_before_or_after_the_command() {
    let place = Place::new();
    for args in [["--config", "no.toml", "--json", "once"], ["once", "--json", "--config", "no.toml"]] {
        let ran = place.reaper(args).run();
        assert_eq!(ran.code, Some(2));
        let said: serde_json::Value = serde_json::from_str(&ran.err).unwrap();
        let missing =
            "no.toml: no such file, although --config names it; correct the path or create the file";
        assert_eq!(said["error"], missing, "{ran:?}");
    }
}
