//! The terminal while `top` has it: another page, keys without a line, no cursor; and as it was before on every way out.

use std::io::{IsTerminal, Write};
use std::os::fd::OwnedFd;
use std::sync::Mutex;
use std::time::Duration;

use anstream::{AutoStream, ColorChoice};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetwinsize, tcsetattr,
};
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::exit::Failure;
use crate::sweep::register;

/// Another page, and no cursor.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
/// To the upper left corner; then each line clears what is behind it, and the last one what is below.
const HOME: &str = "\x1b[H";
const LINE_END: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";

/// How the terminal was. Here, and not in [`Screen`], so that a panic finds it.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// What was pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    ByDue,
    ByMemory,
    Quit,
    Other,
}

/// The terminal.
pub(super) struct Screen {
    keys: AsyncFd<OwnedFd>,
    colour: bool,
}

impl Screen {
    pub(super) fn enter() -> Result<Self, Failure> {
        let (stdin, stdout) = (std::io::stdin(), std::io::stdout());
        if !stdin.is_terminal() || !stdout.is_terminal() {
            return Err(Failure::Terminal(
                "top needs a terminal for its input and output; `gateway-reaper status` tells the same once",
            ));
        }
        let trouble = |error| Failure::System("the terminal can't be used", error);
        let before = tcgetattr(&stdin).map_err(|error| trouble(error.into()))?;
        let mut modes = before.clone();
        modes.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
        modes.special_codes[SpecialCodeIndex::VMIN] = 1;
        modes.special_codes[SpecialCodeIndex::VTIME] = 0;
        // Stopped by Ctrl-Z, it would leave the shell with this page.
        modes.special_codes[SpecialCodeIndex::VSUSP] = 0;
        let colour = AutoStream::choice(&stdout) != ColorChoice::Never;
        // A descriptor of its own: stdin stays as it is for the shell.
        let own = rustix::io::dup(&stdin).map_err(|error| trouble(error.into()))?;
        let keys = register(own).map_err(trouble)?;
        if let Ok(mut place) = BEFORE.lock() {
            *place = Some(before);
        }
        // From here on dropping it restores the terminal.
        let screen = Self { keys, colour };
        tcsetattr(screen.keys.get_ref(), OptionalActions::Now, &modes)
            .map_err(|error| trouble(error.into()))?;
        write(ENTER)?;
        Ok(screen)
    }

    /// Columns and rows.
    pub(super) fn size(&self) -> (usize, usize) {
        match tcgetwinsize(std::io::stdout()) {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col.into(), size.ws_row.into()),
            _ => (80, 24),
        }
    }

    pub(super) fn draw(&self, lines: &[String]) -> Result<(), Failure> {
        let mut text = HOME.to_owned();
        for (number, line) in lines.iter().enumerate() {
            if number > 0 {
                text.push_str("\r\n");
            }
            match self.colour {
                true => text.push_str(line),
                false => text.push_str(&anstream::adapter::strip_str(line).to_string()),
            }
            text.push_str(LINE_END);
        }
        text.push_str(CLEAR_BELOW);
        write(&text)
    }

    /// Waits for a key.
    pub(super) async fn key(&self) -> Key {
        loop {
            let Ok(mut ready) = self.keys.readable().await else { return Key::Quit };
            ready.clear_ready();
            // Said to be readable is not always readable, and a read that waits would make signals wait.
            let mut fds = [PollFd::new(self.keys.get_ref(), PollFlags::IN)];
            match poll(&mut fds, Some(&Timespec::default())) {
                Ok(0) => continue,
                Ok(_) => {}
                Err(_) => return Key::Quit,
            }
            let mut bytes = [0; 64];
            let read = match rustix::io::read(self.keys.get_ref(), &mut bytes) {
                // The terminal is gone.
                Ok(0) | Err(_) => return Key::Quit,
                Ok(read) => read,
            };
            return pressed(&bytes[..read]);
        }
    }
}

/// Changes of the terminal's size.
pub(super) struct Resizes(Signal);

impl Resizes {
    pub(super) fn new() -> Result<Self, Failure> {
        let listen = signal(SignalKind::window_change());
        listen.map(Self).map_err(|error| Failure::System("signals can't be listened to", error))
    }

    /// Waits for one.
    pub(super) async fn next(&mut self) {
        self.0.recv().await;
        // A window that is drawn larger says so many times.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// The last key of ours in what was read. Ctrl-C is a signal, Ctrl-D leaves like `q`; an arrow is a sequence that an escape begins and a letter
/// ends, and that letter is no key.
fn pressed(bytes: &[u8]) -> Key {
    let mut key = Key::Other;
    let mut bytes = bytes.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            0x1b => {
                let is_long = matches!(bytes.next(), Some(b'[' | b'O'));
                if is_long {
                    bytes.by_ref().find(|byte| (0x40..=0x7e).contains(*byte));
                }
            }
            b'q' | b'Q' | 0x04 => return Key::Quit,
            b'm' | b'M' => key = Key::ByMemory,
            b'd' | b'D' => key = Key::ByDue,
            _ => {}
        }
    }
    key
}

/// Gives the terminal back as it was, if it was taken.
pub(in crate::cli) fn restore() {
    // A lock that is held by a thread that panicked is this one's, and the value is whole.
    let before = BEFORE.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
    if let Some(before) = before {
        let _ = write(LEAVE);
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &before);
    }
}

fn write(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    written.map_err(|error| Failure::System("the terminal can't be written", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_within_a_sequence_is_no_key() {
        for (bytes, key) in [
            ("d", Key::ByDue),
            ("md", Key::ByDue),
            ("\u{1b}[D", Key::Other),
            ("\u{1b}OD\u{1b}[1;5Dm", Key::ByMemory),
            ("mq", Key::Quit),
            ("\u{1b}", Key::Other),
            ("x", Key::Other),
        ] {
            assert_eq!(pressed(bytes.as_bytes()), key, "{bytes:?}");
        }
    }
}
