//! `kind = "hermes"`: a Hermes dashboard, by its address or by its home, whose own records tell where one listens whatever port it took.

use std::path::PathBuf;

use super::endpoint::{self, ListenerUser};
use super::{GatewayKind, Kind};
use crate::config::defaults;
use crate::config::section::Section;
use crate::config::token::TokenSource;

/// A Hermes home whose dashboard is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HermesHome {
    /// The home.
    pub home: PathBuf,
    /// Where the token comes from.
    pub token: TokenSource,
    /// Who may listen there, besides the users that always may.
    pub listener_user: Option<ListenerUser>,
}

pub(super) const KIND: Kind = Kind {
    word: "hermes",
    keys: &["url", "home", "token_env", "token_file", "listener_user"],
    read,
    worker_match: Some(defaults::HERMES_WORKER_MATCH),
    policy: &[],
};

fn read(section: &Section<'_>) -> Option<GatewayKind> {
    if section.value("home").is_none() {
        return endpoint::read(section).map(GatewayKind::Hermes);
    }
    if section.value("url").is_some() {
        section.refuse("home", "url stands here too; keep one of them".to_owned());
    }
    let home = section.path("home");
    let (token, listener_user) = (endpoint::token(section), endpoint::listener_user(section));
    Some(GatewayKind::HermesHome(HermesHome { home: home?, token, listener_user }))
}
