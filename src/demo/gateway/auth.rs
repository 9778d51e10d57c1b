//! The bearer token of the demo gateway.

use std::fmt;
use std::rc::Rc;

use hyper::header::HeaderValue;

/// What a request must carry, if anything.
#[derive(Clone)]
pub(super) struct Token(Option<Rc<str>>);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

impl Token {
    /// Reads the token from the environment variable of that name. `None`: it isn't set.
    pub(super) fn from_environment(name: Option<&str>) -> Option<Self> {
        let Some(name) = name else { return Some(Self(None)) };
        #[expect(
            clippy::disallowed_methods,
            reason = "the token is looked up where it is used, and nowhere else"
        )]
        let token = std::env::var(name).ok()?;
        Some(Self(Some(format!("Bearer {token}").into())))
    }

    pub(super) fn admits(&self, authorization: Option<&HeaderValue>) -> bool {
        match &self.0 {
            None => true,
            Some(token) => authorization.is_some_and(|given| given.as_bytes() == token.as_bytes()),
        }
    }
}
