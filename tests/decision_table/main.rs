//! How it decides, sentence by sentence: each test is named by a sentence of the contract and shows it on a small world.
//!
//! [`fields`]: what each field of a row does. [`owners`], [`marks`] and [`namespaces`]: who owns a worker. [`orphans`], [`parentless`] and [`leftovers`]: the kinds. [`grace`] and [`gateway_clocks`]: how long
//! somebody has been one. [`protected`] and [`claims`]: whom nothing can condemn, and tables that lie. [`another_look`]: what another look says before a signal. [`gateways`]: tables that can't be
//! trusted, and gateways that come in numbers; [`successors`]: several processes of one. [`quota`], [`memory`], [`remnants`], [`settled`]: what goes from one run to the next.
#![expect(clippy::expect_used, clippy::panic, reason = "that is how a test fails")]

#[path = "../support/world.rs"]
mod world;

mod another_look;
mod apart;
mod claims;
mod families;
mod fields;
mod gateway_clocks;
mod gateways;
mod grace;
mod idle;
mod leftovers;
mod looks;
mod marks;
mod memory;
mod namespaces;
mod orphans;
mod outcome;
mod owners;
mod parentless;
mod protected;
mod quota;
mod remnants;
mod settled;
mod successors;
