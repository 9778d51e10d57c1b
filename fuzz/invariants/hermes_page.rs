//! A dashboard's page: a token is taken from it only as it stands there, between quotes, behind its name.

use gateway_reaper::sources::gateway::hermes::page::Page;

const TOKEN: &str = "__HERMES_SESSION_TOKEN__";

pub(crate) fn check(data: &[u8]) {
    let page = Page::read(data);
    let text = String::from_utf8_lossy(data);
    if let Some(token) = &page.token {
        let token = token.expose();
        assert!(
            !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"'),
            "{token:?}"
        );
        let (_, behind) = text.split_once(TOKEN).expect("its name is there");
        assert!(
            behind.contains(&format!("\"{token}\"")) || behind.ends_with(&format!("\"{token}")),
            "{token:?}"
        );
    }
    if let Some(has_chat) = page.has_chat {
        assert!(text.contains("__HERMES_DASHBOARD_EMBEDDED_CHAT__") && text.contains(&has_chat.to_string()));
    }
    // What a page says of a token is the same whatever else is on it, before or behind.
    let around = format!("<html>{text}</html>");
    let token = |page: &Page| page.token.as_ref().map(|token| token.expose().to_owned());
    if text.ends_with('\n') {
        assert_eq!(token(&Page::read(around.as_bytes())), token(&page));
    }
}
