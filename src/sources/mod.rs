//! Where knowledge comes from: gateways and the process tree.

pub mod gateway;
