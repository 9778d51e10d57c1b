//! `kind = "jupyter"`: a Jupyter Server or Kernel Gateway by its address, or the servers of a user by the files that they keep of themselves.

use std::path::PathBuf;

use super::endpoint::{self, ListenerUser};
use super::{GatewayKind, Kind};
use crate::config::defaults;
use crate::config::section::Section;
use crate::config::token::TokenSource;

/// A user's running servers, found by their own files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JupyterRuntime {
    /// The folder of those files. `None`: where Jupyter keeps them for that user.
    pub folder: Option<PathBuf>,
    /// Who may listen there, besides the users that always may.
    pub listener_user: Option<ListenerUser>,
}

pub(super) const KIND: Kind = Kind {
    word: "jupyter",
    keys: &["url", "runtime_dir", "token_env", "token_file", "listener_user"],
    read,
    worker_match: Some(defaults::JUPYTER_WORKER_MATCH),
    policy: defaults::JUPYTER_POLICY,
};

fn read(section: &Section<'_>) -> Option<GatewayKind> {
    if section.value("url").is_some() {
        if section.value("runtime_dir").is_some() {
            section.refuse("runtime_dir", "url stands here too; keep one of them");
        }
        return endpoint::read(section).map(GatewayKind::Jupyter);
    }
    if endpoint::token(section) != TokenSource::None {
        let key = if section.value("token_env").is_some() { "token_env" } else { "token_file" };
        section.refuse(key, "without url the token of each server is read from its own file; name the server by url, or take this out");
    }
    let folder = section.path("runtime_dir");
    let listener_user = endpoint::listener_user(section);
    Some(GatewayKind::JupyterRuntime(JupyterRuntime { folder, listener_user }))
}
