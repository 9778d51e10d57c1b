//! The users that a gateway or its workers run as, where it isn't the reaper's own.

use std::io;

use thiserror::Error;

use crate::users::{self, PASSWD};

/// A user, as the configuration names one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserSpec {
    /// By name.
    Name(String),
    /// By number.
    Uid(u32),
}

/// A user name has no number here.
#[derive(Debug, Error)]
pub enum UserError {
    /// The list of users can't be read.
    #[error("{PASSWD} can't be read; give the user as a number")]
    Unreadable(#[source] io::Error),
    /// The list of users doesn't have it.
    #[error("no user {name:?} in {PASSWD}; correct {key}, or give the number that `id -u {name}` prints")]
    Unknown {
        /// Its name.
        name: String,
        /// Where it is named.
        key: &'static str,
    },
}

impl UserSpec {
    /// A user by name or, if the text is a number, by that. `None`: it can be neither.
    pub(super) fn new(text: &str) -> Option<Self> {
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return text.parse().ok().and_then(Self::from_uid);
        }
        let fits = |c: char| c.is_alphanumeric() || "-_.@\\$".contains(c);
        (!text.starts_with('-') && text.chars().all(fits)).then(|| Self::Name(text.to_owned()))
    }

    /// A user by number. The largest number is no user: to the kernel it means "leave the user as it is".
    pub(super) fn from_uid(uid: u32) -> Option<Self> {
        (uid != u32::MAX).then_some(Self::Uid(uid))
    }

    /// The user's number. Names are looked up among the machine's own users, not in a directory service. `key` named the user.
    ///
    /// # Errors
    /// There is no user of this name.
    pub fn uid(&self, key: &'static str) -> Result<u32, UserError> {
        match self {
            Self::Uid(uid) => Ok(*uid),
            Self::Name(name) => {
                let uid = users::uid_of(name).map_err(UserError::Unreadable)?;
                uid.ok_or_else(|| UserError::Unknown { name: name.clone(), key })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_a_name_or_a_number() {
        assert_eq!(UserSpec::new("hermes"), Some(UserSpec::Name("hermes".to_owned())));
        assert_eq!(UserSpec::new("1000"), Some(UserSpec::Uid(1000)));
        for neither in ["", "-x", "a b", "a:b", "4294967295", "99999999999"] {
            assert_eq!(UserSpec::new(neither), None, "{neither}");
        }
    }

    #[test]
    fn a_name_and_a_number_mean_the_same() {
        assert_eq!(UserSpec::Uid(5).uid("").unwrap(), 5);
        assert_eq!(UserSpec::Name("root".to_owned()).uid("").unwrap(), 0);
    }

    #[test]
    fn an_unknown_name_says_what_to_do() {
        assert_eq!(
            UserSpec::Name("no.such.user".to_owned()).uid("gateway.worker.user").unwrap_err().to_string(),
            "no user \"no.such.user\" in /etc/passwd; correct gateway.worker.user, or give the number that \
             `id -u no.such.user` prints"
        );
    }
}
