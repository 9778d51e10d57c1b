//! The voice of the story: when, who, what.

use std::fmt;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use anstyle::{AnsiColor, Style};
use tokio::time::Instant;

/// Who does what a line tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// The people at their keyboards.
    Client,
    /// The gateway that leaks.
    Gateway,
    /// The reaper beside it.
    Reaper,
    /// The demo itself, looking at processes and sessions without asking the reaper.
    Check,
}

impl Who {
    fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Gateway => "gateway",
            Self::Reaper => "reaper",
            Self::Check => "check",
        }
    }

    fn style(self) -> Style {
        match self {
            Self::Client => AnsiColor::Cyan.on_default(),
            Self::Gateway => AnsiColor::Yellow.on_default(),
            Self::Reaper => AnsiColor::Green.on_default().bold(),
            Self::Check => AnsiColor::Magenta.on_default(),
        }
    }
}

/// Tells the story line by line; clones tell the same story.
#[derive(Clone)]
pub struct Narrator {
    out: Arc<Mutex<dyn Write + Send>>,
    started: Instant,
}

impl fmt::Debug for Narrator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Narrator").field("started", &self.started).finish_non_exhaustive()
    }
}

impl Narrator {
    /// A narrator whose story begins now. It writes styled text: give it an `anstream` where colour may be unwelcome.
    pub fn new(out: impl Write + Send + 'static) -> Self {
        Self { out: Arc::new(Mutex::new(out)), started: Instant::now() }
    }

    /// Tells what one of the cast does.
    pub fn say(&self, who: Who, what: &str) {
        let seconds = self.started.elapsed().as_secs_f64();
        let style = who.style();
        self.line(&format!("{seconds:>5.1}s  {style}{:<7}{style:#}  {what}", who.name()));
    }

    /// Writes a line of the narrator's own.
    pub fn line(&self, text: &str) {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        // The reader is gone. The story goes on to its end, which cleans up.
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek};
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_line_says_when_who_and_what_in_columns() {
        let mut page = tempfile::tempfile().unwrap();
        let narrator = Narrator::new(anstream::StripStream::new(page.try_clone().unwrap()));
        narrator.say(Who::Gateway, "starts");
        tokio::time::advance(Duration::from_millis(12_340)).await;
        narrator.clone().say(Who::Check, "looks");
        narrator.line("the end");
        let mut told = String::new();
        page.rewind().unwrap();
        page.read_to_string(&mut told).unwrap();
        assert_eq!(told, "  0.0s  gateway  starts\n 12.3s  check    looks\nthe end\n");
    }
}
