//! The table's url, taken apart: whom to connect to, what to ask for, and what a message may show of it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hyper::Uri;
use hyper::header::HeaderValue;
use hyper::http::uri::Scheme;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::error::NotAnAddress;
use crate::domain::ids::SessionId;

/// What of an id stands in a path as it is. Not the dot: `.` and `..` mean something there.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'~');

/// Where a gateway is.
#[derive(Debug)]
pub(super) struct Target {
    host: Host,
    port: u16,
    authority: Box<str>,
    host_header: HeaderValue,
    path: Box<str>,
    query: Option<Box<str>>,
}

/// Addresses where the url gives them, so that nothing has to be looked up: a look-up costs a thread.
#[derive(Debug)]
pub(super) enum Host {
    /// In the order in which to try them.
    Addresses(Box<[IpAddr]>),
    /// To be looked up each time.
    Name(Box<str>),
}

impl Target {
    pub(super) fn new(url: &Uri) -> Result<Self, NotAnAddress> {
        let authority = url.authority().ok_or(NotAnAddress)?;
        let plain = url.scheme() == Some(&Scheme::HTTP);
        if !plain || authority.host().is_empty() || authority.as_str().contains('@') {
            return Err(NotAnAddress);
        }
        Ok(Self {
            host: Host::new(authority.host()),
            port: authority.port_u16().unwrap_or(80),
            host_header: HeaderValue::from_str(authority.as_str()).map_err(|_| NotAnAddress)?,
            authority: authority.as_str().into(),
            path: url.path().into(),
            query: url.query().map(Into::into),
        })
    }

    pub(super) fn host(&self) -> &Host {
        &self.host
    }

    pub(super) fn is_loopback(&self) -> bool {
        match &self.host {
            Host::Addresses(addresses) => addresses.iter().all(IpAddr::is_loopback),
            Host::Name(_) => false,
        }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Host and port as the configuration has them.
    pub(super) fn authority(&self) -> &str {
        &self.authority
    }

    pub(super) fn host_header(&self) -> HeaderValue {
        self.host_header.clone()
    }

    /// Path and query of the table.
    pub(super) fn table_path(&self) -> String {
        self.with_query(self.path.as_ref().to_owned())
    }

    /// Path and query of a session's conditional reap.
    pub(super) fn reap_path(&self, id: &SessionId) -> String {
        let table = self.path.trim_end_matches('/');
        self.with_query(format!("{table}/{}/reap", utf8_percent_encode(id.as_str(), SEGMENT)))
    }

    /// The table's url for messages: without the query, where some keep a secret.
    pub(super) fn shown(&self) -> String {
        format!("http://{}{}", self.authority, self.path)
    }

    fn with_query(&self, mut path: String) -> String {
        if let Some(query) = &self.query {
            path.push('?');
            path.push_str(query);
        }
        path
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
    use super::{NotAnAddress, Target};

    fn target(url: &str) -> Target {
        Target::new(&url.parse().unwrap()).unwrap()
    }

    #[test]
    fn an_id_is_one_segment_of_the_path_whatever_is_in_it() {
        let target = target("http://127.0.0.1:9119/api/sessions");
        for (id, segment) in [
            ("441fb3fb", "441fb3fb"),
            ("a-b_c~d", "a-b_c~d"),
            ("..", "%2E%2E"),
            ("../../etc", "%2E%2E%2F%2E%2E%2Fetc"),
            ("a?b#c%d", "a%3Fb%23c%25d"),
            ("a b\r\nX: y", "a%20b%0D%0AX%3A%20y"),
            ("ü", "%C3%BC"),
        ] {
            assert_eq!(target.reap_path(&id.into()), format!("/api/sessions/{segment}/reap"));
        }
    }

    #[test]
    fn a_trailing_slash_and_a_query_stay_out_of_the_reap_path() {
        assert_eq!(target("http://h/t/?a=b").reap_path(&"i".into()), "/t/i/reap?a=b");
        assert_eq!(target("http://h/t/?a=b").table_path(), "/t/?a=b");
        assert_eq!(target("http://h").reap_path(&"i".into()), "/i/reap");
        assert_eq!(target("http://h").table_path(), "/");
    }

    #[test]
    fn a_message_never_shows_the_query() {
        assert_eq!(target("http://h:1/t?token=secret").shown(), "http://h:1/t");
    }

    #[test]
    fn only_plain_http_with_a_host_and_no_credentials_will_do() {
        for url in ["https://h/", "/table", "h:1", "http://user:secret@h/", "http://:80/"] {
            let Ok(uri) = url.parse() else { continue };
            assert_eq!(Target::new(&uri).unwrap_err(), NotAnAddress, "{url}");
        }
        assert!(Target::new(&"HTTP://h".parse().unwrap()).is_ok());
    }

    #[test]
    fn addresses_and_localhost_need_no_look_up() {
        use super::Host;
        for url in ["http://127.0.0.1:1/", "http://[::1]:1/", "http://localhost/", "http://LOCALHOST/"] {
            assert!(matches!(target(url).host(), Host::Addresses(_)), "{url}");
        }
        assert!(matches!(target("http://gateway.example/").host(), Host::Name(_)));
    }
}
