//! Addresses on loopback at which nothing listens until a test, or a program that it starts, does.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::OwnedFd;

use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

/// From 32,768 on Linux gives ports away to those that don't ask for one.
const LOWEST: u64 = 15_000;
const HOW_MANY: u64 = 17_000;

/// Such an address. While this is there no other test program gets it, of another checkout neither.
#[derive(Debug)]
pub(crate) struct Port {
    number: u16,
    /// A name in this network namespace, as the port is, which ends with this process.
    _name: OwnedFd,
}

impl Port {
    pub(crate) fn reserve() -> Self {
        let numbers = std::iter::repeat_with(|| LOWEST + RandomState::new().hash_one(0) % HOW_MANY);
        let mut numbers = numbers.filter_map(|number| u16::try_from(number).ok());
        numbers.find_map(Self::at).unwrap()
    }

    fn at(number: u16) -> Option<Self> {
        // Closed by exec from the first moment on: other tests start programs meanwhile.
        let name =
            net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None).ok()?;
        let own = SocketAddrUnix::new_abstract_name(format!("gateway-reaper-test-port-{number}").as_bytes());
        net::bind(&name, &own.ok()?).ok()?;
        // A listener, unlike a socket that is bound alone, would be there for as long as any copy of it.
        let probe =
            net::socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None).ok()?;
        net::sockopt::set_socket_reuseaddr(&probe, true).ok()?;
        net::bind(&probe, &std::net::SocketAddrV4::new(Ipv4Addr::LOCALHOST, number)).ok()?;
        Some(Self { number, _name: name })
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    /// Listens there.
    pub(crate) fn listen(&self) -> std::io::Result<TcpListener> {
        TcpListener::bind((Ipv4Addr::LOCALHOST, self.number))
    }
}
