//! The users and groups of this machine, from its own files and from no directory service.

use std::fmt;
use std::fs;
use std::io;
use std::path::PathBuf;

/// Where users are listed.
pub(crate) const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";

/// The number of a user; `None`: there is none of this name.
pub(crate) fn uid_of(name: &str) -> io::Result<Option<u32>> {
    let passwd = fs::read(PASSWD)?;
    Ok(uid_in(&String::from_utf8_lossy(&passwd), name))
}

fn uid_in(passwd: &str, name: &str) -> Option<u32> {
    let user = users(passwd).find(|user| user.name == name)?;
    Some(user.uid)
}

/// The home of a user.
pub(crate) fn home_of(uid: u32) -> Option<PathBuf> {
    home_in(&fs::read_to_string(PASSWD).ok()?, uid)
}

fn home_in(passwd: &str, uid: u32) -> Option<PathBuf> {
    let mut lines = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let fields = lines.find(|fields| fields.get(2).is_some_and(|field| field.parse() == Ok(uid)))?;
    fields.get(5).filter(|home| home.starts_with('/')).map(PathBuf::from)
}

struct User<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
}

fn users(passwd: &str) -> impl Iterator<Item = User<'_>> {
    passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        Some(User { name, uid: fields.nth(1)?.parse().ok()?, gid: fields.next()?.parse().ok()? })
    })
}

/// Whether a group has one user only, so that what the group may do that user may do.
pub(crate) fn is_private_group(gid: u32, uid: u32) -> bool {
    match (fs::read(PASSWD), fs::read(GROUP)) {
        (Ok(passwd), Ok(group)) => {
            is_private_in(&String::from_utf8_lossy(&passwd), &String::from_utf8_lossy(&group), gid, uid)
        }
        _ => false,
    }
}

fn is_private_in(passwd: &str, group: &str, gid: u32, uid: u32) -> bool {
    let mut of_group = users(passwd).filter(|user| user.gid == gid).peekable();
    let is_own = of_group.peek().is_some() && of_group.all(|user| user.uid == uid);
    let members = group.lines().filter_map(|line| {
        let mut fields = line.split(':');
        (fields.nth(2)?.parse() == Ok(gid)).then(|| fields.next().unwrap_or_default())
    });
    let mut members = members.flat_map(|members| members.split(',')).filter(|member| !member.is_empty());
    is_own && members.all(|member| uid_in(passwd, member) == Some(uid))
}

/// A user for messages: the name, if the machine has one that can be shown, and the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shown(pub(crate) u32);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(uid) = self;
        let passwd = fs::read(PASSWD).unwrap_or_default();
        let passwd = String::from_utf8_lossy(&passwd);
        let fits = |name: &str| name.chars().all(|c| c.is_alphanumeric() || "-_.".contains(c));
        match users(&passwd).find(|user| user.uid == *uid && fits(user.name)) {
            Some(user) => write!(f, "user {} ({uid})", user.name),
            None => write!(f, "user {uid}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: &str = "root:x:0:0:root:/root:/bin/sh\nhermes2:x:7:7::/:/\nhermes:x:1001:1001::/:/\nodd\n\
        alice:x:1002:1002::/:/\nbob:x:1003:1002::/:/\n";

    #[test]
    fn a_name_is_looked_up_whole() {
        assert_eq!(uid_in(USERS, "hermes"), Some(1001));
        assert_eq!(uid_in(USERS, "herm"), None);
        assert_eq!(uid_in(USERS, "odd"), None);
        assert_eq!(uid_of("root").unwrap(), Some(0));
        assert_eq!(Shown(0).to_string(), "user root (0)");
        assert_eq!(Shown(3_999_999_999).to_string(), "user 3999999999");
    }

    #[test]
    fn a_home_is_that_of_the_number() {
        assert_eq!(home_in(USERS, 0), Some("/root".into()));
        assert_eq!(home_in(USERS, 1001), Some("/".into()));
        assert_eq!(home_in(USERS, 5), None);
    }

    #[test]
    fn a_private_group_is_that_of_one_user() {
        for (group, gid, uid, is_private) in [
            ("hermes:x:1001:\n", 1001, 1001, true),
            ("hermes:x:1001:hermes\n", 1001, 1001, true),
            ("hermes:x:1001:\n", 1001, 0, false),
            ("hermes:x:1001:root\n", 1001, 1001, false),
            ("hermes:x:1001:gone\n", 1001, 1001, false),
            ("alice:x:1002:\n", 1002, 1002, false),
            ("staff:x:50:\n", 50, 1001, false),
        ] {
            assert_eq!(is_private_in(USERS, group, gid, uid), is_private, "{group} {gid} {uid}");
        }
    }
}
