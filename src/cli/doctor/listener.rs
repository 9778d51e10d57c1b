//! Who listens at a gateway's address on this machine: which process, of which user, in which namespaces, and whether it is the gateway.

use std::net::{IpAddr, SocketAddr};

use super::Check;
use crate::config::GatewayConfig;
use crate::config::address::{Host, Place};
use crate::domain::ids::Pid;
use crate::report::json::Gateway;
use crate::report::text::plain;
use crate::sources::sockets::{Socket, Sockets, holder, namespace_apart};
use crate::users::Shown;

/// `None`: it can't be known of this address, or the gateway's own check has said it.
pub(super) fn check(settings: &GatewayConfig, gateway: &Gateway<'_>) -> Option<Check> {
    let Place::Tcp { host: Host::Addresses(_), port } = settings.kind.endpoint()?.address.place() else {
        return None;
    };
    let found = listening(settings);
    let name = plain(gateway.name, 64);
    match found {
        Some((at, socket)) => Some(of(&name, gateway, at, socket)),
        None if gateway.table == "unreachable" => None,
        None => Some(Check::warning(
            "listener",
            format!(
                "{name}: nothing of this network namespace listens at port {port}; something forwards it"
            ),
            "run the reaper in the gateway's network namespace, where it can see who listens",
        )),
    }
}

/// The processes that listen at the address of a gateway whose own isn't known otherwise.
pub(super) fn processes(settings: &GatewayConfig) -> Vec<Pid> {
    listening(settings).map(|(_, socket)| holder::holders(socket.inode)).unwrap_or_default()
}

fn listening(settings: &GatewayConfig) -> Option<(SocketAddr, Socket)> {
    let Place::Tcp { host: Host::Addresses(addresses), port } = settings.kind.endpoint()?.address.place()
    else {
        return None;
    };
    // At another machine's address something listens, too, that this machine knows nothing of.
    let here = addresses.iter().copied().filter(IpAddr::is_loopback);
    Sockets::open().listening(here, *port).next()
}

fn of(name: &str, gateway: &Gateway<'_>, at: SocketAddr, socket: Socket) -> Check {
    let user = Shown(socket.uid);
    let known = gateway.pid.and_then(|pid| Pid::new(pid.into()));
    let holders = holder::holders(socket.inode);
    match (known, holders.first()) {
        (Some(known), _) if holders.contains(&known) => Check::ok(
            "listener",
            format!(
                "{name}: process {known} ({}) of {user} listens at {at}, which is {} gateway{}",
                comm(known),
                // Without a table nothing but that it listens there says so.
                if gateway.table == "ok" { "the" } else { "taken for the" },
                apart(known)
            ),
        ),
        (None, Some(first)) => Check::ok(
            "listener",
            format!("{name}: process {first} ({}) of {user} listens at {at}{}", comm(*first), apart(*first)),
        ),
        (Some(known), Some(first)) => Check::warning(
            "listener",
            format!(
                "{name}: process {first} ({}) of {user} listens at {at}{}, and not process {known}, which is taken for the gateway",
                comm(*first),
                apart(*first)
            ),
            "if that is a proxy or a supervisor, put the gateway's own address into url; if not, find out what it is (ss -ltnp)",
        ),
        (_, None) => Check::warning(
            "listener",
            format!(
                "{name}: a process of {user} listens at {at}; which one isn't to be seen from here: it is another user's, or in another \
                 PID namespace"
            ),
            "run the reaper as that user, and in the gateway's PID namespace",
        ),
    }
}

/// The namespaces in which it isn't together with the reaper.
fn apart(pid: Pid) -> String {
    let inner = holder::is_known_below_as(pid);
    let inner = inner.map(|inner| format!(", in a PID namespace of its own, where it is process {inner}"));
    let network = namespace_apart(pid).map(|_| ", in another network namespace");
    inner.unwrap_or_default() + network.unwrap_or_default()
}

fn comm(pid: Pid) -> String {
    let comm = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    plain(comm.trim_end(), 20)
}
