//! The token that requests carry, and the one place where it is fetched anew.

use std::borrow::Cow;

use hyper::header::HeaderValue;

use crate::config::token::{Token, TokenError, TokenSource};

/// A token, and where it is read again from.
#[derive(Debug, Clone, Default)]
pub struct Credential {
    source: TokenSource,
    token: Option<Token>,
    scheme: Scheme,
}

/// What stands before the token in an `Authorization` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scheme {
    /// `Bearer`.
    #[default]
    Bearer,
    /// `token`: a Kernel Gateway takes no other.
    Token,
}

impl Credential {
    /// Fetches the token as it is configured.
    ///
    /// # Errors
    /// One is configured and can't be had.
    pub fn fetch(source: TokenSource) -> Result<Self, TokenError> {
        let token = source.read()?;
        Ok(Self { source, token, scheme: Scheme::Bearer })
    }

    /// A token that is there already; none comes after it.
    pub fn of(token: Option<Token>) -> Self {
        Self { source: TokenSource::None, token, scheme: Scheme::Bearer }
    }

    /// Sent in this way.
    #[must_use]
    pub fn with_scheme(self, scheme: Scheme) -> Self {
        Self { scheme, ..self }
    }

    /// The token.
    pub fn token(&self) -> Option<&Token> {
        self.token.as_ref()
    }

    /// Takes another token, learnt from the gateway.
    pub fn learn(&mut self, token: Option<Token>) {
        self.token = token;
    }

    /// Reads the token's file again, because tokens are replaced while `watch` runs. Whether there is another token now. A file that
    /// can't be read leaves the token as it is; the gateway's refusal of it is said anyway.
    pub fn renew(&mut self) -> bool {
        if !matches!(self.source, TokenSource::File(_)) {
            return false;
        }
        match self.source.read() {
            Ok(token) if token != self.token => {
                self.token = token;
                true
            }
            _ => false,
        }
    }

    /// The text without the token, which an error page may have echoed.
    pub(super) fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match &self.token {
            Some(token) => text.replace(token.expose(), "…").into(),
            None => text.into(),
        }
    }

    /// Always one where there is a token: it is made of what can stand in a header.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        let token = self.token.as_ref()?;
        let scheme = match self.scheme {
            Scheme::Bearer => "Bearer",
            Scheme::Token => "token",
        };
        let mut value = HeaderValue::from_str(&format!("{scheme} {}", token.expose())).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}
