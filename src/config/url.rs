//! The address of a gateway: plain HTTP, a host, perhaps a port and a path; no secrets.

use hyper::Uri;

use super::value::quoted;

/// Checks an address. The error says what was expected and repeats the address only where it can't hold a secret.
pub(super) fn parse(text: &str) -> Result<Uri, String> {
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
    if !scheme.eq_ignore_ascii_case("http") {
        return Err(format!("{expected}, starting with http://; found {found}"));
    }
    if host(authority).is_empty() {
        return Err(format!("{expected}; found {found}, which has no host"));
    }
    if port(authority).is_some_and(|port| !port.parse::<u16>().is_ok_and(|port| port != 0)) {
        return Err(format!("{expected}; found {found}, whose port is not a number from 1 to 65535"));
    }
    text.parse().map_err(|error| format!("{expected}; found {found}: {error}"))
}

/// Splits at the last colon, unless that belongs to an IPv6 address in brackets.
fn split(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

fn host(authority: &str) -> &str {
    split(authority).0
}

fn port(authority: &str) -> Option<&str> {
    split(authority).1
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
    fn a_secret_in_an_address_is_refused_and_not_repeated() {
        for text in [
            "http://user:hunter2@127.0.0.1:9119",
            "https://hunter2@host",
            "http://127.0.0.1:9119/?token=hunter2",
            "http://127.0.0.1:9119/#hunter2",
            "user:hunter2@host",
            "ws://127.0.0.1/?hunter2",
        ] {
            let message = parse(text).unwrap_err();
            assert!(!message.contains("hunter2"), "{message}");
            assert!(message.contains("token_env"), "{message}");
        }
    }
}
