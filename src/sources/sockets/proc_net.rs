//! The sockets from `/proc/net/tcp` and `/proc/net/tcp6`: slower, and on every kernel.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::net::{IpAddr, SocketAddr};

use super::{Filter, Socket, State, same};

const TABLES: [&str; 2] = ["tcp", "tcp6"];

/// The socket of these two ends; else the one that would take a connection between them.
pub(super) fn look_up(local: SocketAddr, remote: SocketAddr) -> io::Result<Option<Socket>> {
    let mut listening: Option<Socket> = None;
    for socket in list(Filter::local_port(local.port()))? {
        if same(socket.local, local) && same(socket.remote, remote) {
            return Ok(Some(socket));
        }
        let is_exact = socket.local.ip().to_canonical() == local.ip().to_canonical();
        let takes = is_exact || is_any_for(socket.local.ip(), local.ip());
        // The one at this very address comes before the one at every address.
        if socket.state == State::Listen && takes && (is_exact || listening.is_none()) {
            listening = Some(socket);
        }
    }
    Ok(listening)
}

/// Whether a socket bound to `bound` may take what comes to `ip`: IPv6 sockets mostly take IPv4, too.
fn is_any_for(bound: IpAddr, ip: IpAddr) -> bool {
    bound.is_unspecified() && (bound.is_ipv6() || ip.to_canonical().is_ipv4())
}

pub(super) fn list(filter: Filter) -> io::Result<Vec<Socket>> {
    list_of("self", filter)
}

/// In the network namespace of this process.
pub(super) fn list_of(process: &str, filter: Filter) -> io::Result<Vec<Socket>> {
    let mut found = Vec::new();
    for table in TABLES {
        let file = match File::open(format!("/proc/{process}/net/{table}")) {
            Ok(file) => file,
            // A kernel without IPv6 has one table.
            Err(error) if error.kind() == io::ErrorKind::NotFound && table == TABLES[1] => continue,
            Err(error) => return Err(error),
        };
        for line in BufReader::new(file).lines().skip(1) {
            let socket = parse(&line?)
                .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a line that says no socket"))?;
            if filter.takes(&socket) {
                found.push(socket);
            }
        }
    }
    Ok(found)
}

/// `sl local rem st tx:rx tr:when retrnsmt uid timeout inode …`.
fn parse(line: &str) -> Option<Socket> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let local = end(fields.next()?)?;
    let remote = end(fields.next()?)?;
    let state = u8::from_str_radix(fields.next()?, 16).ok()?;
    let uid = fields.nth(3)?.parse().ok()?;
    let inode = fields.nth(1)?.parse().ok()?;
    Some(Socket { local, remote, state: State::from_kernel(state), uid, inode })
}

/// An address in words of the machine's own byte order, and a port.
fn end(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let word = |at: usize| Some(u32::from_str_radix(ip.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    let ip = match ip.len() {
        8 => IpAddr::from(word(0)?),
        32 => {
            let words = [word(0)?, word(8)?, word(16)?, word(24)?];
            IpAddr::from(<[u8; 16]>::try_from(words.as_flattened()).ok()?)
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}
