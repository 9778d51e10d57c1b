//! What a gateway's keys mean, and every message about one, word for word.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::message_tests::{GATEWAY, KINDS, told};
use super::token::TokenSource;
use super::user::UserSpec;
use super::{Config, GatewayConfig, GatewayKind, Names, defaults, parse};

fn taken(text: &str) -> Config {
    parse(text, Path::new("/etc/reaper/reaper.toml")).unwrap_or_else(|errors| panic!("{errors}"))
}

/// The gateway that these lines complete; they begin at line 5.
fn gateway(lines: &str) -> GatewayConfig {
    taken(&format!("{GATEWAY}{lines}")).gateways.remove(0)
}

fn refused(lines: &str, expected: &str) {
    assert_eq!(told(&format!("{GATEWAY}{lines}")), format!("reaper.toml:{expected}"));
}

/// A gateway in order but for one line of it.
fn refused_instead(of: &str, line: &str, expected: &str) {
    let text: String = GATEWAY
        .lines()
        .map(|good| if good.starts_with(of) { line } else { good })
        .map(|l| format!("{l}\n"))
        .collect();
    assert_eq!(told(&text), format!("reaper.toml:{expected}"), "{line}");
}

#[test]
fn a_gateway_that_says_nothing_else_gets_the_defaults() {
    let gateway = gateway("");
    assert_eq!(gateway.policy, defaults::policy());
    assert_eq!(gateway.timeout, Duration::from_secs(5));
    assert_eq!(gateway.max_table_bytes, 16_777_216);
    assert_eq!(gateway.kind.endpoint().unwrap().token, TokenSource::None);
    assert!(gateway.worker_user.is_none() && gateway.process.is_none());
}

#[test]
fn policy_holds_for_every_gateway_and_a_gateways_own_keys_win_there() {
    let second = GATEWAY.replace("\"a\"", "\"b\"");
    let config = taken(&format!(
        "[policy]\ngrace = \"1m\"\nmax_reaps = 7\n{GATEWAY}grace = \"2m\"\ndry_run = true\n{second}"
    ));
    let [a, b] = &config.gateways[..] else { panic!("two gateways") };
    assert_eq!((a.policy.grace.as_secs(), a.policy.max_reaps, a.policy.dry_run), (120, 7, true));
    assert_eq!((b.policy.grace.as_secs(), b.policy.max_reaps, b.policy.dry_run), (60, 7, false));
}

#[test]
fn graces_and_patience_may_be_nothing_and_a_timeout_may_not() {
    let gateway = gateway(
        "grace = \"0s\"\nclose_on_disconnect_grace = \"0s\"\nworker_grace = \"0s\"\nclose_timeout = \"0s\"\nterm_timeout = \"0s\"",
    );
    assert!(gateway.policy.grace.is_zero() && gateway.policy.term_timeout.is_zero());
    refused(
        "timeout = \"0s\"",
        "5: gateway.timeout: expected more than nothing, or no gateway could ever answer; found \"0s\"",
    );
}

#[test]
fn hermes_has_its_worker_match_built_in_and_http_has_none() {
    let argv = "/v/bin/python3 -m tui_gateway.slash_worker --session-key 2026_ab --model m";
    let built_in = gateway("").worker_match.unwrap();
    assert_eq!(built_in.matches(argv).unwrap().key, Some("2026_ab"));
    assert!(built_in.matches(&format!("tail -f {argv}")).is_none());

    let own = gateway("[gateway.worker]\nmatch = 'worker (?P<session>\\d+)'").worker_match.unwrap();
    assert!(own.matches(argv).is_none());
    assert_eq!(own.matches("worker 7").unwrap().key, Some("7"));

    let http = taken(&GATEWAY.replace("hermes", "http")).gateways.remove(0);
    assert!(matches!(http.kind, GatewayKind::Http(_)));
    assert!(http.worker_match.is_none());
}

#[test]
fn a_hermes_dashboard_may_be_named_by_its_home() {
    let by_home = GATEWAY.replace("url = \"http://127.0.0.1:9119\"", "home = \"/h\"\ntoken_env = \"T\"");
    let gateway = taken(&by_home).gateways.remove(0);
    assert_eq!(gateway.kind.as_str(), "hermes");
    let GatewayKind::HermesHome(of) = gateway.kind else { panic!("{:?}", gateway.kind) };
    assert_eq!((of.home, of.token), ("/h".into(), TokenSource::Env("T".to_owned())));
    refused("home = \"/h\"", "5: gateway.home: url stands here too; keep one of them");
    let text = GATEWAY.replace("hermes", "http") + "home = \"/h\"\n";
    assert!(told(&text).contains("kind = \"http\" has no home; take it out"), "{}", told(&text));
}

#[test]
fn what_is_missing_is_told_at_the_gateways_own_line() {
    assert_eq!(
        told("\n[[gateway]]\n[[gateway]]\nname = \"b\"\n"),
        format!(
            "reaper.toml:2: gateway.name: missing; expected a name of up to 64 characters in quotes, such as \"dashboard\"\n\
             reaper.toml:2: gateway.kind: missing; expected {KINDS}\n\
             reaper.toml:2: gateway.url: missing; expected the gateway's address in quotes, such as \"http://127.0.0.1:9119\"\n\
             reaper.toml:3: gateway.kind: missing; expected {KINDS}\n\
             reaper.toml:3: gateway.url: missing; expected the gateway's address in quotes, such as \"http://127.0.0.1:9119\""
        )
    );
}

#[test]
fn a_name_is_short_printable_and_its_own() {
    const EXPECTED: &str =
        "2: gateway.name: expected a name of up to 64 characters in quotes, such as \"dashboard\"; found";
    refused_instead("name", "name = \"\"", &format!("{EXPECTED} \"\""));
    refused_instead("name", "name = \" a\"", &format!("{EXPECTED} \" a\""));
    refused_instead("name", "name = \"a\\u001bb\"", &format!("{EXPECTED} \"a\\u{{1b}}b\""));
    refused_instead("name", "name = 7", &format!("{EXPECTED} the number 7"));
    refused(GATEWAY, "6: gateway.name: \"a\" is taken by the gateway at line 1; every gateway needs its own");
}

#[test]
fn a_kind_is_one_that_is_served() {
    refused_instead(
        "kind",
        "kind = \"file\"",
        &format!("3: gateway.kind: \"file\" is not served by this version; it serves {KINDS}"),
    );
    refused_instead(
        "kind",
        "kind = \"htp\"",
        &format!("3: gateway.kind: expected {KINDS}; found \"htp\"; did you mean \"http\"?"),
    );
    refused_instead(
        "kind",
        "kind = \"gopher\"",
        &format!("3: gateway.kind: expected {KINDS}; found \"gopher\""),
    );
}

#[test]
fn a_url_is_plain_http_with_a_host() {
    const EXPECTED: &str = "expected an address such as http://127.0.0.1:9119";
    let rows = [
        (
            "https://h",
            "TLS is not spoken here, because the reaper runs beside the gateway; expected an address such as \
             http://127.0.0.1:9119, its loopback address; found \"https://h\"",
        ),
        ("127.0.0.1:9119", &format!("{EXPECTED}, starting with http://; found \"127.0.0.1:9119\"")),
        ("ws://h/api/ws", &format!("{EXPECTED}, starting with http://; found \"ws://h/api/ws\"")),
        ("", &format!("{EXPECTED}, starting with http://; found \"\"")),
        ("http://", &format!("{EXPECTED}; found \"http://\", which has no host")),
        ("http://:80", &format!("{EXPECTED}; found \"http://:80\", which has no host")),
        (
            "http://h:99999",
            &format!("{EXPECTED}; found \"http://h:99999\", whose port is not a number from 1 to 65535"),
        ),
        (
            "http://h:0",
            &format!("{EXPECTED}; found \"http://h:0\", whose port is not a number from 1 to 65535"),
        ),
        (
            "http://h:",
            &format!("{EXPECTED}; found \"http://h:\", whose port is not a number from 1 to 65535"),
        ),
        ("http://a b", &format!("{EXPECTED}; found \"http://a b\": invalid uri character")),
        (
            "http://me:hunter2@h",
            &format!(
                "{EXPECTED}, without user and password (not repeated here); a token goes into token_env or token_file"
            ),
        ),
        (
            "http://h/?token=hunter2",
            &format!(
                "{EXPECTED}, without anything from ? or # on (not repeated here); a token goes into token_env or token_file"
            ),
        ),
    ];
    for (url, expected) in rows {
        refused_instead("url", &format!("url = \"{url}\""), &format!("4: gateway.url: {expected}"));
    }
    refused_instead(
        "url",
        "url = 9119",
        "4: gateway.url: expected the gateway's address in quotes, such as \"http://127.0.0.1:9119\"; found a number",
    );
}

#[test]
fn a_token_comes_from_a_variable_or_a_file() {
    let token = |line: &str| gateway(line).kind.endpoint().unwrap().token.clone();
    assert_eq!(token("token_env = \"T_1\""), TokenSource::Env("T_1".to_owned()));
    let file = |path: &str| TokenSource::File(PathBuf::from(path));
    assert_eq!(token("token_file = \"/run/token\""), file("/run/token"));
    // Relative to the folder of the configuration.
    assert_eq!(token("token_file = \"token\""), file("/etc/reaper/token"));
    refused(
        "token_env = \"A\"\ntoken_file = \"/b\"",
        "6: gateway.token_file: token_env stands here too; keep one of them",
    );
}

#[test]
fn a_token_put_in_by_mistake_is_not_repeated() {
    const EXPECTED: &str = "5: gateway.token_env: expected the name of an environment variable in quotes, such as \"GATEWAY_TOKEN\"; found";
    for line in ["token_env = \"hunter-2\"", "token_env = \"2hunter\"", "token_env = \"\""] {
        refused(
            line,
            &format!("{EXPECTED} something else (not repeated here: it might be the token itself)"),
        );
    }
    refused("token_env = 1234567", &format!("{EXPECTED} a number"));
    refused(
        "token = \"hunter2\"",
        "5: gateway.token: a secret never stands in this file; name the variable that holds the gateway's token \
         (token_env = \"NAME\"), or the file (token_file = \"/path\")",
    );
}

#[test]
fn a_table_has_a_sensible_size() {
    assert_eq!(gateway("max_table_bytes = 0x1000").max_table_bytes, 4096);
    assert_eq!(gateway("max_table_bytes = 1_000_000").max_table_bytes, 1_000_000);
    for (value, found) in
        [("0", "the number 0"), ("2000000000", "the number 2000000000"), ("\"16MB\"", "\"16MB\"")]
    {
        refused(
            &format!("max_table_bytes = {value}"),
            &format!(
                "5: gateway.max_table_bytes: expected a whole number of bytes from 1024 to 1073741824 (1 GiB); found {found}"
            ),
        );
    }
}

#[test]
fn a_pattern_is_a_regular_expression_that_does_not_fit_everything() {
    refused(
        "[gateway.worker]\nmatch = '(x'",
        "6: gateway.worker.match: expected a regular expression in quotes; found \"(x\": found open group without \
         closing ')'",
    );
    for pattern in ["", ".*", ".+", "\\S+", "x?", "/.*"] {
        refused(
            &format!("[gateway.worker]\nmatch = '{pattern}'"),
            &format!(
                "6: gateway.worker.match: expected a pattern that fits these processes and no others; found {pattern:?}, \
                 which fits any process"
            ),
        );
    }
    refused(
        "[gateway.process]\nmatch = 1",
        "6: gateway.process.match: expected a regular expression in quotes; found the number 1",
    );
}

#[test]
fn the_workers_user_is_a_name_or_a_number() {
    let user = |value: &str| gateway(&format!("[gateway.worker]\nuser = {value}")).worker_user;
    assert_eq!(user("\"hermes\""), Some(UserSpec::Name("hermes".to_owned())));
    assert_eq!(user("1000"), Some(UserSpec::Uid(1000)));
    assert_eq!(user("\"0\""), Some(UserSpec::Uid(0)));
    for (value, found) in
        [("-1", "the number -1"), ("\"\"", "\"\""), ("\"a b\"", "\"a b\""), ("true", "true")]
    {
        refused(
            &format!("[gateway.worker]\nuser = {value}"),
            &format!("6: gateway.worker.user: expected a user's name in quotes, or a user id; found {found}"),
        );
    }
}

#[test]
fn the_gateways_process_is_found_by_match_or_pid_file_or_both() {
    let process = gateway("[gateway.process]\nmatch = 'hermes'\npid_file = \"g.pid\"").process.unwrap();
    assert!(process.match_.unwrap().matches("hermes dashboard").is_some());
    assert_eq!(process.pid_file, Some(PathBuf::from("/etc/reaper/g.pid")));
    refused("[gateway.process]", "5: gateway.process: expected match, pid_file or both; found neither");
}

#[test]
fn jupyter_has_a_grace_of_its_own_that_the_file_may_change() {
    let of = |text: &str| {
        parse(text, Path::new("reaper.toml")).unwrap_or_else(|errors| panic!("{errors}")).gateways.remove(0)
    };
    let gateway = "[[gateway]]\nname = \"a\"\nkind = \"jupyter\"\n";
    let silent = of(gateway);
    assert_eq!(silent.policy.grace, Duration::from_secs(12 * 3600));
    assert_eq!(
        silent.policy.busy_cpu.map(|share| share.of(Duration::from_secs(200))),
        Some(Duration::from_secs(1))
    );
    assert!(matches!(silent.kind, GatewayKind::JupyterRuntime(_)));
    assert_eq!(
        of(&format!("[policy]\ngrace = \"1h\"\nbusy_cpu = \"off\"\n{gateway}")).policy.grace,
        Duration::from_secs(3600)
    );
    assert_eq!(of(&format!("[policy]\nbusy_cpu = \"off\"\n{gateway}")).policy.busy_cpu, None);
    assert_eq!(of(&format!("{gateway}grace = \"2h\"\n")).policy.grace, Duration::from_secs(7200));
    let named = of(&format!("{gateway}url = \"http://127.0.0.1:8888/base\"\ntoken_env = \"T\"\n"));
    assert!(matches!(named.kind, GatewayKind::Jupyter(_)));
    let told = |text: &str| parse(text, Path::new("reaper.toml")).unwrap_err().to_string();
    assert!(told(&format!("{gateway}token_env = \"T\"\n")).contains("name the server by url"));
    assert!(
        told(&format!("{gateway}url = \"http://127.0.0.1:1\"\nruntime_dir = \"/x\"\n"))
            .contains("keep one of them")
    );
}

fn command_with(lines: &str) -> String {
    format!("[[gateway]]\nname = \"a\"\nkind = \"command\"\n{lines}")
}

#[test]
fn a_command_has_its_programs_and_no_address() {
    let text =
        command_with("table = [\"/bin/t\", \"-x\"]\nreap = [\"/bin/r\"]\nenvironment = [\"TMUX_TMPDIR\"]\n");
    let GatewayKind::Command(of) = parse(&text, Path::new("reaper.toml")).unwrap().gateways.remove(0).kind
    else {
        panic!()
    };
    assert_eq!(
        (of.table.program.to_str(), of.table.arguments.as_slice()),
        (Some("/bin/t"), &["-x".to_owned()][..])
    );
    assert_eq!(of.reap.map(|reap| reap.program), Some("/bin/r".into()));
    assert_eq!(of.environment, ["TMUX_TMPDIR"]);

    let alone = parse(&command_with("table = [\"/bin/t\"]\n"), Path::new("reaper.toml")).unwrap();
    assert!(matches!(&alone.gateways[0].kind, GatewayKind::Command(of) if of.reap.is_none()));
    assert!(alone.gateways[0].worker_match.is_none());
}

#[test]
fn a_program_is_named_by_its_path_in_full_and_its_words() {
    const EXPECTED: &str = "expected a program's path in full and its arguments, such as \
                            [\"/usr/local/bin/sessions\", \"--json\"]";
    for (lines, found) in [
        ("reap = [\"/bin/r\"]", format!("1: gateway.table: missing; {EXPECTED}")),
        ("table = \"/bin/t\"", format!("4: gateway.table: {EXPECTED}; found a string")),
        ("table = [\"/bin/t\", 7]", format!("4: gateway.table: {EXPECTED}; found an array with something else in it than strings")),
        ("table = [\"t\"]", format!("4: gateway.table: {EXPECTED}; found a first word that is no path in full (no shell looks for it)")),
        ("table = [\"/bin/t\"]\nreap = []", format!("5: gateway.reap: {EXPECTED}; found an empty array")),
        (
            "table = [\"/bin/t\"]\nenvironment = [\"K=s3cret\"]",
            "5: gateway.environment: expected the names of environment variables in quotes, such as [\"TMUX_TMPDIR\"]; found \
             something else (not repeated here)".to_owned(),
        ),
        ("table = [\"/bin/t\"]\nurl = \"http://h\"", "5: gateway.url: kind = \"command\" has no url; take it out".to_owned()),
    ] {
        assert_eq!(told(&command_with(lines)), format!("reaper.toml:{found}"), "{lines}");
    }
    let other = format!("{GATEWAY}table = [\"/bin/t\"]");
    assert_eq!(told(&other), "reaper.toml:5: gateway.table: kind = \"hermes\" has no table; take it out");
}

#[test]
fn marks_are_a_variable_and_a_pattern_for_the_cgroup() {
    let marks =
        gateway("[gateway.worker]\nmarker = \"KEY\"\ncgroup = 's-(?P<session>[a-z]+)\\.scope$'\n").marks;
    assert_eq!(marks.variable, Some(("KEY".to_owned(), Names::Session)));
    let cgroup = marks.cgroup.unwrap();
    assert_eq!(cgroup.session_of("/user.slice/s-abc.scope"), Some("abc"));
    assert_eq!(cgroup.session_of("/user.slice/s-abc.scope/below"), None);
    let marks = gateway("[gateway.worker]\nmarker = \"PID\"\nmarker_names = \"gateway\"\n").marks;
    assert_eq!(marks.variable, Some(("PID".to_owned(), Names::Gateway)));
    assert!(gateway("").marks.is_empty());

    for (line, told) in [
        (
            "marker = \"a b\"",
            "marker: expected the name of an environment variable in quotes, such as \"HERMES_SESSION_KEY\"; found \"a b\"",
        ),
        (
            "marker_names = \"x\"\nmarker = \"K\"",
            "marker_names: expected \"session\" or \"gateway\"; found \"x\"",
        ),
        (
            "marker_names = \"session\"",
            "marker_names: says what the value of marker names, and there is no marker",
        ),
        (
            "cgroup = 'x'",
            "cgroup: expected a regular expression in quotes with a group (?P<session>…); found \"x\", which has none",
        ),
    ] {
        refused(&format!("[gateway.worker]\n{line}"), &format!("6: gateway.worker.{told}"));
    }
}
