//! What was told, without what differs from run to run.

use std::sync::LazyLock;

use regex_lite::Regex;

use crate::place::{Place, Ran};

/// Names for numbers and paths of one test.
#[derive(Debug, Default)]
pub(crate) struct Names(Vec<(String, String)>);

impl Names {
    pub(crate) fn of(place: &Place) -> Self {
        Self(vec![(place.dir().display().to_string(), "[dir]".to_owned())])
    }

    /// From now on this is told as that.
    pub(crate) fn call(mut self, what: impl ToString, name: &str) -> Self {
        self.0.push((what.to_string(), format!("[{name}]")));
        self
    }

    /// All that a run told, and its exit code.
    pub(crate) fn all(&self, ran: &Ran) -> String {
        let code = ran.code.map_or("killed".to_owned(), |code| code.to_string());
        format!("exit {code}\n--- stdout\n{}--- stderr\n{}", self.plain(&ran.out), self.plain(&ran.err))
    }

    pub(crate) fn plain(&self, text: &str) -> String {
        static VARIES: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
            [
                (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "[time]"),
                (r"\d+(\.\d+)? (KiB|MiB|GiB) (back|of memory)", "[memory] $3"),
                (r#"("run": ?)"[^"]*""#, r#"$1"[run]""#),
                (r#"("(took_s|waited_s|remaining_s)": ?)[\d.]+"#, "$1[span]"),
                (r#"("(rss|reclaimed|reclaimed_rss)_bytes": ?)[1-9]\d*"#, "$1[bytes]"),
                (r" for [\d.hms ]+;", ";"),
                (r"due in [\d.hms ]+", "due in [span]"),
            ]
            .map(|(pattern, name)| (Regex::new(pattern).unwrap(), name))
            .into()
        });
        let mut text = text.to_owned();
        for (pattern, name) in VARIES.iter() {
            text = pattern.replace_all(&text, *name).into_owned();
        }
        for (what, name) in &self.0 {
            if what.bytes().all(|byte| byte.is_ascii_digit()) {
                // A number stands alone; the column it stands in doesn't matter.
                text = Regex::new(&format!(r" *\b{what}\b"))
                    .unwrap()
                    .replace_all(&text, format!(" {name}").as_str())
                    .into_owned();
            } else {
                text = text.replace(what, name);
            }
        }
        text
    }
}
