//! The one teardown path.

pub mod kernel;
pub mod linux;
