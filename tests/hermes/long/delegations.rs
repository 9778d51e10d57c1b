//! A delegation that has stopped to move, or is about to end: no longer `running`, and no less its session's.

use serde_json::{Value, json};

use super::holds::{goes, left_with, stays, tool};
use crate::hand;
use crate::reaper::Reaper;
use crate::releases::{Release, on_each_newer_release};

on_each_newer_release!(
    #[ignore = "long: waits for graces"]
    a_delegation_that_is_stalling_or_finalizing_holds_its_session,
    delegation
);

async fn delegation(release: Release) {
    let Some(gateway) = hand::start(release).await else { return };
    let reaper = Reaper::of(&gateway);
    let prompt = tool("delegate_task", json!({ "goal": "HOLD:child and then say so" }));
    let session = left_with(&gateway, &prompt, async |_, session| {
        let is_under_way = |row: &Value| row["turn"] == "idle" && row["holds"] == json!(["delegation"]);
        gateway.row_where(session, "the delegation is under way, and the parent rests", is_under_way).await;
    })
    .await;
    let mut before = "running";
    for state in ["stalling", "finalizing"] {
        assert_eq!(hand::delegations(&gateway, state).await, json!([before]));
        let row = gateway.row(&session).await.unwrap();
        assert_eq!(row["holds"], json!(["delegation"]), "{state}: {row}");
        stays(&reaper, &session, "held").await;
        // The plugin itself says so at the moment of the reap, whatever the reaper believes.
        let body = json!({ "instance": gateway.table().await["gateway"]["instance"], "reason": "orphaned" });
        let path = format!("/api/plugins/gateway-reaper/sessions/{session}/reap");
        let (status, answer) = gateway.post(&path, body).await;
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let held = json!({ "outcome": "kept", "reason": "held", "holds": ["delegation"] });
        assert_eq!((status, answer), (409, held), "{state}");
        before = state;
    }
    assert_eq!(hand::delegations(&gateway, "running").await, json!([before]));
    gateway.model.release("child");
    gateway.settled(&session).await;
    let last_active = hand::activity(&gateway).await["open"][&session].clone();
    goes(&gateway, &reaper, &session).await;
    // Since 0.21.5 a session that is closed in the middle of a turn counts as active just then; this one wasn't.
    let expected = if release >= Release::V0_21_5 { json!([last_active]) } else { json!([]) };
    assert_eq!(hand::activity(&gateway).await["closed"], expected);
}
