//! The manual page is generated from the command line and kept in deploy/man.

use std::path::Path;
use std::process::Command;

const PAGE: &str = "deploy/man/gateway-reaper.1";

/// One page for the program and all its commands.
fn generated() -> String {
    let command = gateway_reaper::cli::command().disable_help_subcommand(true);
    let mut page = Vec::new();
    let man = clap_mangen::Man::new(command.clone()).date("").source("gateway-reaper").manual("Commands");
    man.render(&mut page).unwrap();
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        page.extend_from_slice(format!(".SH \"COMMAND {}\"\n", sub.get_name().to_uppercase()).as_bytes());
        let man = clap_mangen::Man::new(sub.clone());
        man.render_description_section(&mut page).unwrap();
        man.render_options_section(&mut page).unwrap();
    }
    let page = String::from_utf8(page).unwrap();
    let (program, commands) = page.split_once(".SH \"COMMAND").unwrap();
    // The sections of a command are below its own heading. The preamble stands once, at the top.
    let commands = commands
        .replace(".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n", "")
        .replace(".SH DESCRIPTION\n", "")
        .replace(".SH OPTIONS\n", ".SS Options\n");
    // There are no pages of their own for the commands; and a version would change the page at every release.
    let program = program
        .split(".SH VERSION")
        .next()
        .unwrap()
        .replace(".SH EXTRA\n", ".SH EXAMPLES AND EXIT CODES\n.nf\n");
    let program = program.replace("gateway\\-reaper\\-", "gateway\\-reaper ").replace("(1)\n", "\n");
    format!("{program}.fi\n.SH \"COMMAND{commands}")
}

#[test]
fn the_page_in_the_repository_is_the_one_that_the_command_line_makes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let generated = generated();
    if std::fs::read_to_string(&path).unwrap() != generated {
        if std::env::var_os("CI").is_none() {
            std::fs::write(&path, &generated).unwrap();
        }
        panic!(
            "{PAGE} was not up to date; it is now, so look at it and commit it (with CI set it is left as it was)"
        );
    }
}

#[test]
fn the_program_prints_it_and_completions_for_every_shell() {
    let run = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_gateway-reaper")).args(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(run(&["man"]) == std::fs::read_to_string(PAGE).unwrap(), "it prints another page");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(&["completions", shell]);
        assert!(script.contains("gateway-reaper") && script.contains("explain"), "{shell}: {script}");
    }
}
