//! Sessions below sessions: a worker starts, or shelters, what belongs to somebody else.

use serde_json::json;

use crate::reapers::{BEYOND_THE_GRACE, OTHER_PORT, POLICY, by_pid_and_by_key};

/// gascity #5837: a terminal multiplexer that one session's worker started, and in which the workers of all sessions run.
#[test]
fn a_server_that_a_due_session_started_is_kept_while_other_sessions_run_in_it() {
    let test = "a_server_that_a_due_session_started_is_kept_while_other_sessions_run_in_it";
    by_pid_and_by_key(test, |stage, by| {
        stage.configure(POLICY);
        stage.gateway("gateway");
        stage.worker("gateway", "founder", "founder");
        stage.helper("founder", "server", &json!({ "session": true }));
        let idle = by.row(stage, "founder", "founder", &json!({ "transport": "attached" }));
        stage.publish("gateway", &[idle]);
        assert_eq!(stage.once("state").code, Some(0), "the server was seen below its founder");

        stage.worker("server", "guest", "guest");
        let running = json!({ "transport": "attached", "turn": "running" });
        let guest = by.row(stage, "guest", "guest", &running);
        stage.publish("gateway", &[by.row(stage, "founder", "founder", &json!({})), guest.clone()]);
        // The gateway closes the session as it does on its own: the server comes under init.
        stage.once("state");
        stage.kill("founder");
        stage.publish("gateway", &[guest]);
        for _ in 0..3 {
            stage.once("state");
            std::thread::sleep(BEYOND_THE_GRACE / 2);
        }
        assert!(stage.lives("server") && stage.lives("guest"), "{:#?}", stage.acts("state"));
        stage.is_spared(&["server", "guest"], 0);
    });
}
