//! `holds.json`: what an operator forbade by hand. One that can't be read or understood forbids everything, until it is mended or removed.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::{LEFTOVERS, files};
use crate::domain::ids::Pid;
use crate::domain::veto::{Scope, Veto, Vetoes};

/// Its name in the state directory.
pub const NAME: &str = "holds.json";
const LOCK: &str = "holds.lock";
const VERSION: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    version: u32,
    holds: Vec<Hold>,
}

/// One veto as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Which gateway; nothing where it covers everything.
    pub gateway: Option<String>,
    /// The id or conversation key; nothing where it covers everything.
    pub name: Option<String>,
    /// The conversation key, where it isn't the id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The worker's PID when it was held: that is held, too, and a name to release it by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Until when.
    #[serde(with = "humantime_text")]
    pub until: SystemTime,
    /// Why, in the operator's words.
    pub why: Option<String>,
}

/// Waits until no other command changes them. Kept from reading them until they are written: what another one writes in between would be
/// lost. The lock of the runs isn't for that, `watch` holds it as long as it runs. `None`: there is no directory, and so none of them.
///
/// # Errors
/// The file can't be used.
pub fn lock(dir: &Path) -> io::Result<Option<File>> {
    let file = match files::open_or_make(&dir.join(LOCK)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    file.lock()?;
    Ok(Some(file))
}

/// Reads those that are not over.
///
/// # Errors
/// The file is there and can't be read or understood.
pub fn load(dir: &Path, now: SystemTime) -> io::Result<Vec<Hold>> {
    let Some(bytes) = files::read(&dir.join(NAME))? else { return Ok(Vec::new()) };
    let stored: Stored = serde_json::from_slice(&bytes)?;
    if stored.version != VERSION {
        return Err(io::Error::other(format!("it has version {}, not {VERSION}", stored.version)));
    }
    Ok(stored.holds.into_iter().filter(|hold| hold.until > now).collect())
}

/// Writes them, under the [`lock`].
///
/// # Errors
/// They could not be written.
pub fn save(dir: &Path, holds: Vec<Hold>) -> io::Result<()> {
    files::replace(&dir.join(NAME), &serde_json::to_vec(&Stored { version: VERSION, holds })?)
}

/// What was held at the last look, to be put back where the directory is removed.
#[derive(Debug, Default)]
pub struct Remembered {
    holds: Vec<Hold>,
    /// The lock's file, kept open so that no other one gets its inode: while it is in place, the holds beside it are the operator's last word.
    lock: Option<File>,
}

impl Remembered {
    /// Reads them.
    ///
    /// # Errors
    /// They are there and can't be read or understood.
    pub fn read(dir: &Path, now: SystemTime) -> io::Result<Self> {
        let lock = files::open_to_read(&dir.join(LOCK)).ok();
        Ok(Self { holds: load(dir, now)?, lock })
    }

    /// Adds them to what is there by now, and returns how many were added. What was held anew for the same stands. Nothing is added where
    /// the file was not removed: what isn't in it was released.
    ///
    /// # Errors
    /// They could not be written.
    pub fn put_back(&self, dir: &Path, now: SystemTime) -> io::Result<usize> {
        let is_removed = self.lock.as_ref().is_none_or(|file| !files::is_at(file, &dir.join(LOCK)));
        if self.holds.is_empty() || (!is_removed && dir.join(NAME).exists()) {
            return Ok(0);
        }
        let _lock = lock(dir)?;
        // One that can't be understood forbids everything.
        let Ok(mut all) = load(dir, now) else { return Ok(0) };
        let is_lost = |hold: &&Hold| {
            hold.until > now
                && !all.iter().any(|known| (&known.gateway, &known.name) == (&hold.gateway, &hold.name))
        };
        let lost: Vec<Hold> = self.holds.iter().filter(is_lost).cloned().collect();
        let added = lost.len();
        if added > 0 {
            all.extend(lost);
            save(dir, all)?;
        }
        Ok(added)
    }
}

/// What is forbidden now. What is forbidden by hand where everything else is remembered holds for leftovers, too.
pub fn vetoes(dir: &Path, now: SystemTime) -> Vetoes {
    let above = dir.parent().filter(|_| dir.ends_with(LEFTOVERS));
    let dirs = std::iter::once(dir).chain(above);
    Vetoes(dirs.flat_map(|dir| vetoes_of(dir, now)).collect())
}

/// What helps against a file that can't be read.
pub const UNREAD_REMEDY: &str = "make it readable, or ask as the user whose runs these are";

/// Whether the file couldn't even be read: there may be none.
pub fn is_unread(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}

fn vetoes_of(dir: &Path, now: SystemTime) -> Vec<Veto> {
    match load(dir, now) {
        Ok(holds) => holds.into_iter().map(veto).collect(),
        Err(error) => {
            let (what, remedy) = match is_unread(&error) {
                true => ("read", UNREAD_REMEDY),
                false => ("understood", "mend or remove it"),
            };
            let path = dir.join(NAME);
            let words = format!("everything, because {} can't be {what} ({error}): {remedy}", path.display());
            let until = now + Duration::from_secs(3600);
            vec![Veto { scope: Scope::All, until: Some(until), words: words.into() }]
        }
    }
}

fn veto(hold: Hold) -> Veto {
    let why = hold.why.map(|why| format!(": {why}")).unwrap_or_default();
    let until = humantime::format_rfc3339_seconds(hold.until);
    let (scope, what) = match (hold.gateway, hold.name) {
        (Some(gateway), Some(name)) => {
            let key = hold.key.map(Into::into);
            let worker = hold.pid.and_then(|pid| Pid::new(pid.into()));
            let scope = Scope::One { gateway: gateway.into(), name: name.into(), key, worker };
            (scope, "held")
        }
        _ => (Scope::All, "paused"),
    };
    Veto { scope, until: Some(hold.until), words: format!("{what} until {until}{why}").into() }
}

mod humantime_text {
    use std::time::SystemTime;

    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_rfc3339_seconds(*time))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SystemTime, D::Error> {
        humantime::parse_rfc3339(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::process::ProcessIdentity;
    use crate::domain::verdict::Subject;

    #[test]
    fn a_hold_of_a_session_covers_the_worker_of_its_key() {
        let dir = tempfile::tempdir().unwrap();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
        let hold = Hold {
            gateway: Some("desk".into()),
            name: Some("a".into()),
            pid: None,
            key: Some("talk".into()),
            until: now + Duration::from_secs(60),
            why: None,
        };
        save(dir.path(), vec![hold]).unwrap();
        let identity = ProcessIdentity { pid: Pid::new(7).unwrap(), start_ticks: 1, inode: None };
        let forbids = |key: &str, seconds: u64| {
            let worker = Subject::Worker { key: Some(key.into()), identity };
            let at = now + Duration::from_secs(seconds);
            vetoes(dir.path(), now).in_force(at).forbid(&"desk".into(), &worker, &[]).is_some()
        };
        assert!(forbids("talk", 0) && !forbids("other", 0) && !forbids("talk", 60));
    }
}
