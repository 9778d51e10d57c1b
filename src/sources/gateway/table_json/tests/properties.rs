//! Whatever the bytes: no panic, and never more is known than the contract lets be known.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

/// Values that are mostly wrong, in the ways that gateways are.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0_u64..100).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (-10.0..400_000_000.0).prop_map(|float: f64| Value::from(float)),
        ".{0,8}".prop_map(Value::from),
        prop::sample::select(vec!["attached", "detached", "idle", "running", "waiting", "starting", ""])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(
                prop::sample::select(vec!["pid".to_owned(), "x".into()]),
                inner,
                0..2
            )
            .prop_map(|map| Value::Object(Map::from_iter(map))),
        ]
    })
}

const FIELDS: [&str; 9] = [
    "key",
    "transport",
    "detached_for_s",
    "turn",
    "idle_for_s",
    "activity",
    "close_on_disconnect",
    "holds",
    "worker",
];

fn fields() -> impl Strategy<Value = Map<String, Value>> {
    let name = prop::sample::select(FIELDS.map(str::to_owned).to_vec());
    prop::collection::btree_map(name, value(), 0..9).prop_map(Map::from_iter)
}

/// What may be known of a field, by the contract's table: `Err`: not understood.
fn told<T>(value: Option<&Value>, known: impl FnOnce(&Value) -> Option<T>) -> Option<Result<T, ()>> {
    value.filter(|value| !value.is_null()).map(|value| known(value).ok_or(()))
}

fn outcome<T: Clone>(told: &Told<T>) -> Option<Result<T, ()>> {
    match told {
        Told::Known(value) => Some(Ok(value.clone())),
        Told::Absent => None,
        Told::NotUnderstood(text) => {
            assert!(text.chars().count() <= 60 && !text.contains(char::is_control), "{text:?}");
            Some(Err(()))
        }
    }
}

fn known_pid(value: &Value) -> Option<Pid> {
    value.as_u64().and_then(Pid::new)
}

fn span(value: Option<&Value>) -> Option<Duration> {
    let seconds = value?.as_f64()?;
    (seconds.is_finite() && (0.0..=315_576_000.0).contains(&seconds))
        .then(|| Duration::from_secs_f64(seconds))
}

fn worker(value: Option<&Value>) -> Option<Result<Option<Pid>, ()>> {
    match value {
        None => None,
        Some(Value::Null) => Some(Ok(None)),
        Some(Value::Object(worker)) => Some(worker.get("pid").and_then(known_pid).map(Some).ok_or(())),
        Some(_) => Some(Err(())),
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&body);
    }

    #[test]
    fn a_table_with_one_byte_changed_never_panics(at in 0_usize..200, byte: u8) {
        let mut body = br#"{"version":1,"gateway":{"pid":7},"sessions":[{"id":"a","key":"\u00e9","transport":"detached","turn":"idle","detached_for_s":1.5,"holds":["x"],"worker":{"pid":9}}]}"#.to_vec();
        let at = at % body.len();
        body[at] = byte;
        let _ = parse(&body);
    }

    #[test]
    fn arbitrary_values_anywhere_never_panic(version in value(), gateway in value(), sessions in value()) {
        for version in [version, json!(1)] {
            let body = json!({ "version": version, "gateway": gateway, "sessions": sessions });
            let _ = parse(body.to_string().as_bytes());
        }
    }

    #[test]
    fn a_row_knows_what_the_contract_lets_it_know_and_nothing_else(fields in fields()) {
        let mut object = fields.clone();
        object.insert("id".into(), "a".into());
        let body = json!({ "version": 1, "sessions": [object] }).to_string();
        let session = parse(body.as_bytes()).unwrap().sessions.remove(0);

        let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        prop_assert_eq!(
            outcome(&session.key).map(|key| key.map(|key| key.as_str().to_owned())),
            told(fields.get("key"), text)
        );
        prop_assert_eq!(outcome(&session.transport), told(fields.get("transport"), |value| match value.as_str()? {
            "attached" => Some(Transport::Attached),
            "detached" => Some(Transport::Detached),
            _ => None,
        }));
        prop_assert_eq!(outcome(&session.turn), told(fields.get("turn"), |value| match value.as_str()? {
            "idle" => Some(Turn::Idle),
            "running" => Some(Turn::Running),
            "waiting" => Some(Turn::Waiting),
            "starting" => Some(Turn::Starting),
            _ => None,
        }));
        prop_assert_eq!(outcome(&session.close_on_disconnect), told(fields.get("close_on_disconnect"), Value::as_bool));
        prop_assert_eq!(
            outcome(&session.holds).map(|holds| holds.map(|holds| holds.len())),
            told(fields.get("holds"), |value| value.as_array().map(Vec::len))
        );
        prop_assert_eq!(outcome(&session.worker), worker(fields.get("worker")));
        prop_assert_eq!(session.detached_for, span(fields.get("detached_for_s")));
        prop_assert_eq!(session.idle_for, span(fields.get("idle_for_s")));
        prop_assert_eq!(session.activity.is_some(), fields.get("activity").is_some_and(|value| !value.is_null()));
    }
}
