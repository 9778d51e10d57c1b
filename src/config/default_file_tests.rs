//! The annotated default is the reference: it works as it is, states the values that hold without it, and leaves no key out.

use std::path::Path;

use super::user::UserSpec;
use super::{Config, DEFAULT, GatewayConfig, GatewayKind, keys, parse};

fn read(text: &str) -> Config {
    parse(text, Path::new("reaper.toml")).unwrap_or_else(|errors| panic!("{errors}"))
}

/// A key or a table header that is commented out: a "#" and no space. Prose has a space.
fn commented_out(line: &str) -> Option<&str> {
    line.strip_prefix('#').filter(|rest| !rest.is_empty() && !rest.starts_with(' '))
}

/// The default with every commented-out line taken in, but for the one that begins like this.
fn all_but(left_out: &str) -> String {
    let line = |line: &'static str| match commented_out(line) {
        // They stand instead of url, which is there.
        Some(rest) if ![left_out, "home = ", "runtime_dir = "].iter().any(|out| rest.starts_with(out)) => {
            rest
        }
        _ => line,
    };
    DEFAULT.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// What holds for a gateway, without what is only an example.
fn values(gateway: &GatewayConfig) -> String {
    let GatewayConfig { name, kind, timeout, max_table_bytes, policy, worker_match, .. } = gateway;
    let address = &kind.endpoint().unwrap().address;
    format!("{name} {kind} {address} {timeout:?} {max_table_bytes} {policy:#?} {worker_match:?}")
}

#[test]
fn as_it_stands_it_watches_one_hermes_dashboard() {
    let config = read(DEFAULT);
    assert_eq!(config.state_dir, None);
    let [gateway] = config.gateways.as_slice() else { panic!("one gateway: {config:?}") };
    assert_eq!((gateway.name.as_str(), gateway.kind.as_str()), ("dashboard", "hermes"));
    assert_eq!(gateway.kind.endpoint().unwrap().address.to_string(), "http://127.0.0.1:9119/");
}

#[test]
fn every_commented_out_line_parses_and_states_the_value_that_holds_without_it() {
    for left_out in ["token_env", "token_file"] {
        let config = read(&all_but(left_out));
        assert_eq!(values(&config.gateways[0]), values(&read(DEFAULT).gateways[0]));
        assert_eq!(config.gateways[0].worker_user, Some(UserSpec::Name("hermes".to_owned())));
        assert!(config.state_dir.is_some());
        assert!(matches!(config.gateways[1].kind, GatewayKind::Http(_)));
    }
}

#[test]
fn it_names_every_key_that_the_configuration_knows_where_it_belongs() {
    let mut place = "at the top level".to_owned();
    let mut missing: Vec<(&str, &str)> = keys::own_keys().collect();
    for line in DEFAULT.lines().map(|line| commented_out(line).unwrap_or(line)) {
        if line.starts_with('[') {
            place = format!("in {line}");
            // A table is named by its header.
            missing.retain(|(_, known)| !line.trim_matches(['[', ']']).ends_with(known));
        }
        let key = line.split_once(" = ").map_or("", |(key, _)| key);
        missing.retain(|(table, known)| (*table, *known) != (&place, key));
    }
    assert_eq!(missing, []);
}

#[test]
fn it_is_prose_that_fits_a_terminal() {
    for line in DEFAULT.lines().filter(|line| line.starts_with("# ")) {
        assert!(line.len() <= 80, "{line}");
    }
}
