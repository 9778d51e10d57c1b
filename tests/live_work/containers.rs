//! PID namespaces: a PID means something else on each side, and another init's children are no orphans here.

use serde_json::json;

use crate::reapers::{By, POLICY, at_once};
use crate::stage::{PORT, Stage, is_possible};

/// A container with a gateway of its own, one worker below it and one below its init.
fn container(stage: &Stage) {
    stage.container("contained-init");
    stage.tell("contained-init", &json!(["actor", "contained-gateway", ["live-work-gateway"], {}]));
    stage.enters("contained-gateway");
    stage.worker("contained-gateway", "contained", "c1");
    stage.worker("contained-init", "contained-orphan", "c2");
}

const CONTAINED: [&str; 3] = ["contained-gateway", "contained", "contained-orphan"];

#[test]
fn workers_in_a_container_are_not_the_native_gateways() {
    if !is_possible("workers_in_a_container_are_not_the_native_gateways") {
        return;
    }
    at_once([Some(By::Pid), Some(By::Key), None].map(|listed| {
        move || {
            let stage = Stage::start();
            stage.configure(POLICY);
            container(&stage);
            stage.gateway("gateway");
            stage.worker("gateway", "native", "n");
            let attached = json!({ "transport": "attached" });
            let rows: Vec<_> =
                listed.map(|by| by.row(&stage, "n", "native", &attached)).into_iter().collect();
            stage.publish("gateway", &rows);
            if listed.is_some() {
                stage.is_spared(&[&CONTAINED[..], &["native"]].concat(), 0);
                stage.kill("native");
            } else {
                stage.once_until_ended("state", &["native"]);
                stage.is_spared(&CONTAINED, 0);
            }
            // The native gateway is gone for certain: that says nothing of the container's.
            stage.kill("gateway");
            stage.is_spared(&CONTAINED, 3);
        }
    }));
}

#[test]
fn a_gateway_in_a_container_loses_nothing_to_a_reaper_outside_and_the_report_says_why() {
    if !is_possible("a_gateway_in_a_container_loses_nothing_to_a_reaper_outside_and_the_report_says_why") {
        return;
    }
    at_once([By::Pid, By::Key].map(|by| {
        move || {
            let stage = Stage::start();
            stage.configure(POLICY);
            container(&stage);
            stage.tell("contained-gateway", &json!(["serve", PORT]));
            // Its rows speak of PIDs that are others' out here.
            let rows = [
                by.row(&stage, "c1", "contained", &json!({ "transport": "attached", "turn": "running" })),
                by.row(&stage, "c2", "contained-orphan", &json!({ "transport": "attached" })),
            ];
            stage.publish("contained-gateway", &rows);
            for number in 0..4 {
                stage.helper("init", &format!("stranger-{number}"), &json!({}));
            }
            stage.worker("init", "outside", "o");
            let mut names = vec!["stranger-0", "stranger-1", "stranger-2", "stranger-3", "outside"];
            names.extend(CONTAINED);
            stage.is_spared_whatever_the_code(&names);
            let told = stage.reaper("told", &["once"]).end();
            assert!((told.out.clone() + &told.err).contains("another PID namespace"), "{told:#?}");
            let doctor = stage.reaper("told", &["doctor"]).end();
            assert!(doctor.out.contains("another PID namespace"), "{doctor:#?}");
        }
    }));
}
