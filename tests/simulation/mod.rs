//! A seeded world of gateways, clients, workers, bystanders and reapers, in which the real decision, ledger and teardown are at work.

pub(crate) mod check;
pub(crate) mod disk;
pub(crate) mod drains;
pub(crate) mod event;
pub(crate) mod field;
pub(crate) mod gateways;
pub(crate) mod hands;
pub(crate) mod leaks;
pub(crate) mod life;
pub(crate) mod listed;
pub(crate) mod look;
pub(crate) mod mishaps;
pub(crate) mod plan;
pub(crate) mod procs;
pub(crate) mod rng;
pub(crate) mod run;
pub(crate) mod session;
pub(crate) mod setup;
pub(crate) mod shrink;
pub(crate) mod sights;
pub(crate) mod sim;
pub(crate) mod world;
