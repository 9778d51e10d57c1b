//! What the report says came back did come back, and a gateway that only says so is found out.

use serde_json::{Value, json};

use crate::reapers::{BEYOND_THE_GRACE, By, POLICY, Told, at_once, row};
use crate::stage::{Fork, SOMEBODY, Stage, is_possible};

const MIB: u64 = 1 << 20;

#[test]
fn a_worker_that_cannot_be_signalled_gives_nothing_back() {
    if !is_possible("a_worker_that_cannot_be_signalled_gives_nothing_back") {
        return;
    }
    let stage = Stage::start();
    stage.configure_with(POLICY, "", &format!("user = \"{SOMEBODY}\"\n"));
    stage.gateway("gateway");
    stage.worker_with("gateway", "worker", "k", &json!({ "user": SOMEBODY }));
    stage.publish("gateway", &[]);
    let powerless = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"];
    let run = || stage.reaper_under(&powerless, "state", &["--json", "once"]).end();
    let first = run();
    assert_eq!(first.json()["totals"]["reap"], 0, "{first:#?}");
    std::thread::sleep(BEYOND_THE_GRACE);
    let ran = run();
    let told = Told(ran.json());
    let subject = told.worker(stage.pid("worker"));
    assert_eq!((ran.code, &subject["outcome"]), (Some(1), &json!("failed")), "{ran:#?}");
    assert_eq!(subject["reclaimed_bytes"].as_u64().unwrap_or(0), 0, "{ran:#?}");
    assert_eq!(ran.json()["totals"]["reclaimed_rss_bytes"], 0, "{ran:#?}");
    let human = stage.reaper_under(&powerless, "state", &["once"]).end();
    assert!(!human.out.contains("came back"), "{human:#?}");
}
