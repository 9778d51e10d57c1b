//! From host names to addresses. `/etc/hosts` comes first and needs no thread. The system's resolver blocks, so it runs in a thread of its
//! own; if none can be started, that is an error.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::thread;

use tokio::sync::oneshot;

use super::error::HttpProblem;

const HOSTS: &str = "/etc/hosts";

pub(super) async fn resolve(name: &str, port: u16) -> Result<Vec<SocketAddr>, HttpProblem> {
    let listed = listed(&fs::read_to_string(HOSTS).unwrap_or_default(), name);
    if !listed.is_empty() {
        return Ok(listed.into_iter().map(|ip| SocketAddr::new(ip, port)).collect());
    }
    let (tell, told) = oneshot::channel();
    let name = name.to_owned();
    let look_up = move || {
        // The request may have ended meanwhile.
        let _ = tell.send((name.as_str(), port).to_socket_addrs().map(Iterator::collect));
    };
    thread::Builder::new().name("resolver".into()).spawn(look_up).map_err(HttpProblem::NoResolver)?;
    let answer = told.await.unwrap_or_else(|_| Err(io::ErrorKind::NotFound.into()));
    answer.map_err(HttpProblem::Unresolved)
}

/// The addresses of a name in the list.
fn listed(hosts: &str, name: &str) -> Vec<IpAddr> {
    let lines = hosts.lines().filter_map(|line| {
        let mut words = line.split('#').next()?.split_ascii_whitespace();
        let ip = words.next()?.parse().ok()?;
        words.any(|word| word.eq_ignore_ascii_case(name)).then_some(ip)
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::listed;

    #[test]
    fn a_name_of_the_machines_own_list_has_all_its_addresses() {
        let hosts = "# gw\n127.0.0.1 localhost\n10.0.0.1\tgw.lan gw # gw2\n::1 gw\nodd gw\n";
        let ips = |name| listed(hosts, name).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(ips("GW"), ["10.0.0.1", "::1"]);
        assert_eq!(ips("gw.lan"), ["10.0.0.1"]);
        assert_eq!(ips("gw2"), [""; 0]);
        assert_eq!(ips("lan"), [""; 0]);
    }
}
