//! Which process has a socket, where another PID namespace may be between it and the PID that it says it has.

use std::fs;

use crate::domain::ids::Pid;

/// The process, by its PID in the reaper's namespace, that has the socket of this inode and is `said` in a PID namespace of its own below
/// that. `None`: process `said` itself has the socket, or nothing tells.
pub fn held_below(said: Pid, inode: u32) -> Option<Pid> {
    let link = format!("socket:[{inode}]");
    if holds(said, &link) {
        return None;
    }
    let pids = fs::read_dir("/proc").ok()?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter_map(Pid::new).find(|pid| is_known_below_as(*pid) == Some(said) && holds(*pid, &link))
}

/// The processes that have the socket of this inode, as far as that is to be seen.
pub fn holders(inode: u32) -> Vec<Pid> {
    let link = format!("socket:[{inode}]");
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids =
        entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).filter_map(Pid::new);
    pids.filter(|pid| holds(*pid, &link)).collect()
}

/// The inodes of the sockets that this process has. `None`: they can't be seen.
pub fn sockets_of(pid: Pid) -> Option<Vec<u32>> {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten();
    let inode =
        |link: std::path::PathBuf| link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok();
    Some(descriptors.filter_map(|entry| inode(fs::read_link(entry.path()).ok()?)).collect())
}

/// Whether this process has the socket of this inode.
pub fn has(pid: Pid, inode: u32) -> bool {
    holds(pid, &format!("socket:[{inode}]"))
}

/// The PID that this process has in its own namespace, if that is one below the reaper's.
pub fn is_known_below_as(pid: Pid) -> Option<Pid> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    innermost(&status)
}

fn innermost(status: &str) -> Option<Pid> {
    let pids = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    let (_, innermost) = pids.trim().rsplit_once(char::is_whitespace)?;
    Pid::new(innermost.parse().ok()?)
}

fn holds(pid: Pid, link: &str) -> bool {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    descriptors.flatten().any(|entry| fs::read_link(entry.path()).is_ok_and(|to| to.as_os_str() == link))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn only_a_process_of_a_namespace_below_has_two_pids() {
        assert_eq!(innermost("Name:\tx\nNSpid:\t4711\nVmPeak:\t1 kB\n"), None);
        assert_eq!(innermost("Name:\tx\nNSpid:\t4711\t7\nVmPeak:\t1 kB\n"), Pid::new(7));
        assert_eq!(innermost("Name:\tx\nNSpid:\t4711\t7\t1\n"), Pid::new(1));
        assert_eq!(innermost("Name:\tx\n"), None);
    }

    #[test]
    fn a_process_that_has_the_socket_itself_is_the_one_it_says() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let own = Pid::new(std::process::id().into()).unwrap();
        let link = fs::read_link(format!("/proc/self/fd/{}", listener.as_raw_fd())).unwrap();
        let link = link.to_str().unwrap();
        assert!(holds(own, link));
        let inode = link.strip_prefix("socket:[").unwrap().strip_suffix(']').unwrap().parse().unwrap();
        assert_eq!(held_below(own, inode), None);
    }
}
