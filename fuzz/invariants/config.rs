//! The configuration: one that is taken can be run on as it is, and every mistake in one that isn't has its place.

use std::collections::BTreeSet;
use std::path::Path;

use gateway_reaper::config::{Config, duration, parse};

use super::is_harmless;

/// `config::load` refuses what is no text before it gets here.
pub(crate) fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match parse(text, Path::new("reaper.toml")) {
        Ok(config) => check_config(&config),
        Err(errors) => {
            assert!(!errors.problems().is_empty(), "a refusal has a reason");
            let lines = 1 + text.matches('\n').count();
            for problem in errors.problems() {
                assert!((1..=lines).contains(&problem.line), "{problem:?} is on none of {lines} lines");
                assert!(is_harmless(&problem.message), "{problem:?}");
                assert!(problem.key.as_deref().is_none_or(is_harmless), "{problem:?}");
            }
            for line in errors.to_string().lines() {
                assert!(line.starts_with("reaper.toml:"), "{line:?}");
            }
        }
    }
}

fn check_config(config: &Config) {
    assert!(!config.gateways.is_empty());
    let names: BTreeSet<&str> = config.gateways.iter().map(|gateway| gateway.name.as_str()).collect();
    assert_eq!(names.len(), config.gateways.len(), "names are unique");
    for gateway in &config.gateways {
        let name = gateway.name.as_str();
        assert!(is_harmless(name) && name.chars().count() <= 64 && name.trim() == name, "{name:?}");
        assert!(!gateway.timeout.is_zero());
        assert!((1024..=1 << 30).contains(&gateway.max_table_bytes));
        let policy = &gateway.policy;
        assert!((1..=1_000_000).contains(&policy.max_reaps));
        let spans = [
            gateway.timeout,
            policy.grace,
            policy.close_on_disconnect_grace,
            policy.worker_grace,
            policy.close_timeout,
            policy.term_timeout,
        ];
        assert!(spans.iter().all(|span| *span <= duration::LONGEST), "{policy:?}");
        let address = &gateway.kind.endpoint().expect("every kind so far has one").address;
        let again = address.to_string().parse();
        assert_eq!(Ok(address), again.as_ref(), "what is shown of an address is that address");
        assert!(address.path().starts_with('/') && !address.path().contains(['?', '#']), "{address}");
    }
}
