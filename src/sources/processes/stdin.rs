//! What is at the other end of a process' stdin, and whether anything is connected to its tree: by which a server that talks over stdin and
//! lost its host is told from one that has it. Only descriptor 0 of a candidate is looked at, and more only of what is due.

use std::collections::{BTreeSet, HashSet};
use std::io;
use std::net::SocketAddr;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, Mode, OFlags, fstat, openat, readlinkat};
use rustix::io::Errno;

use super::dir::ProcessDir;
use super::error::ProcessesError;
use super::proc::Proc;
use crate::domain::ids::Pid;
use crate::domain::policy::{Rules, Workers};
use crate::domain::process::{Process, ProcessView, Stdin};
use crate::sources::sockets::{Filter, Socket, Sockets, State, unix};

/// Words by which a server is told to serve at a port instead of over stdin. Such a one needs no host: started by `ssh HOST 'nohup SERVER &'`
/// it has a stdin without another end, and init above it, for as long as it serves.
const AT_A_PORT: [&str; 12] = [
    "http",
    "http-stream",
    "listen",
    "port",
    "serve",
    "sse",
    "streamable",
    "streamable-http",
    "streamable_http",
    "streamablehttp",
    "websocket",
    "ws",
];

/// Adds to the view what is at the other end of stdin, of each process that may be a leftover.
pub(super) fn look(proc: &mut Proc, view: &mut ProcessView, rules: &[Rules]) -> Result<(), ProcessesError> {
    let rules: Vec<&Rules> = rules.iter().filter(|rules| rules.workers == Workers::Leftovers).collect();
    if rules.is_empty() {
        return Ok(());
    }
    let candidates: Vec<&Process> = view
        .processes
        .values()
        .filter(|process| rules.iter().any(|rules| is_candidate(rules, process)))
        .collect();
    let mut found = Vec::with_capacity(candidates.len());
    for process in candidates {
        let Some(dir) = proc.process(process.identity.pid)? else { continue };
        let stdin = stdin_of(&dir);
        // What was read is of the process that had the PID then.
        if proc.describe(&dir)?.is_some_and(|(now, _)| now.identity == process.identity) {
            found.push((process.identity.pid, stdin));
        }
    }
    view.stdin.extend(found);
    Ok(())
}

fn is_candidate(rules: &Rules, process: &Process) -> bool {
    let pattern = rules.worker_match.as_ref().zip(process.argv.as_deref());
    !process.zombie
        && process.uid == rules.worker_uid
        && pattern.is_some_and(|(pattern, argv)| pattern.matches(argv).is_some())
}

fn stdin_of(dir: &ProcessDir) -> Stdin {
    let link = match readlinkat(dir.as_fd(), "fd/0", Vec::new()) {
        Ok(link) => link.to_string_lossy().into_owned(),
        Err(Errno::NOENT) => return Stdin::Other("closed".into()),
        Err(errno) => return unknown(errno),
    };
    if link.starts_with("pipe:[") {
        return pipe(dir);
    }
    match inode_in(&link, "socket:[") {
        Some(inode) => match unix::socket(inode) {
            Ok(Some(unix::UnixSocket { peer: Some(unix::Peer::Gone), .. })) => Stdin::Gone,
            Ok(Some(unix::UnixSocket { peer: Some(unix::Peer::There), .. })) => Stdin::Held,
            Ok(Some(_)) => Stdin::Other("a socket that isn't connected".into()),
            Ok(None) => Stdin::Unknown(
                "its stdin is a socket that isn't of the file system, or of another network namespace".into(),
            ),
            Err(error) => Stdin::Unknown(format!("its stdin can't be looked up ({error})").into()),
        },
        None => Stdin::Other(crate::text::excerpt(&link, 64)),
    }
}

/// Whether any process has it open for writing. The kernel says so at the reading end, and counts what no process list shows, such as a
/// descriptor on its way through a socket.
fn pipe(dir: &ProcessDir) -> Stdin {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let opened = openat(dir.as_fd(), "fd/0", flags, Mode::empty())
        .and_then(|fd| fstat(&fd).map(|stat| (fd, FileType::from_raw_mode(stat.st_mode))));
    let fd = match opened {
        Ok((fd, FileType::Fifo)) => fd,
        // Another file by now.
        Ok(_) => return Stdin::Unknown("its stdin changed while it was looked at".into()),
        Err(errno) => return unknown(errno),
    };
    let mut fds = [PollFd::new(&fd, PollFlags::IN)];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    match rustix::io::retry_on_intr(|| poll(&mut fds, Some(&at_once))) {
        Ok(_) if fds[0].revents().contains(PollFlags::HUP) => Stdin::Gone,
        Ok(_) => Stdin::Held,
        Err(errno) => unknown(errno),
    }
}

fn unknown(errno: Errno) -> Stdin {
    Stdin::Unknown(format!("its stdin can't be read ({})", io::Error::from(errno)).into())
}

fn inode_in(link: &str, prefix: &str) -> Option<u32> {
    link.strip_prefix(prefix)?.strip_suffix(']')?.parse().ok()
}

/// Looks at the trees of those that are due: one with a listening socket to which a client is connected is in use, whatever its stdin says.
/// What can't be told is a doubt. `left`: those whose gateway is gone, whose kind says that a client may be there all the same.
pub(super) fn look_for_clients(
    proc: &mut Proc,
    view: &mut ProcessView,
    due: &[Pid],
    left: &[Pid],
) -> Result<(), ProcessesError> {
    let own_network = own_network();
    let gone = |pid: &&Pid| view.stdin.get(pid) == Some(&Stdin::Gone);
    let roots: Vec<Pid> = due.iter().filter(gone).chain(left).copied().collect();
    let mut changed = Vec::new();
    for root in roots {
        let is_of_tree = |process: &&Process| {
            process.identity.pid == root || view.ancestors(process).any(|above| above.identity.pid == root)
        };
        let tree: Vec<Pid> =
            view.processes.values().filter(is_of_tree).map(|process| process.identity.pid).collect();
        let stdin = match sockets_of(proc, &tree, own_network.as_deref()) {
            Ok(inodes) if inodes.is_empty() => continue,
            Ok(inodes) => match use_of(&inodes, view.get(root).filter(|_| gone(&&root))) {
                Ok(None) => continue,
                Ok(Some(shown)) => shown,
                Err(error) => {
                    Stdin::Unknown(format!("whether it has clients can't be known ({error})").into())
                }
            },
            Err(why) => Stdin::Unknown(why),
        };
        changed.push((root, stdin));
    }
    view.served.extend(changed.iter().map(|(root, _)| *root).filter(|root| left.contains(root)));
    view.stdin.extend(changed.into_iter().filter(|(root, _)| !left.contains(root)));
    Ok(())
}

fn own_network() -> Option<Box<str>> {
    let link = std::fs::read_link("/proc/self/ns/net").ok()?;
    Some(link.to_string_lossy().into())
}

/// The inodes of all sockets of these processes; what is gone has none.
fn sockets_of(proc: &mut Proc, tree: &[Pid], own_network: Option<&str>) -> Result<HashSet<u32>, Box<str>> {
    let unreadable = |error: &dyn std::fmt::Display| -> Box<str> {
        format!("its descriptors can't be read ({error})").into()
    };
    let mut inodes = HashSet::new();
    for pid in tree {
        let Some(dir) = proc.process(*pid).map_err(|error| unreadable(&error))? else { continue };
        let Some(numbers) = dir.numbers("fd").map_err(|error| unreadable(&error))? else { continue };
        let mut own = BTreeSet::new();
        for number in numbers {
            let link = dir.link(&format!("fd/{number}")).map_err(|error| unreadable(&error))?;
            own.extend(link.and_then(|link| inode_in(&link, "socket:[")));
        }
        if own.is_empty() {
            continue;
        }
        let network = dir.link("ns/net").map_err(|error| unreadable(&error))?;
        if network.as_deref() != own_network {
            return Err("its sockets are in another network namespace".into());
        }
        inodes.extend(own);
    }
    Ok(inodes)
}

/// Whether its argv tells it to serve at one of these ports: by the number, by a word or an option's value of its own (`serve`,
/// `--transport=sse`), or by an option that is named so (`--sse-port`).
fn is_told_to_serve(argv: &str, ports: &HashSet<u16>) -> bool {
    let is_one_of = |known: &[&str], word: &str| known.iter().any(|known| known.eq_ignore_ascii_case(word));
    let is_port = |number: &str| number.parse().is_ok_and(|number| ports.contains(&number));
    argv.split(' ').skip(1).any(|word| {
        let is_named_so = |part: &str| is_one_of(&["listen", "port", "serve"], part);
        let mut words = word.trim_start_matches('-').split('=');
        let name = word.split('=').next().filter(|name| name.starts_with('-')).unwrap_or_default();
        words.any(|word| is_one_of(&AT_A_PORT, word))
            || word.split(|letter: char| !letter.is_ascii_digit()).any(is_port)
            || name.split(|letter: char| !letter.is_ascii_alphanumeric()).any(is_named_so)
    })
}

/// Whether a client is connected, or waits to be, at a listening socket among these; one that has its own end among these, too, is none.
/// `bereft`: the process whose tree has them, where the other end of its stdin is gone. It may listen at a port because it was told to.
fn use_of(inodes: &HashSet<u32>, bereft: Option<&Process>) -> io::Result<Option<Stdin>> {
    let tcp = Sockets::open().list(Filter::ALL)?;
    let listening =
        tcp.iter().filter(|socket| socket.state == State::Listen && inodes.contains(&socket.inode));
    let ports: HashSet<u16> = listening.map(|socket| socket.local.port()).collect();
    // A server in trouble may never close what its client has closed.
    let is_client = |state| matches!(state, State::Established | State::HalfOpen);
    let is_end = |far: SocketAddr, near: SocketAddr| {
        far.port() == near.port() && far.ip().to_canonical() == near.ip().to_canonical()
    };
    let is_own = |near: &Socket| {
        let is_far_end = |far: &&Socket| is_end(far.local, near.remote) && is_end(far.remote, near.local);
        tcp.iter().find(is_far_end).is_some_and(|far| inodes.contains(&far.inode))
    };
    let mut connected =
        tcp.iter().filter(|socket| is_client(socket.state) && ports.contains(&socket.local.port()));
    if connected.any(|socket| !is_own(socket)) {
        return Ok(Some(Stdin::Serving));
    }
    let argv = bereft.and_then(|process| process.argv.as_deref()).unwrap_or_default();
    if !ports.is_empty() && is_told_to_serve(argv, &ports) {
        return Ok(Some(Stdin::AtPort));
    }
    let unix = unix::all()?;
    let listening: Vec<_> =
        unix.iter().filter(|socket| socket.waiting.is_some() && inodes.contains(&socket.inode)).collect();
    let names: HashSet<_> = listening.iter().filter_map(|socket| socket.name.as_ref()).collect();
    let waits = listening.iter().any(|socket| socket.waiting.is_some_and(|many| many > 0));
    let connected = unix.iter().any(|socket| {
        socket.peer == Some(unix::Peer::There)
            && socket.name.as_ref().is_some_and(|name| names.contains(name))
    });
    Ok((waits || connected).then_some(Stdin::Serving))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_told_to_serve_by_a_number_a_word_or_an_option() {
        let ports = HashSet::from([8096]);
        for told in [
            "mcp serve",
            "mcp streamableHttp",
            "mcp streamable-http",
            "mcp streamable_http",
            "mcp --sse-port 8096",
            "mcp --http.port=1",
            "mcp -p 8096",
            "mcp :8096",
            "mcp --bind 127.0.0.1:8096",
            "mcp -addr=:8096",
            "mcp --transport=http-stream",
            "mcp --mode streamable",
            "mcp --Transport SSE",
        ] {
            assert!(is_told_to_serve(told, &ports), "{told}");
        }
        for alone in [
            "mcp",
            "serve",
            "mcp --stdio",
            "node /srv/http/mcp.js",
            "mcp 80961",
            "mcp -p 18096",
            "mcp --report no",
        ] {
            assert!(!is_told_to_serve(alone, &ports), "{alone}");
        }
    }
}
