//! The one teardown path.

pub mod kernel;
