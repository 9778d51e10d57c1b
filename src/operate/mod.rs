//! What an operator asks of the reaper: when the last run was and how it ended, since when each verdict holds, how much was reaped.
//!
//! Everything here is made of the report's own words ([`crate::report::json`]) and kept in the state directory beside the ledger. None of
//! it decides anything: losing all of it changes no verdict.

pub mod acts;
pub mod counters;
pub mod events;
pub mod explain;
pub mod history;
mod interrupted;
pub mod last_run;
pub mod levels;
pub mod listen;
pub mod metrics;
mod notebook;
pub mod seen;
mod textfile;
pub mod when;

pub use notebook::{Notebook, Runner};
