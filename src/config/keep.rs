//! `[[keep]]`: sessions and workers that are never reaped, or not until a time.

use std::time::{Duration, SystemTime};

use toml::de::DeValue;
use toml::value::{Datetime, Offset};

use super::section::Section;
use super::value::{quoted, shown};
use super::{GatewayConfig, keys};
use crate::domain::glob::Glob;
use crate::domain::veto::{Scope, Veto};

/// One of them.
#[derive(Debug, Clone)]
pub struct KeepConfig {
    /// Its line in the file.
    pub line: usize,
    /// What it forbids.
    pub veto: Veto,
}

const EXPECTED_GLOB: &str =
    "text in quotes, in which * stands for any characters and ? for one, such as \"talk-*\"";
const EXPECTED_UNTIL: &str = "a date or a time, such as 2026-12-31 or 2026-12-31T18:00:00+01:00";

/// Reads all of them. What one names has to be a gateway of the file.
pub(super) fn read_all(root: &Section<'_>, gateways: &[GatewayConfig]) -> Vec<KeepConfig> {
    root.sections("keep", &keys::KEEP).iter().filter_map(|section| read(section, gateways)).collect()
}

fn read(section: &Section<'_>, gateways: &[GatewayConfig]) -> Option<KeepConfig> {
    section.refuse_unknown_keys();
    let gateway = section.text("gateway", "the name of a [[gateway]] in quotes");
    // A gateway that has a mistake of its own is not among those that were read.
    if let Some(name) = gateway.filter(|name| !gateways.iter().any(|known| known.name.as_str() == *name))
        && !section.has_problems()
    {
        let names: Vec<_> = gateways.iter().map(|known| quoted(known.name.as_str())).collect();
        let is_found = |known: &&GatewayConfig| known.name.stands_for(&name.into());
        let all = gateways.iter().find(is_found).map(|known| {
            format!(
                "; {} holds for all that it finds, session or key for some of it",
                quoted(known.name.as_str())
            )
        });
        let names = names.join(", ");
        let expected = format!("the name of a [[gateway]] ({names}){}", all.unwrap_or_default());
        return section.mismatch("gateway", &expected, &quoted(name));
    }
    let session = glob(section, "session");
    let key = glob(section, "key");
    let until = until(section);
    let why = section.text("why", "text in quotes");
    if gateway.is_none() && session.is_none() && key.is_none() {
        let message = "missing; expected what is to be kept: gateway, session or key, or several of them; for everything there is \
                       `gateway-reaper pause`, or dry_run";
        section.refuse("gateway", message);
        return None;
    }
    let line = section.line();
    let end = until.map_or(", for good".to_owned(), |until| {
        format!(" until {}", humantime::format_rfc3339_seconds(until))
    });
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    let words = format!("[[keep]] in line {line}{end}{why}").into();
    let scope = Scope::Like { gateway: gateway.map(Into::into), session, key };
    Some(KeepConfig { line, veto: Veto { scope, until, words } })
}

fn glob(section: &Section<'_>, key: &str) -> Option<Glob> {
    let text = section.text(key, EXPECTED_GLOB)?;
    if text.is_empty() {
        return section.mismatch(key, EXPECTED_GLOB, &quoted(text));
    }
    Some(Glob::from(text))
}

/// As TOML writes it, or the same in quotes. Without an offset it is UTC; without a time, the beginning of the day.
fn until(section: &Section<'_>) -> Option<SystemTime> {
    let value = section.value("until")?.get_ref();
    let date = match value {
        DeValue::Datetime(date) => Some(*date),
        DeValue::String(text) => text.parse().ok(),
        _ => None,
    };
    date.and_then(instant).or_else(|| section.mismatch("until", EXPECTED_UNTIL, &written(value)))
}

fn written(value: &DeValue<'_>) -> String {
    match value {
        DeValue::Datetime(date) => date.to_string(),
        other => shown(other),
    }
}

fn instant(written: Datetime) -> Option<SystemTime> {
    let date = written.date?;
    let (hour, minute, second) =
        written.time.map_or((0, 0, 0), |time| (time.hour, time.minute, time.second.unwrap_or(0)));
    let utc = format!("{date}T{hour:02}:{minute:02}:{second:02}Z");
    let local = humantime::parse_rfc3339(&utc).ok()?;
    let minutes = match written.offset {
        Some(Offset::Custom { minutes }) => minutes,
        Some(Offset::Z) | None => 0,
    };
    let offset = Duration::from_secs(60 * u64::from(minutes.unsigned_abs()));
    if minutes < 0 { local.checked_add(offset) } else { local.checked_sub(offset) }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::message_tests::{GATEWAY, told};
    use super::super::parse;

    fn words(lines: &str) -> Vec<String> {
        let config = parse(&format!("{GATEWAY}{lines}"), Path::new("reaper.toml")).unwrap();
        config.keeps.iter().map(|keep| keep.veto.words.to_string()).collect()
    }

    #[test]
    fn it_says_its_line_its_end_and_why() {
        assert_eq!(
            words(
                "[[keep]]\nkey = \"talk-*\"\nuntil = 2026-12-31\nwhy = \"a demo\"\n[[keep]]\ngateway = \"a\"\n"
            ),
            ["[[keep]] in line 5 until 2026-12-31T00:00:00Z: a demo", "[[keep]] in line 9, for good"]
        );
    }

    #[test]
    fn its_end_is_a_date_or_a_time_in_quotes_or_not() {
        for (until, expected) in [
            ("2026-12-31T18:00:00+01:00", "2026-12-31T17:00:00Z"),
            ("\"2026-12-31T18:00:00-00:30\"", "2026-12-31T18:30:00Z"),
            ("2026-12-31 18:00:00.5", "2026-12-31T18:00:00Z"),
            ("\"2026-12-31\"", "2026-12-31T00:00:00Z"),
        ] {
            let words = words(&format!("[[keep]]\nsession = \"s\"\nuntil = {until}\n"));
            assert_eq!(words, [format!("[[keep]] in line 5 until {expected}")], "{until}");
        }
    }

    #[test]
    fn mistakes_in_it_are_said_with_what_was_expected() {
        let lines = "[[keep]]\nwhy = \"x\"\n[[keep]]\nkey = \"\"\nsession = \"s\"\nuntil = 07:30:00\n[[keep]]\ngateway = \"b\"\nkey = \"*\"\n\
                     [[keep]]\nsession = \"s\"\nuntil = \"2d\"\nfor = \"2d\"\n";
        assert_eq!(
            told(&format!("{GATEWAY}{lines}"))
                .split("reaper.toml:")
                .skip(1)
                .map(str::trim_end)
                .collect::<Vec<_>>(),
            [
                "5: keep.gateway: missing; expected what is to be kept: gateway, session or key, or several of them; for everything there \
                 is `gateway-reaper pause`, or dry_run",
                "8: keep.key: expected text in quotes, in which * stands for any characters and ? for one, such as \"talk-*\"; found \"\"",
                "10: keep.until: expected a date or a time, such as 2026-12-31 or 2026-12-31T18:00:00+01:00; found 07:30:00",
                "16: keep.until: expected a date or a time, such as 2026-12-31 or 2026-12-31T18:00:00+01:00; found \"2d\"",
                "17: keep.for: unknown key; known in [[keep]] are gateway, session, key, until, why",
            ]
        );
        assert_eq!(
            told(&format!("{GATEWAY}[[keep]]\ngateway = \"b\"\n")),
            "reaper.toml:6: keep.gateway: expected the name of a [[gateway]] (\"a\"); found \"b\""
        );
    }

    /// One that was found may be told of by another one once it is gone.
    #[test]
    fn it_names_no_gateway_that_was_found_but_the_one_that_finds_it() {
        let lab = "[[gateway]]\nname = \"lab\"\nkind = \"jupyter\"\n[[keep]]\ngateway = ";
        assert_eq!(words(&format!("{lab}\"lab\"\n")), ["[[keep]] in line 8, for good"]);
        assert_eq!(
            told(&format!("{GATEWAY}{lab}\"lab:8888\"\n")),
            "reaper.toml:9: keep.gateway: expected the name of a [[gateway]] (\"a\", \"lab\"); \"lab\" holds for all that it finds, \
             session or key for some of it; found \"lab:8888\""
        );
    }
}
