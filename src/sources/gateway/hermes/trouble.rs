//! What can be wrong with a Hermes dashboard, each with its remedy.

use std::fmt;

use crate::hermes::plugin;

/// Why a dashboard that answers has no session table for us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Something else answers there.
    NotHermes,
    /// The plugin isn't there.
    NoPlugin,
    /// The plugin is there and not enabled.
    Disabled,
    /// The plugin is there, and the dashboard started before it was.
    NotRestarted,
    /// The plugin is older than this gateway-reaper.
    OldPlugin {
        /// Its version, if it says so.
        version: Option<Box<str>>,
    },
    /// The plugin doesn't find what a reap rests on where the known releases have it.
    ReleaseNotUnderstood {
        /// Of Hermes, if it says so.
        release: Option<Box<str>>,
        /// What it can't be asked.
        missing: Vec<Box<str>>,
    },
    /// The configured token isn't the dashboard's.
    WrongToken,
    /// The token on the dashboard's page isn't the dashboard's.
    WrongTokenOnPage,
    /// The dashboard's page has no token on it.
    NoTokenOnPage,
    /// No token is configured, and the dashboard isn't on loopback.
    NoToken,
    /// People log in to this dashboard; it takes no token.
    Gate,
    /// The dashboard was started without its chat, so it has no sessions and never will.
    NoChat,
}

impl Trouble {
    /// A dashboard with sessions answered, though not with its table.
    pub(super) fn is_of_a_dashboard(&self) -> bool {
        !matches!(self, Self::NotHermes | Self::NoChat)
    }

    /// The token is good, so the dashboard may still be asked which sessions there are.
    pub(super) fn leaves_a_list(&self) -> bool {
        matches!(
            self,
            Self::NoPlugin
                | Self::Disabled
                | Self::NotRestarted
                | Self::OldPlugin { .. }
                | Self::ReleaseNotUnderstood { .. }
        )
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotHermes => {
                f.write_str("no Hermes dashboard answers there: check url, its address such as http://127.0.0.1:9119")
            }
            Self::NoPlugin => f.write_str(
                "the dashboard has no plugin that publishes its sessions: run `gateway-reaper hermes install`, then restart the dashboard",
            ),
            Self::Disabled => f.write_str(
                "the plugin is there and not enabled in config.yaml (plugins.enabled, plugins.disabled): run \
                 `gateway-reaper hermes install`, then restart the dashboard",
            ),
            Self::NotRestarted => f.write_str(
                "the plugin is installed, and this dashboard has not loaded it: restart the dashboard; if that doesn't help, its \
                 log says why",
            ),
            Self::OldPlugin { version } => write!(
                f,
                "its plugin is {}, and this gateway-reaper needs {}: run `gateway-reaper hermes install`, then restart the dashboard",
                version.as_deref().map_or("of an unknown version", plain),
                plugin::VERSION
            ),
            Self::ReleaseNotUnderstood { release, missing } => {
                let missing: Vec<_> = missing.iter().map(|name| plain(name)).collect();
                write!(
                    f,
                    "this release of Hermes ({}) is not understood, and none of its sessions is reaped: it can't be asked for {}; look \
                     for a newer gateway-reaper, or tell its developers",
                    release.as_deref().map_or("which it is, it doesn't say", plain),
                    missing.join(", ")
                )
            }
            Self::WrongToken => f.write_str(
                "the dashboard did not accept the token: check what token_env or token_file names; on loopback both may be left out, \
                 and the token is read from the dashboard's page (0.13 makes a new one at every start)",
            ),
            Self::WrongTokenOnPage => f.write_str(
                "the dashboard did not accept the token from its own page: name its token by token_env or token_file",
            ),
            Self::NoTokenOnPage => f.write_str(
                "the dashboard's page has no token on it: start the dashboard with HERMES_DASHBOARD_SESSION_TOKEN set, and name that \
                 variable by token_env, or a file by token_file",
            ),
            Self::NoToken => f.write_str(
                "the dashboard wants a token, which is read from its page on loopback only: name it by token_env or token_file",
            ),
            Self::Gate => f.write_str(
                "people log in to this dashboard, and then it takes no token (auth_required): let it listen on 127.0.0.1, behind a \
                 proxy if it has to be reached from elsewhere",
            ),
            Self::NoChat => f.write_str(
                "this dashboard was started without its chat, so it has no sessions: start it with --tui, or take it out of the \
                 configuration",
            ),
        }
    }
}

/// Another program's text goes into a message only if it is short and harmless.
fn plain(text: &str) -> &str {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-+ ".contains(&byte);
    if text.len() <= 32 && text.bytes().all(is_plain) { text } else { "odd" }
}
