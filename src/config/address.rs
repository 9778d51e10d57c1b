//! The address of a gateway: plain HTTP with a host, or a socket in the file system of this machine; no secrets. It is checked when the
//! configuration is read, so that a request needs no check of its own.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use hyper::Uri;
use hyper::http::uri::PathAndQuery;
use thiserror::Error;

use super::value::quoted;

/// The most that the kernel takes for the path of a socket.
const MOST_SOCKET_BYTES: usize = 107;

/// Where a gateway is, and which path of it is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    place: Place,
    /// Host and port as the configuration has them; what a `Host` header says.
    authority: Box<str>,
    path: Box<str>,
}

/// What to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A TCP port.
    Tcp {
        /// Of this host.
        host: Host,
        /// From 1 to 65535.
        port: u16,
    },
    /// A socket in the file system.
    Unix(PathBuf),
}

/// Addresses where the url gives them, so that nothing has to be looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// In the order in which to try them.
    Addresses(Box<[IpAddr]>),
    /// To be looked up each time.
    Name(Box<str>),
}

/// Why a text is no address: what was expected, and the text only where it can't hold a secret.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct NotAnAddress(String);

impl Address {
    /// What to connect to.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Host and port for a `Host` header.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The path; it begins with a slash.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What to connect to, as messages name it.
    pub fn at(&self) -> String {
        match &self.place {
            Place::Tcp { .. } => self.authority.to_string(),
            Place::Unix(socket) => format!("unix://{}", socket.display()),
        }
    }

    /// The address of another path of the same gateway.
    pub fn with_path(&self, path: &str) -> Self {
        Self { path: path.into(), ..self.clone() }
    }

    /// Whether requests go to this machine and can't go anywhere else.
    pub fn is_local(&self) -> bool {
        match &self.place {
            Place::Tcp { host: Host::Addresses(addresses), .. } => addresses.iter().all(IpAddr::is_loopback),
            Place::Tcp { host: Host::Name(_), .. } => false,
            Place::Unix(_) => true,
        }
    }
}

/// As the configuration would have it.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Tcp { .. } => write!(f, "http://{}{}", self.authority, self.path),
            Place::Unix(socket) => write!(f, "unix://{}:{}", socket.display(), self.path),
        }
    }
}

impl FromStr for Address {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        parse(text).map_err(NotAnAddress)
    }
}

fn parse(text: &str) -> Result<Address, String> {
    let expected = "expected an address such as http://127.0.0.1:9119";
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();

    if authority.contains('@') {
        return Err(format!(
            "{expected}, without user and password (not repeated here); a token goes into token_env or token_file"
        ));
    }
    if text.contains('?') || text.contains('#') {
        return Err(format!(
            "{expected}, without anything from ? or # on (not repeated here); a token goes into token_env or token_file"
        ));
    }
    let found = quoted(text);
    if scheme.eq_ignore_ascii_case("https") {
        return Err(format!(
            "TLS is not spoken here, because the reaper runs beside the gateway; {expected}, its loopback address; found {found}"
        ));
    }
    if scheme.eq_ignore_ascii_case("unix") {
        return unix(rest).map_err(|why| format!("{why}; found {found}"));
    }
    if !scheme.eq_ignore_ascii_case("http") {
        return Err(format!("{expected}, starting with http://; found {found}"));
    }
    let (host, port) = split(authority);
    if host.is_empty() {
        return Err(format!("{expected}; found {found}, which has no host"));
    }
    if !host.starts_with('[') && host.contains(':') {
        return Err(format!("{expected}, an IPv6 address in brackets (http://[::1]:9119); found {found}"));
    }
    let port = match port.map(str::parse) {
        None => 80,
        Some(Ok(port @ 1..)) => port,
        Some(_) => {
            return Err(format!("{expected}; found {found}, whose port is not a number from 1 to 65535"));
        }
    };
    let uri: Uri = text.parse().map_err(|error| format!("{expected}; found {found}: {error}"))?;
    let place = Place::Tcp { host: Host::new(host), port };
    Ok(Address { place, authority: authority.into(), path: uri.path().into() })
}

/// A socket's path, and behind a colon the path that is asked for.
fn unix(rest: &str) -> Result<Address, String> {
    let expected = "expected a socket and a path of the gateway, such as unix:///run/gateway.sock:/sessions";
    let (socket, path) = rest.split_once(':').unwrap_or((rest, "/"));
    if !Path::new(socket).is_absolute() {
        return Err(format!("{expected}, the socket's path in full"));
    }
    if socket.len() > MOST_SOCKET_BYTES {
        return Err(format!("{expected}, the socket's path of at most {MOST_SOCKET_BYTES} bytes"));
    }
    if !path.starts_with('/') {
        return Err(expected.to_owned());
    }
    let path: PathAndQuery = path.parse().map_err(|error| format!("{expected}: {error}"))?;
    Ok(Address {
        place: Place::Unix(socket.into()),
        authority: "localhost".into(),
        path: path.as_str().into(),
    })
}

/// Splits at the last colon, unless that belongs to an IPv6 address in brackets.
fn split(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

impl Host {
    fn new(host: &str) -> Self {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse() {
            return Self::Addresses([address].into());
        }
        if host.eq_ignore_ascii_case("localhost") {
            return Self::Addresses([Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()].into());
        }
        Self::Name(host.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_plain_http_are_taken() {
        for text in [
            "http://127.0.0.1:9119",
            "http://127.0.0.1:9119/",
            "http://localhost/api/sessions",
            "HTTP://localhost",
            "http://[::1]:80/x",
            "http://[::1]",
        ] {
            assert!(parse(text).is_ok(), "{text}: {:?}", parse(text));
        }
    }

    #[test]
    fn an_address_is_shown_as_it_was_written_with_its_path() {
        for (text, shown, at) in [
            ("http://h:1/t", "http://h:1/t", "h:1"),
            ("HTTP://h", "http://h/", "h"),
            ("http://[::1]:80/x", "http://[::1]:80/x", "[::1]:80"),
            ("unix:///run/gw.sock:/t", "unix:///run/gw.sock:/t", "unix:///run/gw.sock"),
            ("unix:///run/gw.sock", "unix:///run/gw.sock:/", "unix:///run/gw.sock"),
        ] {
            let address = parse(text).unwrap();
            assert_eq!((&*address.to_string(), &*address.at()), (shown, at), "{text}");
        }
    }

    #[test]
    fn an_address_of_ipv6_stands_in_brackets() {
        for text in ["http://::1:9119/t", "http://::1", "http://fe80::1:2:3:4/"] {
            let message = parse(text).unwrap_err();
            assert!(message.contains("in brackets (http://[::1]:9119)"), "{text}: {message}");
        }
    }

    #[test]
    fn tls_is_refused_with_the_reason() {
        let message = parse("https://127.0.0.1:9119/t").unwrap_err();
        assert!(message.contains("the reaper runs beside the gateway"), "{message}");
    }

    #[test]
    fn a_socket_is_a_path_in_full_that_the_kernel_takes() {
        for (text, why) in [
            ("unix://run/gw.sock:/t", "the socket's path in full; found"),
            ("unix:///run/gw.sock:t", "unix:///run/gateway.sock:/sessions; found"),
            (&format!("unix:///{}:/t", "x".repeat(107)), "at most 107 bytes; found"),
            ("unix:///run/gw.sock:/a b", "invalid uri character; found"),
        ] {
            let message = parse(text).unwrap_err();
            assert!(message.contains(why), "{text}: {message}");
        }
    }

    #[test]
    fn a_secret_in_an_address_is_refused_and_not_repeated() {
        for text in [
            "http://user:hunter2@127.0.0.1:9119",
            "https://hunter2@host",
            "http://127.0.0.1:9119/?token=hunter2",
            "http://127.0.0.1:9119/#hunter2",
            "unix:///run/gw.sock:/t?token=hunter2",
            "user:hunter2@host",
            "ws://127.0.0.1/?hunter2",
        ] {
            let message = parse(text).unwrap_err();
            assert!(!message.contains("hunter2"), "{message}");
            assert!(message.contains("token_env"), "{message}");
        }
    }

    #[test]
    fn addresses_and_localhost_need_no_look_up() {
        let host = |text: &str| match parse(text).unwrap().place {
            Place::Tcp { host, .. } => host,
            Place::Unix(path) => panic!("{}", path.display()),
        };
        for url in ["http://127.0.0.1:1/", "http://[::1]:1/", "http://localhost/", "http://LOCALHOST/"] {
            assert!(matches!(host(url), Host::Addresses(_)), "{url}");
        }
        assert!(matches!(host("http://gateway.example/"), Host::Name(_)));
    }

    #[test]
    fn only_what_can_not_leave_this_machine_is_local() {
        for (text, is_local) in [
            ("http://127.0.0.1/", true),
            ("http://127.9.9.9/", true),
            ("http://localhost/", true),
            ("http://[::1]/", true),
            ("unix:///run/gw.sock", true),
            ("http://10.0.0.1/", false),
            ("http://gateway.example/", false),
        ] {
            assert_eq!(parse(text).unwrap().is_local(), is_local, "{text}");
        }
    }
}
