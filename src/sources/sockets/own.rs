//! The ends of this process's own latest connections. Once one is closed, the other side's end of it stays for a moment, and nothing else
//! tells that it isn't a client's.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use super::canonical;

/// More than a run makes.
const KEPT: usize = 512;

/// The two ends of a connection: this process's, and the other.
pub type Ends = (SocketAddr, SocketAddr);

static LATEST: Mutex<VecDeque<Ends>> = Mutex::new(VecDeque::new());

/// Notes a new connection.
pub fn note(own: SocketAddr, other: SocketAddr) {
    let mut latest = LATEST.lock().unwrap_or_else(PoisonError::into_inner);
    if latest.len() >= KEPT {
        latest.pop_front();
    }
    latest.push_back((canonical(own), canonical(other)));
}

/// The connections to a port that were noted and of which something is there still. Of the others nothing will be told: a client may have
/// the same ends next.
pub fn latest(port: u16, is_there: impl Fn(&Ends) -> bool) -> Vec<Ends> {
    let mut latest = LATEST.lock().unwrap_or_else(PoisonError::into_inner);
    latest.retain(|ends| ends.1.port() != port || is_there(ends));
    latest.iter().filter(|ends| ends.1.port() == port).copied().collect()
}
