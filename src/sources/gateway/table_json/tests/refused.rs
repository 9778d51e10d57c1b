//! Whole or nothing: what refuses the table, and in which words.

use super::*;

fn table(rows: &str) -> String {
    format!(r#"{{"version":1,"sessions":[{rows}]}}"#)
}

#[test]
fn any_version_but_1_refuses_the_table() {
    let end = "expected 1, the only version this gateway-reaper reads: update the older of the two";
    for text in ["2", "0", "1.0", "1e0", r#""1""#, "true", "[1]", "{}", "11"] {
        let body = format!(r#"{{"version":{text},"sessions":[]}}"#);
        assert_eq!(refusal(body), format!("version: found {text}, {end}"));
    }
    assert_eq!(refusal(r#"{"sessions":[]}"#), format!("version: missing, {end}"));
    assert_eq!(refusal(r#"{"version":null,"sessions":[]}"#), format!("version: missing, {end}"));
    assert_eq!(refusal("{}"), format!("version: missing, {end}"));
    let rows_of_another_version = r#"{"sessions":[{"uuid":5}],"version":2}"#;
    assert_eq!(refusal(rows_of_another_version), format!("version: found 2, {end}"));
}

#[test]
fn sessions_that_are_missing_or_no_array_refuse_the_table() {
    let missing = "sessions: missing, expected an array, empty if there are none";
    assert_eq!(refusal(r#"{"version":1}"#), missing);
    assert_eq!(refusal(r#"{"version":1,"sessions":null}"#), missing);
    assert_eq!(
        refusal(r#"{"version":1,"sessions":{}}"#),
        "not a session table: invalid type: map, expected an array of sessions at line 1 column 24"
    );
    assert_eq!(
        refusal(r#"{"version":1,"sessions":[7]}"#),
        "not a session table: sessions[0]: invalid type: integer `7`, expected an object at line 1 column 26"
    );
    assert_eq!(
        refusal(table(r#"{"id":"a"},["b"]"#)),
        "not a session table: sessions[1]: invalid type: sequence, expected an object at line 1 column 36"
    );
}

#[test]
fn a_gateway_pid_that_is_not_understood_refuses_the_table() {
    for text in ["0", "-1", "1.5", "1.0", "1e2", r#""6082""#, "true", "2147483648", "1e999", "[]", "{}"] {
        let body = format!(r#"{{"version":1,"gateway":{{"pid":{text}}},"sessions":[]}}"#);
        let expected = format!("gateway.pid: found {text}, expected a process id, 1 to 2147483647");
        assert_eq!(refusal(body), expected);
    }
    assert_eq!(
        refusal(r#"{"version":1,"gateway":[6082,"x"],"sessions":[]}"#),
        r#"gateway: found [6082,"x"], expected an object with one `pid` and one `instance` at most"#
    );
}

#[test]
fn a_row_without_an_id_refuses_the_table() {
    let expected = "expected a text that isn't empty";
    assert_eq!(refusal(table("{}")), format!("sessions[0].id: missing, {expected}"));
    assert_eq!(refusal(table(r#"{"id":"a"},{"id":null}"#)), format!("sessions[1].id: missing, {expected}"));
    for text in ["5", r#""""#, "true", r#"["a"]"#, r#""\ud800""#] {
        let body = table(&format!(r#"{{"id":{text}}}"#));
        assert_eq!(refusal(body), format!("sessions[0].id: found {text}, {expected}"));
    }
}

#[test]
fn duplicate_ids_refuse_the_table() {
    let rows = r#"{"id":"x"},{"id":"441fb3fb"},{"id":"y"},{"id":"441\u0066b3fb"}"#;
    assert_eq!(refusal(table(rows)), r#"sessions[3] ("441fb3fb").id: duplicate of sessions[1]"#);
    let long = format!(r#"{{"id":"{0}"}},{{"id":"{0}"}}"#, "z".repeat(1000));
    let shown = "z".repeat(23);
    assert_eq!(refusal(table(&long)), format!("sessions[1] (\"{shown}…\").id: duplicate of sessions[0]"));
}

#[test]
fn a_field_that_is_there_twice_refuses_the_table() {
    assert_eq!(
        refusal(table(r#"{"id":"a","transport":"detached","transport":"attached"}"#)),
        "not a session table: sessions[0]: duplicate field `transport` at line 1 column 69"
    );
    assert_eq!(
        refusal(table(r#"{"id":"a","worker":{"pid":1,"pid":2}}"#)),
        r#"sessions[0] ("a").worker: found {"pid":1,"pid":2}, expected one `pid` at most"#
    );
    assert_eq!(
        refusal(r#"{"version":1,"gateway":{"pid":null,"pid":1},"sessions":[]}"#),
        r#"gateway: found {"pid":null,"pid":1}, expected an object with one `pid` and one `instance` at most"#
    );
    for body in [
        r#"{"version":1,"version":1,"sessions":[]}"#,
        r#"{"version":1,"sessions":[],"sessions":[]}"#,
        r#"{"version":1,"gateway":null,"gateway":{"pid":1},"sessions":[]}"#,
        r#"{"version":1,"sessions":[{"id":"a","id":"a"}]}"#,
        r#"{"version":1,"sessions":[{"id":"a","holds":[],"h\u006flds":[1]}]}"#,
    ] {
        assert!(refusal(body).contains("duplicate field"), "{body}");
    }
}

#[test]
fn what_is_not_json_from_end_to_end_refuses_the_table() {
    let whole = table(r#"{"id":"a","x":{"y":"é"}}"#);
    parse(whole.as_bytes()).unwrap();
    for end in 0..whole.len() {
        assert!(parse(&whole.as_bytes()[..end]).is_err(), "cut at {end}");
    }
    for tail in ["x", "{}", ",", "]", "\0", "null", "\u{feff}"] {
        assert!(parse(format!("{whole}{tail}").as_bytes()).is_err(), "{tail:?}");
    }
    assert!(parse(format!("{whole} \r\n\t").as_bytes()).is_ok());
    for (body, problem) in [
        ("", "EOF while parsing a value at line 1 column 0"),
        ("null", "invalid type: null, expected an object at line 1 column 4"),
        ("[1,null,[]]", "invalid type: sequence, expected an object at line 1 column 0"),
        (
            r#"{"version":1,"sessions":[{"id":"a"},"#,
            "sessions[1]: EOF while parsing a value at line 1 column 36",
        ),
        (
            r#"{"version":1,"sessions":[{"id":"a","x":NaN}]}"#,
            "sessions[0]: expected value at line 1 column 40",
        ),
        (r#"{"version":1,"sessions":[],}"#, "trailing comma at line 1 column 28"),
        (r#"{"version":1,"sessions":[]} x"#, "trailing characters at line 1 column 29"),
    ] {
        assert_eq!(refusal(body), format!("not a session table: {problem}"));
    }
}

#[test]
fn invalid_utf_8_anywhere_refuses_the_table() {
    let mut body = table(r#"{"id":"a","unknown":"?"}"#).into_bytes();
    let at = body.iter().position(|byte| *byte == b'?').unwrap();
    body[at] = 0xff;
    assert_eq!(refusal(body), format!("not a session table: byte {at} is not UTF-8"));
}

#[test]
fn deep_nesting_is_no_more_than_bytes() {
    let deep = "[".repeat(1_000_000);
    assert!(refusal(&deep).starts_with("not a session table: "));
    let closed = format!("{deep}{}", "]".repeat(1_000_000));
    for field in ["x", "activity", "holds", "worker"] {
        let body = table(&format!(r#"{{"id":"a","{field}":{closed}}}"#));
        assert!(parse(body.as_bytes()).is_ok(), "{field}");
    }
}

#[test]
fn a_message_never_echoes_more_than_a_short_piece() {
    let long = "x".repeat(100_000);
    for body in [
        format!(r#""{long}""#),
        format!(r#"{{"version":"{long}","sessions":[]}}"#),
        format!(r#"{{"version":1,"gateway":"{long}","sessions":[]}}"#),
        format!(r#"{{"version":1,"gateway":{{"pid":"{long}"}},"sessions":[]}}"#),
        format!(r#"{{"version":1,"sessions":"{long}"}}"#),
        table(&format!(r#""{long}""#)),
        table(&format!(r#"{{"id":["{long}"]}}"#)),
        table(&format!(r#"{{"id":"{long}","worker":{{"pid":1,"pid":"{long}"}}}}"#)),
    ] {
        let message = refusal(body);
        assert!(message.chars().count() <= 200, "{message}");
    }
}
