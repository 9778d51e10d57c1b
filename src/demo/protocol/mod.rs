//! What clients and the demo gateway say to each other over WebSocket, one JSON object each.

#[cfg(debug_assertions)]
mod faults;
mod messages;
mod session;

#[cfg(debug_assertions)]
pub use faults::{AdminRequest, ReapFault};
pub use messages::{Created, GatewayReady, Reply, Request, WorkerReady};
pub use session::{AtEndOfInput, CloseManner, NewSession, WorkerSpec};
