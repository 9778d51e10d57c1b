//! Where knowledge comes from: gateways and the process tree.

pub mod activity;
pub mod clock;
pub mod gateway;
pub mod http;
pub mod processes;
pub mod sockets;
pub mod spent;
