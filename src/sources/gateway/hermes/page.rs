//! The page that a dashboard serves at its root, as far as it matters here: the token that its scripts use, and whether it has a chat.

use crate::config::token::Token;

const TOKEN: &str = "__HERMES_SESSION_TOKEN__";
const CHAT: &str = "__HERMES_DASHBOARD_EMBEDDED_CHAT__";

/// What the page says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The token, if one is on it.
    pub token: Option<Token>,
    /// Whether there is a chat, and so sessions. `None`: it doesn't say.
    pub has_chat: Option<bool>,
}

impl Page {
    /// Reads a page, whatever it is.
    pub fn read(page: &[u8]) -> Self {
        let page = String::from_utf8_lossy(page);
        let token = assigned(&page, TOKEN).and_then(|value| value.strip_prefix('"')?.split('"').next());
        let chat = assigned(&page, CHAT);
        Self {
            token: token.and_then(Token::new),
            has_chat: chat.and_then(|value| match value {
                _ if value.starts_with("true") => Some(true),
                _ if value.starts_with("false") => Some(false),
                _ => None,
            }),
        }
    }
}

/// What stands behind `name=`, as far as the page goes.
fn assigned<'p>(page: &'p str, name: &str) -> Option<&'p str> {
    page.match_indices(name)
        .find_map(|(at, _)| page[at + name.len()..].trim_start().strip_prefix('='))
        .map(str::trim_start)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn page(token: Option<&str>, has_chat: Option<bool>) -> Page {
        Page { token: token.and_then(Token::new), has_chat }
    }

    #[test]
    fn a_dashboard_says_its_token_and_whether_it_has_a_chat() {
        let text = br#"<html><head><script>window.__HERMES_SESSION_TOKEN__="a-b_C";window.__HERMES_DASHBOARD_EMBEDDED_CHAT__=true;</script></head>"#;
        assert_eq!(Page::read(text), page(Some("a-b_C"), Some(true)));
        let text =
            b"window.__HERMES_DASHBOARD_EMBEDDED_CHAT__ = false; window.__HERMES_SESSION_TOKEN__ = \"t\"";
        assert_eq!(Page::read(text), page(Some("t"), Some(false)));
    }

    #[test]
    fn what_can_be_no_token_is_none() {
        for text in [
            "",
            "<html>",
            "__HERMES_SESSION_TOKEN__",
            "__HERMES_SESSION_TOKEN__=",
            "__HERMES_SESSION_TOKEN__=\"",
            "__HERMES_SESSION_TOKEN__=\"\"",
            "__HERMES_SESSION_TOKEN__='t'",
            "__HERMES_SESSION_TOKEN__=\"a b\"",
            "__HERMES_SESSION_TOKEN__=\"a\r\nX: y\"",
        ] {
            assert_eq!(Page::read(text.as_bytes()).token, None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_page(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0_usize..200) {
            let mut page = bytes;
            page.splice(at.min(page.len())..at.min(page.len()), *b"__HERMES_SESSION_TOKEN__=\"");
            let _ = Page::read(&page);
        }
    }
}
