//! Looking at, holding and signalling real processes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that can't go on fails")]

#[path = "../support/mod.rs"]
mod support;

mod cost;
mod kernel;
mod namespaces;
mod near;
mod whole;

use gateway_reaper::domain::looking::Extent;
use gateway_reaper::domain::process::{Process, ProcessView};
use gateway_reaper::sources::processes::{Processes, Roots};
use support::family::Family;

/// One near look, by a looker that has seen nothing yet.
fn near(family: &Family, gateways: &[&str]) -> ProcessView {
    look(&mut Processes::new().unwrap(), Extent::Near, family, gateways, &[])
}

fn look(
    processes: &mut Processes,
    look: Extent,
    family: &Family,
    gateways: &[&str],
    known: &[&Process],
) -> ProcessView {
    let gateways: Vec<_> = gateways.iter().map(|tag| family.pid(tag)).collect();
    let known: Vec<_> = known.iter().map(|process| process.identity).collect();
    processes.look(look, &Roots { gateways: &gateways, known: &known }).unwrap()
}

fn argv_of<'a>(view: &'a ProcessView, family: &Family, tag: &str) -> Option<&'a str> {
    view.get(family.pid(tag))?.argv.as_deref()
}
