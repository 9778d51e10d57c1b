//! Every message about the file as a whole, its syntax, its tables and its policy, word for word.

use std::path::Path;

use proptest::prelude::*;

use super::parse;

/// A gateway that is in order, on four lines.
pub(super) const GATEWAY: &str =
    "[[gateway]]\nname = \"a\"\nkind = \"hermes\"\nurl = \"http://127.0.0.1:9119\"\n";

/// The kinds as messages name them.
pub(super) const KINDS: &str = "\"hermes\" or \"http\" or \"jupyter\" or \"command\" or \"processes\"";

/// What is said about a text.
pub(super) fn told(text: &str) -> String {
    match parse(text, Path::new("reaper.toml")) {
        Ok(config) => panic!("taken: {config:?}"),
        Err(errors) => errors.to_string(),
    }
}

/// What is said about lines that follow a gateway in order; they begin at line 5.
fn told_after(lines: &str) -> String {
    told(&format!("{GATEWAY}{lines}"))
}

#[test]
fn a_file_without_a_gateway_is_refused() {
    let missing =
        "reaper.toml:1: gateway: missing; expected at least one [[gateway]] with its name, kind and url";
    assert_eq!(told(""), missing);
    assert_eq!(told("\u{feff}# nothing\n"), missing);
    assert_eq!(told("gateway = []"), missing);
}

#[test]
fn gateways_come_in_two_pairs_of_brackets() {
    assert_eq!(
        told(&GATEWAY.replace("[[gateway]]", "[gateway]").replace("hermes", "hermis")),
        format!(
            "reaper.toml:1: gateway: expected [[gateway]], in two pairs of brackets; found a table\n\
             reaper.toml:3: gateway.kind: expected {KINDS}; found \"hermis\"; did you mean \"hermes\"?"
        )
    );
    assert_eq!(
        told("gateway = \"http://127.0.0.1\""),
        "reaper.toml:1: gateway: expected [[gateway]], in two pairs of brackets; found \"http://127.0.0.1\""
    );
    assert_eq!(
        told("gateway = [1]"),
        "reaper.toml:1: gateway: expected [[gateway]], in two pairs of brackets; found the number 1"
    );
}

#[test]
fn broken_syntax_is_told_with_line_and_column() {
    let rows = [
        (
            "[policy\ngrace = \"20s\"\n\n[state]\ndir = \"/x\n",
            "1:8: not valid TOML: unclosed table, expected `]`\n\
             reaper.toml:5:10: not valid TOML: invalid basic string, expected `\"`",
        ),
        ("grace = 20s", "1:9: not valid TOML: string values must be quoted, expected literal string"),
        ("é = 1", "1:1: not valid TOML: invalid unquoted key, expected letters, numbers, `-`, `_`"),
        ("[policy]\ngrace \"20s\"", "2:7: not valid TOML: key with no value, expected `=`"),
        (
            "match = \"\\S\"",
            "1:11: not valid TOML: missing escaped value, expected `b`, `e`, `f`, `n`, `r`, `\\`, `\"`, `x`, `u`, \
             `U`; write what has backslashes between single quotes",
        ),
        (
            "[policy]\ngrace = \"1s\"\ngrace = \"2s\"",
            "3:1: not valid TOML: duplicate key \"grace\"; it stands further up already",
        ),
        (
            "[policy]\n[state]\n[policy]",
            "3:2: not valid TOML: duplicate key \"policy\"; it stands further up already",
        ),
    ];
    for (text, expected) in rows {
        assert_eq!(told(text), format!("reaper.toml:{expected}"));
    }
}

#[test]
fn every_mistake_of_a_file_is_told_in_the_order_of_its_lines() {
    let text = "grace = \"1s\"\n\
        [polcy]\n\
        [policy]\n\
        grce = \"20s\"\n\
        term_timeout = 5\n\
        [[gateway]]\n\
        name = \"\"\n\
        [gateway.worker]\n\
        pid_file = \"/x\"\n\
        timeout = \"5s\"\n\
        [state]\n\
        dir = \"\"\n";
    assert_eq!(
        told(text).split("reaper.toml:").skip(1).map(str::trim_end).collect::<Vec<_>>(),
        [
            "1: grace: belongs in [policy] or in [[gateway]], not at the top level",
            "2: polcy: unknown table; did you mean \"policy\"?",
            "4: policy.grce: unknown key; did you mean \"grace\"?",
            "5: policy.term_timeout: expected a duration in quotes, such as \"20s\" or \"1m 30s\"; found the number 5",
            &format!("6: gateway.kind: missing; expected {KINDS}"),
            "6: gateway.url: missing; expected the gateway's address in quotes, such as \"http://127.0.0.1:9119\"",
            "7: gateway.name: expected a name of up to 64 characters in quotes, such as \"dashboard\"; found \"\"",
            "9: gateway.worker.pid_file: belongs in [gateway.process], not in [gateway.worker]",
            "10: gateway.worker.timeout: belongs in [[gateway]], not in [gateway.worker]",
            "12: state.dir: expected a path in quotes; found \"\"",
        ]
    );
}

#[test]
fn an_unknown_key_is_told_with_the_nearest_or_the_known_ones() {
    let rows = [
        ("[policy]\ngrce = 1", "reaper.toml:6: policy.grce: unknown key; did you mean \"grace\"?"),
        ("[polcy]\ngrace = 1", "reaper.toml:5: polcy: unknown table; did you mean \"policy\"?"),
        ("[state]\npath = 1", "reaper.toml:6: state.path: unknown key; known in [state] are dir"),
        (
            "[state]\ngrece = 1",
            "reaper.toml:6: state.grece: unknown key; did you mean \"grace\", which belongs in [policy]?",
        ),
        (
            "[state]\ngrace = 1",
            "reaper.toml:6: state.grace: belongs in [policy] or in [[gateway]], not in [state]",
        ),
        (
            "[policy]\n\"a\\nb\" = 1",
            "reaper.toml:6: policy.\"a\\nb\": unknown key; known in [policy] are grace, close_on_disconnect_grace, \
             worker_grace, close_timeout, term_timeout, max_reaps, closes_at_once, idle_worker, busy_cpu, without_table, start_timeout, dry_run",
        ),
        (
            "policy.grace.x = 1",
            "reaper.toml:5: gateway.policy: unknown table; the keys of [policy] stand directly under [[gateway]] to win there",
        ),
        (
            "Token = \"hunter2\"",
            "reaper.toml:5: gateway.Token: a secret never stands in this file; name the variable that holds the \
             gateway's token (token_env = \"NAME\"), or the file (token_file = \"/path\")",
        ),
    ];
    for (lines, expected) in rows {
        assert_eq!(told_after(lines), expected);
    }
}

#[test]
fn a_table_is_a_table() {
    assert_eq!(
        told(&format!("policy = \"strict\"\n{GATEWAY}")),
        "reaper.toml:1: policy: expected a table; found \"strict\""
    );
    assert_eq!(
        told_after("worker = 1"),
        "reaper.toml:5: gateway.worker: expected a table; found the number 1"
    );
    assert_eq!(told_after("[[state]]"), "reaper.toml:5: state: expected a table; found an array");
}

#[test]
fn a_duration_has_a_number_and_a_unit() {
    let rows = [
        ("20", "the number 20"),
        ("-5", "the number -5"),
        ("1.5", "the number 1.5"),
        ("true", "true"),
        ("2026-11-23", "a date"),
        ("[]", "an array"),
        ("{}", "a table"),
        ("\"\"", "\"\": it is empty"),
        ("\"20\"", "\"20\": its unit is missing"),
        ("\"-5s\"", "\"-5s\": it is negative"),
        ("\"11 years\"", "\"11 years\": it is longer than 10 years"),
        (
            "\"20 parsecs\"",
            "\"20 parsecs\": write numbers with units: ms, s, m (or min), h, d, w; larger ones first, nothing \
             between them but spaces",
        ),
    ];
    for (value, found) in rows {
        let expected = format!(
            "reaper.toml:6: policy.grace: expected a duration in quotes, such as \"20s\" or \"1m 30s\"; found {found}"
        );
        assert_eq!(told_after(&format!("[policy]\ngrace = {value}")), expected);
    }
}

#[test]
fn max_reaps_is_a_whole_number_above_zero() {
    for (value, found) in [
        ("0", "the number 0"),
        ("-1", "the number -1"),
        ("1.0", "the number 1.0"),
        ("1000001", "the number 1000001"),
        ("99999999999999999999999", "the number 99999999999999999999999"),
        ("\"ten\"", "\"ten\""),
    ] {
        let expected = format!(
            "reaper.toml:6: policy.max_reaps: expected a whole number from 1 to 1000000 (to reap nothing, write \
             dry_run = true); found {found}"
        );
        assert_eq!(told_after(&format!("[policy]\nmax_reaps = {value}")), expected);
    }
}

#[test]
fn closes_at_once_is_a_whole_number_above_zero() {
    for (value, found) in [("0", "the number 0"), ("1001", "the number 1001"), ("\"8\"", "\"8\"")] {
        let expected = format!(
            "reaper.toml:6: policy.closes_at_once: expected a whole number from 1 to 1000; found {found}"
        );
        assert_eq!(told_after(&format!("[policy]\ncloses_at_once = {value}")), expected);
    }
}

#[test]
fn an_idle_worker_has_a_span_or_none() {
    for (value, found) in [
        (
            "\"0s\"",
            "expected more than nothing, such as \"30m\", or \"off\"; found \"0s\", with which every worker would end while it is in use",
        ),
        ("30", "expected a duration in quotes, such as \"20s\" or \"1m 30s\"; found the number 30"),
    ] {
        let told = told_after(&format!("[policy]\nidle_worker = {value}"));
        assert_eq!(told, format!("reaper.toml:6: policy.idle_worker: {found}"));
    }
}

#[test]
fn busy_cpu_is_a_part_of_one_core() {
    for (value, found) in
        [("\"0%\"", "\"0%\""), ("\"101%\"", "\"101%\""), ("\"0.5\"", "\"0.5\""), ("0.5", "the number 0.5")]
    {
        assert_eq!(
            told_after(&format!("[policy]\nbusy_cpu = {value}")),
            format!(
                "reaper.toml:6: policy.busy_cpu: expected a part of one processor core in quotes, from \"0.01%\" to \"100%\", \
                 or \"off\"; found {found}"
            )
        );
    }
}

#[test]
fn without_table_is_one_of_two_words() {
    assert_eq!(
        told_after("[policy]\nwithout_table = \"all\""),
        "reaper.toml:6: policy.without_table: expected \"report\" or \"workers\"; found \"all\""
    );
}

#[test]
fn an_idle_worker_of_an_unknown_kind_needs_busy_cpu() {
    let http = GATEWAY.replace("hermes", "http");
    assert_eq!(
        told(&format!("{http}idle_worker = \"30m\"")),
        "reaper.toml:5: gateway.idle_worker: kind = \"http\" doesn't know what a worker at rest looks like: set busy_cpu too, \
         such as \"0.5%\", or idle_worker = \"off\" for this gateway"
    );
    assert!(
        told(&format!("{http}[policy]\nidle_worker = \"30m\""))
            .starts_with("reaper.toml:1: gateway.idle_worker: ")
    );
    for good in ["idle_worker = \"30m\"\nbusy_cpu = \"0.5%\"", "[policy]\nidle_worker = \"off\""] {
        assert!(parse(&format!("{http}{good}"), Path::new("reaper.toml")).is_ok(), "{good}");
    }
}

#[test]
fn a_kernel_is_no_worker_that_another_one_replaces() {
    let jupyter = GATEWAY.replace("hermes", "jupyter");
    assert_eq!(
        told(&format!("{jupyter}idle_worker = \"30m\"")),
        "reaper.toml:5: gateway.idle_worker: a worker of kind = \"jupyter\" has all that its user has computed, and another one \
         starts with nothing: write idle_worker = \"off\" for this gateway; its grace closes what nobody uses"
    );
    let off = format!("{jupyter}idle_worker = \"off\"\n[policy]\nidle_worker = \"30m\"");
    assert!(parse(&off, Path::new("reaper.toml")).is_ok());
}

#[test]
fn workers_without_a_table_are_of_a_kind_that_can_be_looked_at_from_outside() {
    let http = GATEWAY.replace("hermes", "http");
    assert_eq!(
        told(&format!("{http}without_table = \"workers\"")),
        "reaper.toml:5: gateway.without_table: kind = \"http\" can't be looked at from outside; only \"hermes\" can"
    );
}

#[test]
fn dry_run_is_true_or_false() {
    assert_eq!(
        told_after("dry_run = \"yes\""),
        "reaper.toml:5: gateway.dry_run: expected true or false; found \"yes\""
    );
}

#[test]
fn a_path_is_written_in_full() {
    for (value, expected) in [
        ("1", "a path in quotes; found the number 1"),
        ("\"\"", "a path in quotes; found \"\""),
        ("\"/a\\u0000b\"", "a path in quotes; found \"/a\\0b\""),
        ("\"~/x\"", "a path in full (neither ~ nor variables are expanded here); found \"~/x\""),
        ("\"$HOME/x\"", "a path in full (neither ~ nor variables are expanded here); found \"$HOME/x\""),
    ] {
        assert_eq!(
            told_after(&format!("[state]\ndir = {value}")),
            format!("reaper.toml:6: state.dir: expected {expected}")
        );
    }
}

#[test]
fn what_is_shown_of_a_value_is_short_and_on_one_line() {
    let message = told_after(&format!("[policy]\ngrace = \"\\u001b[31m\\n{}\"", "x".repeat(500)));
    assert_eq!(message.lines().count(), 1);
    assert!(message.contains("found \"\\u{1b}[31m\\nxxxx") && message.contains("\" and more"), "{message}");
    assert!(message.len() < 300, "{message}");
}

#[test]
fn a_large_file_that_is_no_configuration_is_refused_briefly_and_at_once() {
    let log = "2026-11-23 INFO nothing of interest\n".repeat(20_000);
    let message = told(&log);
    assert_eq!(message.lines().count(), 51);
    assert!(message.ends_with("reaper.toml: 19950 more mistakes"), "{message}");

    let keys: String = (0..2_000).map(|n| format!("k{n} = {n}\n")).collect();
    assert_eq!(told(&keys).lines().count(), 51);
}

#[test]
fn line_endings_of_other_systems_do_not_shift_the_line() {
    assert!(told_after("[policy]\r\n# x\r\ngrce = 1\r\n").starts_with("reaper.toml:7: policy.grce"));
}

/// Pieces that make texts which are nearly configurations, between spaces.
const PIECES: &str = "[ ] [[ ]] { } = . , \n \r\n \" ' ''' \"\"\" # gateway policy worker process grace url name kind match \
    \"20s\" \"hermes\" \"http://a\" '(x' 1 -0 0x1F 1e9 nan true 1979-05-27 \\ \0 é \u{feff} token";

fn nearly() -> impl Strategy<Value = String> {
    let pieces: Vec<&str> = PIECES.split(' ').chain([" "]).collect();
    proptest::collection::vec(proptest::sample::select(pieces), 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic_and_every_refusal_says_something(text in prop_oneof![any::<String>(), nearly()]) {
        if let Err(errors) = parse(&text, Path::new("reaper.toml")) {
            let lines = 1 + text.matches('\n').count();
            prop_assert!(!errors.problems().is_empty());
            prop_assert!(errors.problems().iter().all(|problem| (1..=lines).contains(&problem.line)));
            prop_assert_eq!(errors.to_string().lines().count(), errors.problems().len().min(51));
        }
    }
}
