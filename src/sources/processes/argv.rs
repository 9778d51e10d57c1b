//! Argv: from the kernel's bytes to the text that `worker.match` is tried on, and what is remembered of it.

use std::collections::HashMap;
use std::sync::Arc;

use super::stat::ExecGeneration;
use crate::domain::process::{PidNamespace, ProcessIdentity};

/// The longest argv that is judged, as much as Linux lets one argument be. Of a longer one nothing is taken: half an argv may end within
/// a session's key and make its worker look as if it had no session.
pub(super) const LONGEST: usize = 128 * 1024;

/// Joins the elements of `/proc/PID/cmdline` by single spaces; empty elements stay. `None`: a zombie or a kernel thread, which have none.
pub(super) fn joined(cmdline: &[u8]) -> Option<String> {
    let elements = cmdline.strip_suffix(b"\0").unwrap_or(cmdline);
    if cmdline.is_empty() {
        return None;
    }
    let spaced: Vec<u8> = elements.iter().map(|&byte| if byte == 0 { b' ' } else { byte }).collect();
    Some(match String::from_utf8(spaced) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    })
}

/// What was read of a process once.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept {
    /// Good for one `exec` of it.
    pub(super) argv: Option<Arc<str>>,
    /// Its PID namespace, which it keeps for life.
    pub(super) namespace: Option<PidNamespace>,
}

/// The argvs of the last look, each good for one process and one `exec`.
///
/// A process that writes over its argv in place doesn't show; a whole look therefore reads them all again, and so does one that something is
/// to be done after.
#[derive(Debug, Default)]
pub(super) struct ArgvCache {
    last: HashMap<ProcessIdentity, (Option<ExecGeneration>, Kept)>,
    now: HashMap<ProcessIdentity, (Option<ExecGeneration>, Kept)>,
}

impl ArgvCache {
    /// From now on every argv is read again.
    pub(super) fn forget(&mut self) {
        for (generation, _) in self.last.values_mut().chain(self.now.values_mut()) {
            *generation = None;
        }
    }

    /// Ends a look: what it didn't see is forgotten.
    pub(super) fn turn_over(&mut self) {
        self.last = std::mem::take(&mut self.now);
    }

    pub(super) fn get(&mut self, who: ProcessIdentity, exec: ExecGeneration) -> Option<Kept> {
        let known = self.known(who).filter(|(generation, _)| *generation == Some(exec));
        let kept = known.map(|(_, kept)| kept.clone())?;
        self.put(who, exec, kept.clone());
        Some(kept)
    }

    /// Its PID namespace, if it is known.
    pub(super) fn namespace(&self, who: ProcessIdentity) -> Option<PidNamespace> {
        self.known(who).and_then(|(_, kept)| kept.namespace)
    }

    fn known(&self, who: ProcessIdentity) -> Option<&(Option<ExecGeneration>, Kept)> {
        self.now.get(&who).or_else(|| self.last.get(&who))
    }

    pub(super) fn put(&mut self, who: ProcessIdentity, exec: ExecGeneration, kept: Kept) {
        self.now.insert(who, (Some(exec), kept));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_joined_by_single_spaces_and_empty_ones_stay() {
        assert_eq!(joined(b"python\0-m\0worker\0").as_deref(), Some("python -m worker"));
        assert_eq!(joined(b"sh\0\0-c\0\0").as_deref(), Some("sh  -c "));
        assert_eq!(joined(b"a\nb\0c d\0").as_deref(), Some("a\nb c d"));
        assert_eq!(joined(b"rewritten in place").as_deref(), Some("rewritten in place"));
        assert_eq!(joined(b"\xffx\0y\0").as_deref(), Some("\u{fffd}x y"));
        assert_eq!(joined(b"\0").as_deref(), Some(""));
        assert_eq!(joined(b""), None);
    }
}
