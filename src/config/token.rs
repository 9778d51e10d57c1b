//! A gateway's token: where it comes from, and a type that can't be printed.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::named_file::{self, Refusal, Trust};

/// More than any HTTP server takes in a header.
const LIMIT: u64 = 16 * 1024;

/// Where a gateway's token comes from. Never the configuration file itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum TokenSource {
    /// No token is configured.
    #[default]
    None,
    /// The environment variable of this name.
    Env(String),
    /// The content of this file.
    File(PathBuf),
}

/// A secret. Only [`Token::expose`] lets it out; printed, it is an ellipsis.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Box<str>);

impl Token {
    /// Takes a text that can stand in an `Authorization` header as it is: visible ASCII without spaces.
    pub fn new(text: &str) -> Option<Self> {
        let fits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self(text.into()))
    }

    /// The secret, for the request's header and nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// A configured token can't be had. Names the variable or the file, never the content.
#[derive(Debug, Error)]
pub enum TokenError {
    /// The variable isn't set.
    #[error(
        "environment variable {0} is not set; set it to the gateway's token where gateway-reaper is started"
    )]
    Unset(String),
    /// The file can't be read, or isn't to be trusted.
    #[error("token file {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        refusal: Refusal,
    },
    /// Nothing is in it.
    #[error("{0} is empty; expected the gateway's token")]
    Empty(Origin),
    /// What is in it can't be a token.
    #[error(
        "{0} holds something that can't be a token; expected visible ASCII characters without spaces, on one line, and nothing else"
    )]
    NotAToken(Origin),
}

/// A place that holds a token, for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// An environment variable.
    Variable(String),
    /// A file.
    File(PathBuf),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::File(path) => write!(f, "token file {}", path.display()),
        }
    }
}

impl TokenSource {
    /// Fetches the token anew, so that a replaced one is found without a restart. `None`: none is configured.
    ///
    /// # Errors
    /// One is configured and can't be had.
    pub fn read(&self) -> Result<Option<Token>, TokenError> {
        #[expect(
            clippy::disallowed_methods,
            reason = "a token is looked up where it is used, and kept nowhere"
        )]
        self.read_with(|name| env::var_os(name))
    }

    pub(super) fn read_with(
        &self,
        variable: impl FnOnce(&str) -> Option<OsString>,
    ) -> Result<Option<Token>, TokenError> {
        let (bytes, origin) = match self {
            Self::None => return Ok(None),
            Self::Env(name) => {
                let value = variable(name).ok_or_else(|| TokenError::Unset(name.clone()))?;
                (value.into_encoded_bytes(), Origin::Variable(name.clone()))
            }
            Self::File(path) => (content(path)?, Origin::File(path.clone())),
        };
        // Editors and `echo` end a file with a newline that is no part of the token.
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        if bytes.is_empty() {
            return Err(TokenError::Empty(origin));
        }
        let token = str::from_utf8(bytes).ok().and_then(Token::new);
        token.map(Some).ok_or(TokenError::NotAToken(origin))
    }
}

fn content(path: &Path) -> Result<Vec<u8>, TokenError> {
    let refused = |refusal| TokenError::File { path: path.to_owned(), refusal };
    let file = named_file::open(path, &Trust::named()).map_err(refused)?;
    let metadata = file.metadata().map_err(Refusal::Unreadable).map_err(refused)?;
    if metadata.permissions().mode() & 0o004 != 0 {
        tracing::warn!(file = %path.display(), "every user of this machine can read the token file; take that away with chmod o-r");
    }
    let mut bytes = Vec::new();
    file.take(LIMIT + 1).read_to_end(&mut bytes).map_err(Refusal::Unreadable).map_err(refused)?;
    // Too long, and as such no token.
    if bytes.len() as u64 > LIMIT {
        return Err(TokenError::NotAToken(Origin::File(path.to_owned())));
    }
    Ok(bytes)
}
