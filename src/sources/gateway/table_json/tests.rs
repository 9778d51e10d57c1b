//! The contract's table, sentence by sentence, and what else can be in a body.

use std::time::Duration;

use super::parse;
use crate::domain::ids::Pid;
use crate::domain::table::{Session, Shown, Told, Transport, Turn};

mod fields;
mod properties;
mod refused;

fn row(fields: &str) -> Session {
    let body = format!(r#"{{"version":1,"sessions":[{{"id":"a"{fields}}}]}}"#);
    parse(body.as_bytes()).unwrap_or_else(|error| panic!("{body}: {error}")).sessions.remove(0)
}

fn refusal(body: impl AsRef<[u8]>) -> String {
    let body = body.as_ref();
    parse(body).expect_err(&String::from_utf8_lossy(body)).to_string()
}

fn pid(raw: u64) -> Pid {
    Pid::new(raw).unwrap()
}

#[test]
fn the_example_of_the_contract_is_read_to_the_letter() {
    let table = parse(
        br#"{ "version": 1,
          "gateway": { "pid": 6082, "instance": "opaque, new at every gateway start" },
          "sessions": [
            { "id": "441fb3fb",
              "key": "20261123_005036_2bdafa",
              "transport": "detached",
              "detached_for_s": 12.5,
              "turn": "idle",
              "idle_for_s": 30.1,
              "activity": "opaque, changes whenever the session does anything",
              "close_on_disconnect": false,
              "holds": [],
              "worker": { "pid": 6627 } } ] }"#,
    )
    .unwrap();
    assert_eq!(table.gateway_pid, Some(pid(6082)));
    assert_eq!(table.instance, Some("opaque, new at every gateway start".into()));
    let session = Session {
        id: "441fb3fb".into(),
        key: Told::Known("20261123_005036_2bdafa".into()),
        transport: Told::Known(Transport::Detached),
        turn: Told::Known(Turn::Idle),
        detached_for: Some(Duration::from_millis(12_500)),
        idle_for: Some(Duration::from_millis(30_100)),
        activity: Some("opaque, changes whenever the session does anything".into()),
        close_on_disconnect: Told::Known(false),
        holds: Told::Known(vec![]),
        worker: Told::Known(Some(pid(6627))),
        shown: Shown::default(),
    };
    assert_eq!(table.sessions, [session]);
}

#[test]
fn an_empty_table_is_a_table() {
    let table = parse(br#"{"version":1,"sessions":[]}"#).unwrap();
    assert_eq!(table, Default::default());
}

#[test]
fn unknown_extra_fields_of_any_shape_are_fine() {
    let extra = r#""x":1e999,"y":[[{"z":null}],"\ud800"],"transports":{}"#;
    let body = format!(
        r#"{{{extra},"version":1,"gateway":{{{extra}}},"sessions":[{{"id":"a",{extra},"worker":{{"pid":7,{extra}}}}}]}}"#
    );
    assert_eq!(parse(body.as_bytes()).unwrap().sessions, [row(r#","worker":{"pid":7}"#)]);
}

#[test]
fn a_byte_order_mark_is_passed_over() {
    assert!(parse("\u{feff}{\"version\":1,\"sessions\":[]}".as_bytes()).is_ok());
}

#[test]
fn a_million_rows_are_read_and_told_apart() {
    let rows = (0..1_000_000).map(|n| format!(r#"{{"id":"{n}"}}"#)).collect::<Vec<_>>().join(",");
    let table = parse(format!(r#"{{"version":1,"sessions":[{rows}]}}"#).as_bytes()).unwrap();
    assert_eq!(table.sessions.len(), 1_000_000);
}
