//! gateway-reaper: a grace-window orphan reaper that runs beside an existing gateway.

pub mod cli;
pub mod config;
pub mod demo;
pub mod domain;
pub mod hermes;
pub mod reap;
pub mod report;
pub mod sources;
pub mod state;
pub mod sweep;
