//! The last line that a program wrote to stderr: for the report, short, and without what its environment holds.

use std::ffi::OsStr;

use tokio::io::{AsyncRead, AsyncReadExt};

use super::error::CommandProblem;
use crate::text::excerpt;

/// More than fits a line of a report.
const KEPT_BYTES: usize = 4096;
/// Characters of it that a message shows.
const SHOWN: usize = 160;
/// Shorter values are parts of ordinary words.
const TELLING: usize = 8;

/// The end of what was written.
#[derive(Debug, Default)]
pub(super) struct LastWords(Vec<u8>);

impl LastWords {
    /// Reads to the end, and keeps the end.
    pub(super) async fn hear(&mut self, from: Option<impl AsyncRead + Unpin>) -> Result<(), CommandProblem> {
        let Some(mut from) = from else { return Ok(()) };
        let mut buffer = [0; KEPT_BYTES];
        loop {
            let read = from.read(&mut buffer).await.map_err(CommandProblem::Unheard)?;
            if read == 0 {
                return Ok(());
            }
            self.0.extend_from_slice(&buffer[..read]);
            let excess = self.0.len().saturating_sub(KEPT_BYTES);
            self.0.drain(..excess);
        }
    }

    /// The last line, if there is one. A value of the environment that stands in it, a token perhaps, is left out.
    pub(super) fn without<'a>(&self, values: impl Iterator<Item = &'a OsStr>) -> Option<Box<str>> {
        let text = String::from_utf8_lossy(&self.0);
        let line = text.lines().map(str::trim).rfind(|line| !line.is_empty())?;
        let secrets = values.filter_map(OsStr::to_str).filter(|value| value.len() >= TELLING);
        let line = secrets.fold(line.to_owned(), |line, secret| line.replace(secret, "…"));
        Some(excerpt(&line, SHOWN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn heard(text: &[u8]) -> LastWords {
        let mut words = LastWords::default();
        words.hear(Some(text)).await.unwrap();
        words
    }

    fn shown(words: &LastWords) -> Option<String> {
        words.without([OsStr::new("/usr/bin"), OsStr::new("s3cret-t0ken")].into_iter()).map(Into::into)
    }

    #[tokio::test]
    async fn the_last_line_counts_and_no_empty_one() {
        assert_eq!(shown(&heard(b"one\ntwo \n\n \n").await).as_deref(), Some("two"));
        assert_eq!(shown(&heard(b"").await), None);
        assert_eq!(shown(&heard(b"\x1b[31mred\xff\n").await).as_deref(), Some("\\u{1b}[31mred\u{fffd}"));
    }

    #[tokio::test]
    async fn of_a_flood_no_more_is_kept_than_its_end() {
        let flood = [vec![b'x'; 1 << 20], b"\nthe end\n".to_vec()].concat();
        let words = heard(&flood).await;
        assert!(words.0.len() <= KEPT_BYTES);
        assert_eq!(shown(&words).as_deref(), Some("the end"));
    }

    #[tokio::test]
    async fn a_value_of_the_environment_is_left_out() {
        assert_eq!(shown(&heard(b"401 with s3cret-t0ken\n").await).as_deref(), Some("401 with …"));
    }
}
