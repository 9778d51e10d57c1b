//! `sock_diag` for sockets of the file system and pairs of them: what is at the other end (`linux/unix_diag.h`).

use std::io;

use rustix::net::AddressFamily;

use super::netlink::{Netlink, Want, chunk, u32_at};

const ALL_STATES: u32 = u32::MAX;
const SHOW_NAME: u32 = 1;
const SHOW_PEER: u32 = 4;
const SHOW_QUEUE: u32 = 16;
/// `struct unix_diag_msg`.
const MESSAGE: usize = 16;
const NAME: u16 = 0;
const PEER: u16 = 2;
const QUEUE: u16 = 4;
const SHUTDOWN: u16 = 6;
const ESTABLISHED: u8 = 1;
const LISTEN: u8 = 10;
/// Neither reading nor writing is possible any more: the kernel sets this at one end when the other is closed.
const BOTH_WAYS: u8 = 3;

/// One socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnixSocket {
    /// As `/proc/PID/fd` shows it.
    pub inode: u32,
    /// It waits for connections; so many have come and wait.
    pub waiting: Option<u32>,
    /// The other end of a connected one.
    pub peer: Option<Peer>,
    /// What it is bound to; one that was accepted has the name of its listener.
    pub name: Option<Box<[u8]>>,
}

/// The other end of a connected socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// Some process has it open, or it is on its way to one.
    There,
    /// It is closed.
    Gone,
}

/// The socket with this inode. `None`: this network namespace has none, or the kernel doesn't tell of such.
///
/// # Errors
/// It can't be known.
pub fn socket(inode: u32) -> io::Result<Option<UnixSocket>> {
    let mut found = None;
    Netlink::open()?.ask(Want::One, &request(inode), |message| found = parse(message))?;
    Ok(found.filter(|socket| socket.inode == inode))
}

/// All of this network namespace.
///
/// # Errors
/// They can't be known.
pub fn all() -> io::Result<Vec<UnixSocket>> {
    let mut found = Vec::new();
    Netlink::open()?.ask(Want::All, &request(0), |message| found.extend(parse(message)))?;
    Ok(found)
}

/// `struct unix_diag_req`.
fn request(inode: u32) -> Vec<u8> {
    let mut request = Vec::with_capacity(24);
    request.extend([AddressFamily::UNIX.as_raw() as u8, 0, 0, 0]);
    for number in [ALL_STATES, inode, SHOW_NAME | SHOW_PEER | SHOW_QUEUE, u32::MAX, u32::MAX] {
        request.extend(number.to_ne_bytes());
    }
    request
}

fn parse(message: &[u8]) -> Option<UnixSocket> {
    let (head, mut rest) = message.split_at_checked(MESSAGE)?;
    let (state, inode) = (head[2], u32_at(head, 4));
    let (mut name, mut peer, mut queue, mut shutdown) = (None, None, 0, 0);
    while rest.len() >= 4 {
        let (length, kind) =
            (usize::from(u16::from_ne_bytes(chunk(rest, 0))), u16::from_ne_bytes(chunk(rest, 2)));
        let value = rest.get(4..length)?;
        match kind {
            NAME => name = (!value.is_empty()).then(|| value.into()),
            PEER => peer = Some(u32_at(value, 0)),
            QUEUE => queue = u32_at(value, 0),
            SHUTDOWN => shutdown = value.first().copied().unwrap_or_default(),
            _ => {}
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    // A peer that was not accepted yet has no inode either, and is not shut down.
    let peer = peer
        .filter(|_| state == ESTABLISHED)
        .map(|peer| if peer == 0 && shutdown & BOTH_WAYS == BOTH_WAYS { Peer::Gone } else { Peer::There });
    Some(UnixSocket { inode, waiting: (state == LISTEN).then_some(queue), peer, name })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::net::Shutdown;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;
    use crate::patience::eventually;

    fn inode(socket: &impl AsRawFd) -> u32 {
        let link = fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd())).unwrap();
        link.to_str().unwrap().strip_prefix("socket:[").unwrap().strip_suffix(']').unwrap().parse().unwrap()
    }

    fn peer(of: &UnixStream) -> Option<Peer> {
        socket(inode(of)).unwrap().unwrap().peer
    }

    #[test]
    fn the_other_end_of_a_pair_is_there_until_the_last_copy_is_closed() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let copy = theirs.try_clone().unwrap();
        assert_eq!(peer(&ours), Some(Peer::There));
        theirs.shutdown(Shutdown::Write).unwrap();
        drop(theirs);
        assert_eq!(peer(&ours), Some(Peer::There), "a copy is open");
        drop(copy);
        eventually("the other end is gone", || peer(&ours) == Some(Peer::Gone));
    }

    #[test]
    fn a_connection_that_nobody_has_accepted_yet_is_not_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let client = UnixStream::connect(&path).unwrap();
        assert_eq!(peer(&client), Some(Peer::There));
        let listening = socket(inode(&listener)).unwrap().unwrap();
        assert_eq!((listening.waiting, listening.peer), (Some(1), None));
        let (accepted, _) = listener.accept().unwrap();
        let found = all().unwrap();
        let one = |inode: u32| found.iter().find(|socket| socket.inode == inode).unwrap();
        assert_eq!(one(inode(&listener)).waiting, Some(0));
        assert_eq!(one(inode(&accepted)).name, one(inode(&listener)).name);
        assert_eq!(one(inode(&accepted)).peer, Some(Peer::There));
        drop(client);
        eventually("the other end is gone", || peer(&accepted) == Some(Peer::Gone));
    }

    #[test]
    fn what_is_no_such_socket_is_not_found() {
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        assert_eq!(socket(inode(&tcp)).unwrap(), None);
    }
}
