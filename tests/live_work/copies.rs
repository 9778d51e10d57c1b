//! A worker forks without exec: the copy carries its argv, and by a second fork init adopts it.

use serde_json::json;

use crate::reapers::{POLICY, by_pid_and_by_key};
use crate::stage::Fork;

#[test]
fn a_copy_of_an_ownerless_worker_goes_too() {
    by_pid_and_by_key("a_copy_of_an_ownerless_worker_goes_too", |stage, by| {
        stage.configure(POLICY);
        stage.gateway("gateway");
        stage.worker("gateway", "worker", "k");
        stage.copy("worker", "daemon", Fork::Daemon);
        stage.worker("gateway", "bystander", "b");
        stage.publish("gateway", &[by.row(stage, "b", "bystander", &json!({ "transport": "attached" }))]);
        let ran = stage.once_until_ended("state", &["worker", "daemon"]);
        assert_eq!(ran.code, Some(0), "{ran:#?}");
        assert!(stage.lives("bystander") && stage.lives("gateway"));
    });
}
