//! Addresses on loopback at which nothing listens until a test, or a program of it, does.

use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU16, Ordering};

use rustix::net;

/// Such an address. No other test gets it while this is there.
pub(crate) struct Port {
    number: u16,
    socket: OwnedFd,
}

impl Port {
    /// One of those that the kernel doesn't give away.
    pub(crate) fn reserve() -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let own = u16::try_from(std::process::id() % 97).unwrap() * 100;
        let numbers =
            std::iter::repeat_with(|| 20_000 + (own + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000);
        numbers.take(10_000).find_map(|number| Self::at(number).ok()).unwrap()
    }

    fn at(number: u16) -> rustix::io::Result<Self> {
        let (family, kind) = (net::AddressFamily::INET, net::SocketType::STREAM);
        let socket = net::socket_with(family, kind, net::SocketFlags::CLOEXEC, None)?;
        net::bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, number))?;
        Ok(Self { number, socket })
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    /// Listens there. Only a socket that shares the address, as a listener does, lets it be listened at.
    pub(crate) fn listen(&self) -> std::io::Result<TcpListener> {
        self.share();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.number));
        net::sockopt::set_socket_reuseaddr(&self.socket, false)?;
        listener
    }

    /// From now on a program may listen there that shares its addresses, as servers do.
    pub(crate) fn share(&self) {
        net::sockopt::set_socket_reuseaddr(&self.socket, true).unwrap();
    }
}
