//! The session table: what is read of it is what the contract lets be known, and only what is known to be an orphan is condemned.

use std::collections::BTreeSet;
use std::time::Duration;

use gateway_reaper::domain::ledger::Ledger;
use gateway_reaper::domain::table::{Session, SessionTable, Told, Transport, Turn};
use gateway_reaper::domain::verdict::{Subject, Verdict};
use gateway_reaper::sources::gateway::table_json::parse;
use serde_json::{Value, json};

use super::{is_harmless, world};

const TEN_YEARS: Duration = Duration::from_secs(315_576_000);

pub(crate) fn check(data: &[u8]) {
    let table = match parse(data) {
        Ok(table) => table,
        Err(error) => return assert!(is_harmless(&error.to_string()), "{error}"),
    };
    let ids: BTreeSet<&str> = table.sessions.iter().map(|session| session.id.as_str()).collect();
    assert_eq!(ids.len(), table.sessions.len(), "ids are unique");
    assert!(!ids.contains(""), "an id is a text that isn't empty");
    assert!(table.instance.as_ref().is_none_or(|instance| !instance.as_str().is_empty()));
    table.sessions.iter().for_each(check_session);
    let again = parse(republished(&table).to_string().as_bytes());
    let same = again.is_ok_and(|again| normal(again) == normal(table.clone()));
    assert!(same, "what was read, published again, reads the same: {table:?}");
    decide_on(table);
}

fn check_session(session: &Session) {
    for span in [session.detached_for, session.idle_for].into_iter().flatten() {
        assert!(span <= TEN_YEARS);
    }
    assert!(session.holds.known().is_none_or(|holds| holds.len() <= 17));
    let words = [
        not_understood(&session.key),
        not_understood(&session.transport),
        not_understood(&session.turn),
        not_understood(&session.close_on_disconnect),
        not_understood(&session.holds),
        not_understood(&session.worker),
    ];
    for word in words.into_iter().flatten() {
        assert!(is_harmless(word) && word.chars().count() <= 60, "{word:?}");
    }
}

fn not_understood<T>(told: &Told<T>) -> Option<&str> {
    match told {
        Told::NotUnderstood(word) => Some(word),
        Told::Known(_) | Told::Absent => None,
    }
}

/// Whatever the table: no session that isn't said to be an orphan, and no process but a worker of this gateway.
fn decide_on(table: SessionTable) {
    let sessions = table.sessions.clone();
    let decision = world::decided(table, &Ledger::default());
    let judged = decision.gateways.iter().flat_map(|gateway| &gateway.judged);
    let mut judged_sessions = 0;
    for judged in judged {
        if let Subject::Session { id, .. } = &judged.subject {
            judged_sessions += 1;
            let row = sessions.iter().find(|session| session.id == *id);
            let orphan = row.is_some_and(|row| {
                row.transport == Told::Known(Transport::Detached)
                    && row.turn == Told::Known(Turn::Idle)
                    && row.holds.known().is_none_or(Vec::is_empty)
                    && !matches!(row.holds, Told::NotUnderstood(_))
                    && !matches!(row.close_on_disconnect, Told::NotUnderstood(_))
            });
            assert!(orphan || matches!(judged.verdict, Verdict::Keep(_)), "{judged:?}");
        }
        if let Verdict::Reap { warrant, .. } = &judged.verdict {
            let workers = warrant.worker().into_iter().chain(warrant.remnants().iter().copied());
            for worker in workers {
                let pid = worker.pid.get();
                assert!(world::WORKERS.iter().any(|(known, _)| *known == pid), "{pid} is nobody's worker");
                assert!(!world::BYSTANDERS.contains(&pid));
                let in_use = |row: &&Session| row.worker == Told::Known(Some(worker.pid));
                let rows: Vec<&Session> = sessions.iter().filter(in_use).collect();
                let orphan = |row: &&Session| row.transport == Told::Known(Transport::Detached);
                assert!(rows.iter().all(orphan), "{pid} is the worker of a session that is in use");
            }
        }
    }
    assert_eq!(judged_sessions, sessions.len(), "every session is judged");
}

/// A table that says the same. What was not understood is something else that isn't.
fn republished(table: &SessionTable) -> Value {
    let mut gateway = json!({});
    put(&mut gateway, "pid", table.gateway_pid.map(|pid| json!(pid)));
    put(&mut gateway, "instance", table.instance.as_ref().map(|instance| json!(instance)));
    let sessions: Vec<Value> = table.sessions.iter().map(row).collect();
    json!({ "version": 1, "gateway": gateway, "sessions": sessions })
}

fn row(session: &Session) -> Value {
    let mut row = json!({ "id": session.id });
    put(&mut row, "key", told(&session.key, |key| json!(key)));
    put(
        &mut row,
        "transport",
        told(&session.transport, |it| match it {
            Transport::Attached => json!("attached"),
            Transport::Detached => json!("detached"),
        }),
    );
    put(
        &mut row,
        "turn",
        told(&session.turn, |it| match it {
            Turn::Idle => json!("idle"),
            Turn::Running => json!("running"),
            Turn::Waiting => json!("waiting"),
            Turn::Starting => json!("starting"),
        }),
    );
    put(&mut row, "detached_for_s", session.detached_for.map(|span| json!(span.as_secs_f64())));
    put(&mut row, "idle_for_s", session.idle_for.map(|span| json!(span.as_secs_f64())));
    put(&mut row, "activity", session.activity.as_ref().map(|text| json!(text)));
    put(&mut row, "close_on_disconnect", told(&session.close_on_disconnect, |it| json!(it)));
    put(&mut row, "holds", told(&session.holds, |holds| json!(holds)));
    put(
        &mut row,
        "worker",
        match &session.worker {
            Told::Known(None) => Some(Value::Null),
            worker => told(worker, |pid| json!({ "pid": pid })),
        },
    );
    row
}

fn put(object: &mut Value, field: &str, value: Option<Value>) {
    if let Some(value) = value {
        object[field] = value;
    }
}

fn told<T>(told: &Told<T>, known: impl FnOnce(&T) -> Value) -> Option<Value> {
    match told {
        Told::Known(value) => Some(known(value)),
        Told::Absent => None,
        Told::NotUnderstood(_) => Some(json!(-1)),
    }
}

fn normal(mut table: SessionTable) -> SessionTable {
    for session in &mut table.sessions {
        // The last one says how many more there are.
        if let Told::Known(holds) = &mut session.holds {
            holds.truncate(16);
        }
        forget_words(&mut session.key);
        forget_words(&mut session.transport);
        forget_words(&mut session.turn);
        forget_words(&mut session.close_on_disconnect);
        forget_words(&mut session.holds);
        forget_words(&mut session.worker);
        // JSON has them as floating point numbers.
        for span in [&mut session.detached_for, &mut session.idle_for].into_iter().flatten() {
            *span = Duration::from_millis(
                u64::try_from((*span + Duration::from_micros(500)).as_millis()).unwrap_or(0),
            );
        }
    }
    table
}

fn forget_words<T>(told: &mut Told<T>) {
    if let Told::NotUnderstood(words) = told {
        *words = "".into();
    }
}
