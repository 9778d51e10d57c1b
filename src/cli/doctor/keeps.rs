//! What an operator forbids: how many, the next end, and what is over and only left in the file.

use std::io;
use std::path::Path;
use std::time::SystemTime;

use super::Check;
use crate::cli::memory::{self, Unused};
use crate::config::Config;
use crate::domain::veto::{Scope, Veto};
use crate::report::text::{count, plain};
use crate::sources::clock;
use crate::state::holds;

pub(super) fn check(config: &Config, checks: &mut Vec<Check>) {
    let now = clock::wall_now();
    for keep in config.keeps.iter().filter(|keep| keep.veto.is_over(now)) {
        checks.push(Check::warning(
            "keep",
            format!("{} is over and keeps nothing any more", plain(&keep.veto.words, 200)),
            "take it out of the file, or give it a later `until`",
        ));
    }
    let of_the_file = config.keeps.iter().map(|keep| keep.veto.clone()).filter(|veto| !veto.is_over(now));
    checks.extend(told("keep", &of_the_file.collect::<Vec<_>>(), "[[keep]]"));
    let Ok(dir) = memory::in_use(config) else { return };
    if let Err(error) = holds::load(&dir, now) {
        return checks.push(not_known(&dir, &error));
    }
    let by_hand = holds::vetoes(&dir, now).0;
    if let Some(unused) = Unused::of(&dir).filter(|_| !by_hand.is_empty()) {
        checks.push(Check::warning("keep", unused.to_string(), unused.remedy()));
        return;
    }
    let (all, one): (Vec<_>, Vec<_>) = by_hand.into_iter().partition(|veto| veto.scope == Scope::All);
    checks.extend(told("keep", &one, "hold"));
    if let Some(veto) = all.first() {
        let fix = "`gateway-reaper resume` once that is no longer wanted";
        checks.push(Check::warning("keep", format!("nothing is reaped: {}", plain(&veto.words, 200)), fix));
    }
}

/// Such a file is not mended by a command: `resume` can't tell either what it is to leave.
fn not_known(dir: &Path, error: &io::Error) -> Check {
    let path = dir.join(holds::NAME);
    let shown = path.display();
    let why = plain(&error.to_string(), 200);
    if holds::is_unread(error) {
        let told = format!("whether anything is held or paused isn't known: {shown} can't be read ({why})");
        return Check::warning("keep", told, holds::UNREAD_REMEDY);
    }
    Check::warning(
        "keep",
        format!("nothing is reaped: {shown} can't be understood ({why})"),
        format!("correct {shown}, or remove it: that ends every hold and pause by hand"),
    )
}

fn told(check: &str, vetoes: &[Veto], what: &str) -> Option<Check> {
    let ends = |veto: &Veto| veto.until.map(humantime::format_rfc3339_seconds);
    let first: Option<&Veto> = vetoes
        .iter()
        .filter(|veto| veto.until.is_some())
        .min_by_key(|veto| veto.until.unwrap_or(SystemTime::UNIX_EPOCH));
    let end = match first.and_then(ends) {
        Some(end) => format!("the first ends {end}"),
        None => "none of them ends".to_owned(),
    };
    (!vetoes.is_empty()).then(|| Check::ok(check, format!("{} in force; {end}", count(vetoes.len(), what))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::State;

    #[test]
    fn holds_that_can_t_be_understood_have_a_remedy_that_works() {
        let dir = tempfile::tempdir().unwrap();
        let text = format!(
            "[state]\ndir = \"{0}\"\n[[gateway]]\nname = \"desk\"\nkind = \"http\"\nurl = \"http://127.0.0.1:9/\"\n",
            dir.path().display()
        );
        let config = crate::config::parse(&text, Path::new("reaper.toml")).unwrap();
        std::fs::write(dir.path().join(holds::NAME), "{").unwrap();
        let mut checks = Vec::new();
        check(&config, &mut checks);
        let [check] = &checks[..] else { panic!("{checks:?}") };
        assert!(
            check.state == State::Warning && check.detail.starts_with("nothing is reaped: "),
            "{check:?}"
        );
        let fix = check.fix.as_deref().unwrap();
        assert!(fix.contains("or remove it") && !fix.contains("resume"), "{fix}");
    }
}
