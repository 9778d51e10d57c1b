//! What the tool knows and how it decides. Pure: nothing in here waits, reads, writes or looks at a clock.

pub mod adoption;
pub mod ids;
pub mod observation;
pub mod policy;
pub mod process;
pub mod table;
pub mod time;
