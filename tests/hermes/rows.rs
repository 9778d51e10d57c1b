//! What the plugin says of a gateway's sessions, looked at until it is as wanted.

use std::fs;
use std::time::Duration;

use gateway_reaper::demo::pinned::Pinned;
use serde_json::Value;

use super::gateway::Gateway;
use super::until;

impl Gateway {
    /// The plugin's table.
    pub(crate) async fn table(&self) -> Value {
        let Some((status, body)) = self.get("/api/plugins/gateway-reaper/sessions").await else {
            let state = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap_or_default();
            panic!("the gateway has no answer; its process: {state}");
        };
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap_or_else(|_| panic!("no table: {body}"))
    }

    pub(crate) async fn row(&self, session: &str) -> Option<Value> {
        let table = self.table().await;
        table["sessions"].as_array().unwrap().iter().find(|row| row["id"] == session).cloned()
    }

    /// The session's row as soon as it is as wanted.
    pub(crate) async fn row_where(
        &self,
        session: &str,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        let mut last = None;
        until(what, async || {
            let row = self.row(session).await;
            if row != last {
                last.clone_from(&row);
                // Shown only if the test fails.
                println!("{session}, until {what}: {}", row.as_ref().unwrap_or(&Value::Null));
            }
            row.filter(&wanted)
        })
        .await
    }

    /// The session's row once it is built, idle, and has its worker.
    pub(crate) async fn built(&self, session: &str) -> Value {
        self.row_where(session, "the session is built", |row| {
            row["turn"] == "idle" && row["worker"]["pid"].is_u64()
        })
        .await
    }

    /// The session's row once nothing in the gateway has it in hand any more, and its worker, which may still be starting, rests.
    pub(crate) async fn settled(&self, session: &str) -> Value {
        let is_settled =
            |row: &Value| row["turn"] == "idle" && row["holds"].as_array().is_some_and(Vec::is_empty);
        loop {
            let row = self.row_where(session, "the session rests", is_settled).await;
            let Some(worker) = row["worker"]["pid"].as_u64() else { return row };
            let spent =
                || fs::read_to_string(format!("/proc/{worker}/task/{worker}/schedstat")).unwrap_or_default();
            let before = spent();
            tokio::time::sleep(Duration::from_millis(500)).await;
            if spent() == before {
                return row;
            }
        }
    }

    /// The session's worker, held.
    pub(crate) async fn worker(&self, session: &str) -> Pinned {
        let row = self.built(session).await;
        Pinned::new(u32::try_from(row["worker"]["pid"].as_u64().unwrap()).unwrap()).unwrap()
    }
}
