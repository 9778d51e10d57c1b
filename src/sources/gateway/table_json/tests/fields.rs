//! What is absent, and what is not understood, field by field.

use super::*;

fn not_understood<T>(text: &str) -> Told<T> {
    Told::NotUnderstood(text.into())
}

#[test]
fn what_is_absent_or_null_is_absent() {
    let nulls = r#","key":null,"transport":null,"detached_for_s":null,"turn":null,"idle_for_s":null,
        "activity":null,"close_on_disconnect":null,"holds":null"#;
    for session in [row(""), row(nulls)] {
        assert_eq!(session.key, Told::Absent);
        assert_eq!(session.transport, Told::Absent);
        assert_eq!(session.detached_for, None);
        assert_eq!(session.turn, Told::Absent);
        assert_eq!(session.idle_for, None);
        assert_eq!(session.activity, None);
        assert_eq!(session.close_on_disconnect, Told::Absent);
        assert_eq!(session.holds, Told::Absent);
        assert_eq!(session.worker, Told::Absent);
    }
}

#[test]
fn a_transport_is_attached_or_detached_and_nothing_else() {
    assert_eq!(row(r#","transport":"attached""#).transport, Told::Known(Transport::Attached));
    assert_eq!(row(r#","transport":"detached""#).transport, Told::Known(Transport::Detached));
    assert_eq!(row(r#","transport":"\u0064etached""#).transport, Told::Known(Transport::Detached));
    for text in [r#""Detached""#, r#""detached ""#, r#""""#, "true", "0", "1e999", "{}", "[\"detached\"]"] {
        assert_eq!(row(&format!(r#","transport":{text}"#)).transport, not_understood(text));
    }
}

#[test]
fn a_turn_is_one_of_four_and_nothing_else() {
    for (text, turn) in [
        ("idle", Turn::Idle),
        ("running", Turn::Running),
        ("waiting", Turn::Waiting),
        ("starting", Turn::Starting),
    ] {
        assert_eq!(row(&format!(r#","turn":"{text}""#)).turn, Told::Known(turn));
    }
    for text in [r#""IDLE""#, r#""ended""#, "false", "1"] {
        assert_eq!(row(&format!(r#","turn":{text}"#)).turn, not_understood(text));
    }
}

#[test]
fn what_is_not_understood_is_shown_short_and_harmless() {
    let long = row(&format!(r#","turn":"{}""#, "x".repeat(5000))).turn;
    assert_eq!(long, not_understood(&format!("\"{}…", "x".repeat(58))));
    let steering = row(",\"turn\":\"\u{9b}31m\u{202e}\"").turn;
    assert_eq!(steering, not_understood(r#""\u{9b}31m\u{202e}""#));
}

#[test]
fn a_key_that_is_no_text_or_empty_is_not_understood() {
    assert_eq!(row(r#","key":"k""#).key, Told::Known("k".into()));
    for text in [r#""""#, "5", "true", "[]", r#"{"a":1}"#, r#""\ud800""#] {
        assert_eq!(row(&format!(r#","key":{text}"#)).key, not_understood(text));
    }
}

#[test]
fn a_span_that_is_negative_not_finite_absurd_or_no_number_is_ignored() {
    for (text, span) in [
        ("0", Some(Duration::ZERO)),
        ("-0.0", Some(Duration::ZERO)),
        ("1.5e1", Some(Duration::from_secs(15))),
        ("315576000", Some(Duration::from_secs(315_576_000))),
        ("315576001", None),
        ("1e300", None),
        ("1e999", None),
        ("-1e999", None),
        ("-0.001", None),
        (r#""12.5""#, None),
        (r#""NaN""#, None),
        ("true", None),
        ("[1]", None),
        ("{}", None),
    ] {
        let session = row(&format!(r#","detached_for_s":{text},"idle_for_s":{text}"#));
        assert_eq!((session.detached_for, session.idle_for), (span, span), "{text}");
    }
}

#[test]
fn activity_is_opaque() {
    for (text, activity) in [
        (r#""a\nb""#, "a\nb"),
        ("17", "17"),
        ("17.0", "17.0"),
        ("1e999", "1e999"),
        ("false", "false"),
        (r#"{"n": 1}"#, r#"{"n": 1}"#),
        (r#""\ud800""#, r#""\ud800""#),
    ] {
        assert_eq!(row(&format!(r#","activity":{text}"#)).activity, Some(activity.into()));
    }
}

#[test]
fn close_on_disconnect_is_true_or_false_and_nothing_else() {
    assert_eq!(row(r#","close_on_disconnect":true"#).close_on_disconnect, Told::Known(true));
    assert_eq!(row(r#","close_on_disconnect":false"#).close_on_disconnect, Told::Known(false));
    for text in ["1", "0", r#""true""#, "[]", "{}"] {
        let session = row(&format!(r#","close_on_disconnect":{text}"#));
        assert_eq!(session.close_on_disconnect, not_understood(text));
    }
}

#[test]
fn every_entry_of_holds_is_kept_whatever_it_is() {
    assert_eq!(row(r#","holds":[]"#).holds, Told::Known(vec![]));
    let holds = row(r#","holds":["approval","",null,false,0,{"why":"x"},[]]"#).holds;
    let kept = ["approval", "", "null", "false", "0", r#"{"why":"x"}"#, "[]"];
    assert_eq!(holds, Told::Known(kept.map(Into::into).to_vec()));
}

#[test]
fn holds_beyond_the_sixteenth_are_counted() {
    let holds = row(&format!(r#","holds":[{}]"#, vec!["1"; 1000].join(","))).holds;
    let holds = holds.known().unwrap();
    assert_eq!((holds.len(), &*holds[16]), (17, "and 984 more"));
}

#[test]
fn holds_that_are_no_array_are_not_understood() {
    for text in [r#""approval""#, "false", "0", "{}"] {
        assert_eq!(row(&format!(r#","holds":{text}"#)).holds, not_understood(text));
    }
}

#[test]
fn a_worker_is_an_object_with_a_pid_or_null_or_not_understood() {
    assert_eq!(row(r#","worker":null"#).worker, Told::Known(None));
    assert_eq!(row(r#","worker":{"pid":1}"#).worker, Told::Known(Some(pid(1))));
    assert_eq!(row(r#","worker":{"pid":2147483647}"#).worker, Told::Known(Some(pid(2_147_483_647))));
    assert_eq!(row("").worker, Told::Absent);
    for text in ["{}", r#"{"pid":null}"#, r#"{"name":"x"}"#] {
        assert_eq!(row(&format!(r#","worker":{text}"#)).worker, not_understood(text));
    }
    for text in ["0", "-1", "-0", "1.0", "1e3", r#""6627""#, "true", "2147483648", "1e999", "[7]"] {
        assert_eq!(row(&format!(r#","worker":{{"pid":{text}}}"#)).worker, not_understood(text));
    }
    for text in ["6627", "[6627]", r#""6627""#, "false"] {
        assert_eq!(row(&format!(r#","worker":{text}"#)).worker, not_understood(text));
    }
}

#[test]
fn a_gateway_that_does_not_name_its_process_or_its_run_has_none() {
    for gateway in ["null", "{}", r#"{"pid":null,"instance":null}"#, r#"{"instance":""}"#] {
        let table =
            parse(format!(r#"{{"version":1,"gateway":{gateway},"sessions":[]}}"#).as_bytes()).unwrap();
        assert_eq!((table.gateway_pid, table.instance), (None, None), "{gateway}");
    }
}

#[test]
fn instance_is_opaque() {
    for (text, instance) in [(r#""x\ny""#, "x\ny"), ("5", "5"), ("1e999", "1e999"), ("true", "true")] {
        let body = format!(r#"{{"version":1,"gateway":{{"instance":{text}}},"sessions":[]}}"#);
        assert_eq!(parse(body.as_bytes()).unwrap().instance, Some(instance.into()));
    }
}
