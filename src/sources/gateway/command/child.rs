//! What stands between the reaper and a program that it runs: this program itself, for a moment. It takes a session of its own, asks to be
//! killed with the reaper, and becomes the program. What is set here can't be set from outside without unsafe code.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{Signal, getppid, set_parent_process_death_signal, setsid};

/// The hidden subcommand.
pub(crate) const SUBCOMMAND: &str = "command-child";

/// Becomes the program that these words name, and returns only if that can't be.
#[expect(clippy::disallowed_methods, reason = "the operator's program is what this is for")]
pub fn become_program(words: &[OsString]) -> io::Error {
    let Some((program, arguments)) = words.split_first() else { return io::ErrorKind::InvalidInput.into() };
    let parent = getppid();
    let prepared = setsid().and_then(|_| set_parent_process_death_signal(Some(Signal::KILL)));
    if let Err(errno) = prepared {
        return errno.into();
    }
    // Its parent may have ended before it asked to be told.
    if getppid() != parent {
        return io::ErrorKind::BrokenPipe.into();
    }
    let error = Command::new(program).args(arguments).exec();
    io::Error::new(error.kind(), format!("{}: {error}", program.display()))
}
