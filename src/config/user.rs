//! The users that a gateway or its workers run as, where it isn't the reaper's own.

use std::error::Error;
use std::fmt;
use std::fs;
use std::io;

const PASSWD: &str = "/etc/passwd";

/// A user, as the configuration names one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserSpec {
    /// By name.
    Name(String),
    /// By number.
    Uid(u32),
}

/// A user name has no number here.
#[derive(Debug)]
pub enum UserError {
    /// The list of users can't be read.
    Unreadable(io::Error),
    /// The list of users doesn't have it.
    Unknown {
        /// Its name.
        name: String,
        /// Where it is named.
        key: &'static str,
    },
}

impl fmt::Display for UserError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(_) => write!(f, "{PASSWD} can't be read; give the user as a number"),
            Self::Unknown { name, key } => write!(
                f,
                "no user {name:?} in {PASSWD}; correct {key}, or give the number that `id -u {name}` prints"
            ),
        }
    }
}

impl Error for UserError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Unreadable(source) => Some(source),
            Self::Unknown { .. } => None,
        }
    }
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

    /// A user by number; the largest one means "nobody in particular" to the kernel.
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
                let passwd = fs::read(PASSWD).map_err(UserError::Unreadable)?;
                uid_of(name, &String::from_utf8_lossy(&passwd))
                    .ok_or_else(|| UserError::Unknown { name: name.clone(), key })
            }
        }
    }
}

/// The name of a user, if the machine's own list has one that can be shown.
pub(crate) fn name_of(uid: u32) -> Option<String> {
    let passwd = fs::read(PASSWD).ok()?;
    let passwd = String::from_utf8_lossy(&passwd);
    let name = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then_some(name)
    })?;
    matches!(UserSpec::new(name), Some(UserSpec::Name(_))).then(|| name.to_owned())
}

fn uid_of(name: &str, passwd: &str) -> Option<u32> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok())?
    })
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
    fn a_name_is_looked_up_whole() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nhermes2:x:7:7::/:/\nhermes:x:1001:1001::/:/\nodd\n";
        assert_eq!(uid_of("hermes", passwd), Some(1001));
        assert_eq!(uid_of("herm", passwd), None);
        assert_eq!(uid_of("odd", passwd), None);
        assert_eq!(UserSpec::Uid(5).uid("").unwrap(), 5);
        assert_eq!(UserSpec::Name("root".to_owned()).uid("").unwrap(), 0);
        assert_eq!(name_of(0).as_deref(), Some("root"));
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
