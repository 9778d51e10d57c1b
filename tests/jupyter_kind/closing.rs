//! What is closed, and what isn't.

use std::time::Duration;

use crate::releases::Release;
use crate::stage::{Stage, of_runtime, of_url};

pub(crate) const POLICY: &str = "grace = \"3s\"\nworker_grace = \"3s\"\nstart_timeout = \"1s\"";
/// More than the grace.
pub(crate) const LONGER: Duration = Duration::from_secs(7);

#[test]
fn a_kernel_whose_tab_was_closed_goes_with_its_variables_and_one_in_use_stays() {
    let Some(stage) = Stage::start(Release::New) else { return };
    stage.server("server", 8888, &[]);
    stage.configure(POLICY, &of_runtime(&stage.path("runtime")));
    let closed = stage.kernel_running("server", "x = bytearray(150_000_000)");
    let reopened = stage.kernel_running("server", "y = 42");
    let attached = stage.kernel_running("server", "pass");
    let busy = stage.kernel_running("server", "pass");
    let asking = stage.kernel_running("server", "pass");
    let never = stage.kernel("server");
    stage.begin(&busy, "while True: pass");
    stage.begin(&asking, "input()");
    for kernel in [&closed, &reopened, &busy, &asking] {
        stage.disconnect(kernel, "server", kernel);
    }
    assert_eq!(stage.reaper(&["once"]).verdict(&reopened).0, "wait");
    stage.connect("again", "server", &reopened);
    let reaped = stage.reaps_all(&[&closed, &never]).remove(0);
    assert!(reaped["rss_bytes"].as_u64().unwrap() > 150_000_000, "{reaped}");
    let said = stage.looks_for(LONGER);
    assert_eq!(said.verdict(&reopened), ("keep".into(), "attached".into()));
    assert_eq!(said.verdict(&attached), ("keep".into(), "attached".into()));
    let subject = said.subject(&attached).unwrap();
    assert!(subject["clients"] == 1 && subject["last_active_ago_s"].is_f64(), "{subject}");
    assert_eq!(said.verdict(&busy), ("keep".into(), "mid-turn".into()));
    assert_eq!(said.verdict(&asking), ("keep".into(), "mid-turn".into()));
    assert!(!stage.lists("server", &closed) && !stage.lists("server", &never));
    assert_eq!(stage.execute("again", "print(y)"), "42\n");
}

#[test]
fn a_kernel_gateway_that_lists_nothing_is_asked_for_what_its_children_name() {
    let Some(stage) = Stage::start(Release::New) else { return };
    stage.kernel_gateway("gateway", 9000);
    stage.configure(POLICY, &of_url("gateway", "http://127.0.0.1:9000"));
    let (closed, attached) =
        (stage.kernel_running("gateway", "pass"), stage.kernel_running("gateway", "z = 7"));
    assert_eq!(stage.rest("gateway", "GET", "/api/kernels").0, 403, "it lists nothing");
    stage.disconnect(&closed, "gateway", &closed);
    stage.reaps(&closed);
    assert_eq!(stage.looks_for(LONGER).verdict(&attached), ("keep".into(), "attached".into()));
    assert!(!stage.lists("gateway", &closed));
    assert_eq!(stage.execute(&attached, "print(z)"), "7\n");
}
