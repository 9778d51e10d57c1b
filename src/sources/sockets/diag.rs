//! `sock_diag` for TCP: what is asked, and what the answers mean (`linux/inet_diag.h`).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rustix::net::AddressFamily;

use super::netlink::{Netlink, Want, chunk, u32_at};
use super::{Socket, State};

const TCP: u8 = 6;
const ALL_STATES: u32 = 0xfff;
const LISTENING: u32 = 1 << 10;
/// `struct inet_diag_msg`.
const MESSAGE: usize = 72;

/// Which sockets are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filter {
    /// Of this port only; `None`: of any.
    pub local_port: Option<u16>,
    /// With the other end at this port only; `None`: at any.
    pub remote_port: Option<u16>,
    /// Only those that listen.
    pub listening: bool,
}

impl Filter {
    /// Everything.
    pub const ALL: Self = Self { local_port: None, remote_port: None, listening: false };
    /// Whatever listens, at any port.
    pub const LISTENING: Self = Self { listening: true, ..Self::ALL };

    /// Everything at a local port.
    pub fn local_port(port: u16) -> Self {
        Self { local_port: Some(port), ..Self::ALL }
    }

    /// Whether it lets this one through.
    pub(super) fn takes(self, socket: &Socket) -> bool {
        let fits = |wanted: Option<u16>, port| wanted.is_none_or(|wanted| wanted == port);
        fits(self.local_port, socket.local.port())
            && fits(self.remote_port, socket.remote.port())
            && (!self.listening || socket.state == State::Listen)
    }
}

/// The socket of these two ends; else the one that would take a connection between them.
pub(super) fn look_up(
    netlink: &mut Netlink,
    local: SocketAddr,
    remote: SocketAddr,
) -> io::Result<Option<Socket>> {
    let family = family_of(local.ip());
    let mut found = None;
    netlink.ask(Want::One, &request(family, ALL_STATES, local, remote), |message| found = parse(message))?;
    Ok(found)
}

pub(super) fn list(netlink: &mut Netlink, filter: Filter) -> io::Result<Vec<Socket>> {
    let mut found = Vec::new();
    for (family, any) in [
        (AddressFamily::INET, IpAddr::from(Ipv4Addr::UNSPECIFIED)),
        (AddressFamily::INET6, Ipv6Addr::UNSPECIFIED.into()),
    ] {
        let end = |port: Option<u16>| SocketAddr::new(any, port.unwrap_or(0));
        let states = if filter.listening { LISTENING } else { ALL_STATES };
        let request = request(family, states, end(filter.local_port), end(filter.remote_port));
        netlink.ask(Want::All, &request, |message| found.extend(parse(message)))?;
    }
    Ok(found)
}

fn family_of(ip: IpAddr) -> AddressFamily {
    match ip {
        IpAddr::V4(_) => AddressFamily::INET,
        IpAddr::V6(_) => AddressFamily::INET6,
    }
}

/// `struct inet_diag_req_v2`.
fn request(family: AddressFamily, states: u32, local: SocketAddr, remote: SocketAddr) -> Vec<u8> {
    let mut request = Vec::with_capacity(56);
    request.extend([family.as_raw() as u8, TCP, 0, 0]);
    request.extend(states.to_ne_bytes());
    request.extend(local.port().to_be_bytes());
    request.extend(remote.port().to_be_bytes());
    request.extend(padded(local.ip()));
    request.extend(padded(remote.ip()));
    request.extend(0_u32.to_ne_bytes());
    // No cookie: any socket of these ends.
    request.extend([0xff; 8]);
    request
}

fn padded(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&ip.octets());
            bytes
        }
        IpAddr::V6(ip) => ip.octets(),
    }
}

fn parse(message: &[u8]) -> Option<Socket> {
    if message.len() < MESSAGE {
        return None;
    }
    let is_v6 = u16::from(message[0]) == AddressFamily::INET6.as_raw();
    let end = |port_at, ip_at| {
        let ip = if is_v6 {
            IpAddr::from(chunk::<16>(message, ip_at))
        } else {
            IpAddr::from(chunk::<4>(message, ip_at))
        };
        SocketAddr::new(ip, u16::from_be_bytes(chunk(message, port_at)))
    };
    Some(Socket {
        local: end(4, 8),
        remote: end(6, 24),
        state: State::from_kernel(message[1]),
        uid: u32_at(message, 64),
        inode: u32_at(message, 68),
    })
}
