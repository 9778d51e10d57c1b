//! What the tool knows and how it decides. Pure: nothing in here waits, reads, writes or looks at a clock.

pub mod activity;
pub mod adoption;
pub mod decide;
pub mod glob;
pub mod ids;
pub mod ledger;
pub mod looking;
pub mod observation;
pub mod orphan;
pub mod outside;
pub mod policy;
pub mod process;
mod protection;
pub mod spent;
pub mod table;
pub mod time;
pub mod verdict;
pub mod veto;
pub mod warrant;
