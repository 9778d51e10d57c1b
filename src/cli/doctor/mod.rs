//! `doctor`: does everything fit together here? Each check is in order, a warning or a failure, with its remedy. Changes nothing.

mod gateways;
mod keeps;
mod listener;
mod machine;
mod runner;
mod runs;
mod workers;

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use serde::Serialize;
use serde_json::json;

use super::args::Args;
use super::exit::{Exit, Failure};
use super::{environment, output};

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    Ok,
    Warning,
    Failure,
}

/// One check.
#[derive(Debug, Serialize)]
struct Check {
    check: String,
    state: State,
    detail: String,
    fix: Option<String>,
}

impl Check {
    fn ok(check: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { check: check.into(), state: State::Ok, detail: detail.into(), fix: None }
    }

    fn warning(check: impl Into<String>, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { state: State::Warning, fix: Some(fix.into()), ..Self::ok(check, detail) }
    }

    fn failure(check: impl Into<String>, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { state: State::Failure, fix: Some(fix.into()), ..Self::ok(check, detail) }
    }
}

pub(super) async fn run(args: &Args) -> Result<Exit, Failure> {
    let mut checks = Vec::new();
    match environment::config(args) {
        Ok(config) => {
            checks.push(Check::ok("config", config.source.display().to_string()));
            gateways::check(&config, &mut checks).await;
            keeps::check(&config, &mut checks);
            machine::check(&mut checks);
            runner::check(&config, &mut checks);
        }
        Err(failure) => {
            let fix = "correct the file; `gateway-reaper default-config` prints one with every key explained";
            checks.push(Check::failure("config", failure.to_string(), fix));
            machine::check(&mut checks);
        }
    }
    let worst = checks.iter().map(|check| check.state).max().unwrap_or(State::Ok);
    let text = if args.json {
        format!("{}\n", json!({ "version": 1, "ok": worst != State::Failure, "checks": checks }))
    } else {
        render(&checks, args.quiet)
    };
    output::print_text(args, &text)?;
    Ok(if worst == State::Failure { Exit::NotReaped } else { Exit::Done })
}

fn render(checks: &[Check], quiet: bool) -> String {
    let mut text = String::new();
    for check in checks.iter().filter(|check| !quiet || check.state != State::Ok) {
        let (style, mark) = match check.state {
            State::Ok => (AnsiColor::Green.on_default(), "✓"),
            State::Warning => (AnsiColor::Yellow.on_default().bold(), "!"),
            State::Failure => (AnsiColor::Red.on_default().bold(), "✗"),
        };
        let detail = check.detail.replace('\n', "\n              ");
        let _ = writeln!(text, "{style}{mark}{style:#} {:<11} {detail}", check.check);
        if let Some(fix) = &check.fix {
            let _ = writeln!(text, "              {FIX}Fix:{FIX:#} {fix}");
        }
    }
    text
}

const FIX: Style = Style::new().bold();

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::layout;

    #[test]
    fn each_check_is_a_line_with_its_remedy_at_80_and_40_columns() {
        let checks = [
            Check::ok("config", "/etc/gateway-reaper/reaper.toml"),
            Check::ok(
                "gateway",
                "dashboard (hermes) answers: 5 sessions, process 16021, release 0.19.0, plugin 1.1.0",
            ),
            Check::warning(
                "workers",
                "3 of these, 156 MiB, belong to process 812, which is no [[gateway]]",
                "if that is a gateway, add a [[gateway]] for it; otherwise make worker.match narrower",
            ),
            Check::failure(
                "processes",
                "/proc hides PID 1 and other users' processes: orphans that were adopted are found late or not at all",
                "ProtectProc=default in the unit, or mount /proc without hidepid, or give the reaper CAP_SYS_PTRACE",
            ),
        ];
        let text = anstream::adapter::strip_str(&render(&checks, false)).to_string();
        let shown = |width| layout::wrap(&text, width);
        for width in [80, 40] {
            assert!(shown(width).lines().all(|line| line.chars().count() <= width));
        }
        let quiet = anstream::adapter::strip_str(&render(&checks, true)).to_string();
        assert!(!quiet.contains('✓') && quiet.contains("✗ processes"));
        insta::assert_snapshot!(format!("{text}\n{}\n{}", shown(80), shown(40)));
    }
}
