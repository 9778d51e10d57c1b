//! What ends a demo process that is left: the lifeline, and failing that, age.
//!
//! Plain threads, so that they work in every flavour and whatever the rest of the process is busy with.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::process::parent_id;
use std::thread;
use std::time::Duration;

/// Ends this process when the other end of the inherited pipe closes.
pub(super) fn watch(descriptor: i32) -> io::Result<()> {
    // A second opening of the same pipe: a bare number can't become a descriptor without `unsafe`.
    let pipe = File::open(format!("/proc/self/fd/{descriptor}"))?;
    thread::Builder::new().name("lifeline".into()).spawn(move || {
        read_to_its_end(pipe);
        std::process::exit(0);
    })?;
    Ok(())
}

/// Ends this process once its parent is gone and it is older than `max_lifetime`.
pub(super) fn limit(max_lifetime: Duration) -> io::Result<()> {
    const LOOK: Duration = Duration::from_millis(250);
    let parent = parent_id();
    thread::Builder::new().name("age".into()).spawn(move || {
        thread::sleep(max_lifetime);
        while parent_id() == parent {
            thread::sleep(LOOK);
        }
        std::process::exit(0);
    })?;
    Ok(())
}

/// Returns when its other end is closed.
pub(super) fn read_to_its_end(mut pipe: impl Read) {
    let mut byte = [0];
    loop {
        match pipe.read(&mut byte) {
            Ok(0) => return,
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return,
            Ok(_) | Err(_) => {}
        }
    }
}
