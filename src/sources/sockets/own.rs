//! The ends of this process's own latest connections. Once one is closed, the other side's end of it stays for a moment, and nothing else
//! tells that it isn't a client's.

use std::collections::{HashSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};

/// More than a run makes.
const KEPT: usize = 512;

static LATEST: Mutex<VecDeque<(IpAddr, u16)>> = Mutex::new(VecDeque::new());

/// Notes the own end of a new connection.
pub fn note(end: SocketAddr) {
    let mut latest = LATEST.lock().unwrap_or_else(PoisonError::into_inner);
    if latest.len() >= KEPT {
        latest.pop_front();
    }
    latest.push_back((end.ip().to_canonical(), end.port()));
}

/// The ends that were noted. One may be another process's by now: only what is closed already is told by them.
pub fn latest() -> HashSet<(IpAddr, u16)> {
    LATEST.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
}
