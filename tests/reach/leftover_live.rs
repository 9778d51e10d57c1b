//! The five ways in which a reaper took live work, for `kind = "processes"`. (Whose other end was passed on, which is how such a server can
//! be taken back, another PID namespace and what can't be read are in `leftovers`.)

use serde_json::json;

use crate::leftovers::{SERVERS, says, with_a_host};
use crate::reapers::{POLICY, row};
use crate::stage::{Fork, PORT, Stage, is_possible};

#[test]
fn a_copy_of_a_live_server_is_kept_and_one_of_a_leftover_goes() {
    if !is_possible("a_copy_of_a_live_server_is_kept_and_one_of_a_leftover_goes") {
        return;
    }
    let stage = with_a_host();
    stage.server("host", "server", "pipe");
    stage.copy("server", "daemon", Fork::Daemon);
    let told = stage.is_spared(&["server", "daemon"], 0);
    says(&told, &stage, "daemon", "attached", "");
    stage.kill("server");
    stage.is_spared(&["daemon"], 0);
    stage.kill("host");
    stage.once_until_ended("state", &["daemon"]);
}

#[test]
fn a_leftover_below_which_a_live_session_works_is_kept() {
    if !is_possible("a_leftover_below_which_a_live_session_works_is_kept") {
        return;
    }
    let stage = Stage::start();
    let workers = r"\S*python\S* -ISB \S*actor\.py live-work-worker --session-key (?P<session>\S+)";
    let text = format!(
        "[policy]\n{POLICY}\n[[gateway]]\nname = \"leftovers\"\nkind = \"processes\"\n[gateway.worker]\nmatch = '{SERVERS}'\n\
         [[gateway]]\nname = \"desk\"\nkind = \"http\"\nurl = \"http://127.0.0.1:{PORT}/sessions\"\n[gateway.worker]\nmatch = '{workers}'\n"
    );
    stage.place().write("reaper.toml", text);
    stage.host("host");
    for name in ["above", "lost"] {
        stage.server("host", name, "pipe");
    }
    stage.gateway("gateway");
    stage.worker("above", "worker", "live");
    stage.publish("gateway", &[row("live", &json!({ "transport": "attached", "turn": "running" }))]);
    stage.kill("host");
    stage.once_until_ended("state", &["lost"]);
    stage.is_spared(&["above", "worker"], 0);
}
