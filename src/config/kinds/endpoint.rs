//! Where a gateway is asked over HTTP, and with which token: for every kind that is.

use crate::config::address::{Address, NotAnAddress};
use crate::config::section::Section;
use crate::config::token::TokenSource;
use crate::config::user::UserSpec;

/// Where a gateway is asked, and with which token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// What it addresses depends on the kind.
    pub address: Address,
    /// Where the token comes from.
    pub token: TokenSource,
    /// Who may listen there, besides the users that always may.
    pub listener_user: Option<ListenerUser>,
}

/// Who may listen at a gateway's address, besides the users that always may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenerUser {
    /// Any user: it isn't checked.
    Any,
    /// This user.
    User(UserSpec),
}

/// The keys that [`read`] reads.
pub(super) const KEYS: &[&str] = &["url", "token_env", "token_file", "listener_user"];

const EXPECTED_URL: &str = "the gateway's address in quotes, such as \"http://127.0.0.1:9119\"";

/// Reads everything before it gives up on anything, so that every mistake is told.
pub(super) fn read(section: &Section<'_>) -> Option<Endpoint> {
    section.require("url", EXPECTED_URL);
    let address = address(section);
    let token = token(section);
    let listener_user = listener_user(section);
    Some(Endpoint { address: address?, token, listener_user })
}

pub(super) fn listener_user(section: &Section<'_>) -> Option<ListenerUser> {
    const EXPECTED: &str = "a user's name in quotes, a user id, or \"any\"";
    if section.value("listener_user")?.get_ref().as_str() == Some("any") {
        return Some(ListenerUser::Any);
    }
    section.user("listener_user", EXPECTED).map(ListenerUser::User)
}

fn address(section: &Section<'_>) -> Option<Address> {
    let text = section.discreet_text("url", EXPECTED_URL)?;
    text.parse().map_err(|error: NotAnAddress| section.refuse("url", error.to_string())).ok()
}

pub(super) fn token(section: &Section<'_>) -> TokenSource {
    if section.value("token_env").is_some() && section.value("token_file").is_some() {
        section.refuse("token_file", "token_env stands here too; keep one of them");
    }
    let variable = variable(section).map(TokenSource::Env);
    let file = section.path("token_file").map(TokenSource::File);
    variable.or(file).unwrap_or(TokenSource::None)
}

/// A token that was put here by mistake must not appear in a log.
fn variable(section: &Section<'_>) -> Option<String> {
    const EXPECTED: &str = "the name of an environment variable in quotes, such as \"GATEWAY_TOKEN\"";
    let text = section.discreet_text("token_env", EXPECTED)?;
    if is_variable_name(text) {
        return Some(text.to_owned());
    }
    section.mismatch(
        "token_env",
        EXPECTED,
        "something else (not repeated here: it might be the token itself)",
    )
}

pub(in crate::config) fn is_variable_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
