//! A netlink socket to the kernel's `sock_diag`. The answer is there as soon as the request is sent, so nothing waits.

use std::io;
use std::os::fd::OwnedFd;

use rustix::net::netlink::{SOCK_DIAG, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recvfrom, sendto, socket_with,
};

/// `SOCK_DIAG_BY_FAMILY`.
const BY_FAMILY: u16 = 20;
const REQUEST: u16 = 1;
/// `NLM_F_ROOT | NLM_F_MATCH`.
const DUMP: u16 = 0x300;
const ERROR: u16 = 2;
const DONE: u16 = 3;
const HEAD: usize = 16;
/// The kernel fills at most this much at a time.
const BUFFER_BYTES: usize = 32 * 1024;

/// One, or all that fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    One,
    All,
}

/// A socket to the kernel's `sock_diag`.
#[derive(Debug)]
pub struct Netlink {
    fd: OwnedFd,
    sequence: u32,
}

impl Netlink {
    pub(super) fn open() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd = socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, Some(SOCK_DIAG))?;
        Ok(Self { fd, sequence: 0 })
    }

    /// Sends the request, and gives each message of the answer to `take`.
    pub(super) fn ask(&mut self, want: Want, request: &[u8], mut take: impl FnMut(&[u8])) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        let flags = REQUEST | if want == Want::All { DUMP } else { 0 };
        let length = u32::try_from(HEAD + request.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let mut message = Vec::with_capacity(HEAD + request.len());
        message.extend(length.to_ne_bytes());
        message.extend(BY_FAMILY.to_ne_bytes());
        message.extend(flags.to_ne_bytes());
        message.extend(self.sequence.to_ne_bytes());
        message.extend(0_u32.to_ne_bytes());
        message.extend(request);
        sendto(&self.fd, &message, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            let (received, length, from) = recvfrom(&self.fd, &mut buffer[..], RecvFlags::TRUNC)?;
            if length > received {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "an answer too large to read"));
            }
            // Only what the kernel sent counts: its address is 0.
            let kernel = from.and_then(|from| SocketAddrNetlink::try_from(from).ok());
            if kernel.is_none_or(|kernel| kernel.pid() != 0) {
                continue;
            }
            if self.take_all(want, &buffer[..received], &mut take)? {
                return Ok(());
            }
        }
    }

    /// Whether that was all.
    fn take_all(&self, want: Want, mut bytes: &[u8], take: &mut impl FnMut(&[u8])) -> io::Result<bool> {
        while let Some((head, _)) = bytes.split_at_checked(HEAD) {
            let length = usize::try_from(u32_at(head, 0)).unwrap_or(usize::MAX);
            let Some(message) = bytes.get(HEAD..length) else {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "half a message"));
            };
            let (kind, sequence) = (u16_at(head, 4), u32_at(head, 8));
            // Left over from a request that failed in the middle.
            if sequence == self.sequence {
                match kind {
                    ERROR => return refused(message),
                    DONE => return Ok(true),
                    BY_FAMILY => take(message),
                    _ => {}
                }
                if want == Want::One && kind == BY_FAMILY {
                    return Ok(true);
                }
            }
            bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        Ok(false)
    }
}

/// The kernel's refusal; "there is none" is an answer.
fn refused(message: &[u8]) -> io::Result<bool> {
    let code = i32::from_ne_bytes(message.first_chunk().copied().unwrap_or_default());
    match -code {
        0 => Ok(true),
        code if code == rustix::io::Errno::NOENT.raw_os_error() => Ok(true),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(chunk(bytes, at))
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes(chunk(bytes, at))
}

pub(super) fn chunk<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
}
