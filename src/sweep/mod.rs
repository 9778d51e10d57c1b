//! One sweep: look, read, decide, remember, reap, remember.

pub mod settle;
