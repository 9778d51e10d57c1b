//! The program while it runs: what it has said so far, and signals to it alone.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::place::{PATIENCE, Ran};

/// Killed when dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    out: Arc<Mutex<String>>,
    err: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.spawn().expect("the program starts");
        let (out, err) = (Arc::default(), Arc::default());
        let mut readers = Vec::new();
        readers.extend(child.stdout.take().map(|pipe| listen(pipe, Arc::clone(&out))));
        readers.extend(child.stderr.take().map(|pipe| listen(pipe, Arc::clone(&err))));
        Self { child, out, err, readers }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn out(&self) -> String {
        self.out.lock().unwrap().clone()
    }

    pub(crate) fn err(&self) -> String {
        self.err.lock().unwrap().clone()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // Our child and not waited for, so its PID is still its own.
        let pid = rustix::process::Pid::from_raw(self.child.id().cast_signed()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits until it has said this on stderr.
    pub(crate) fn await_err(&self, text: &str) {
        self.eventually(&format!("stderr has {text:?}"), || self.err().contains(text));
    }

    pub(crate) fn eventually(&self, what: &str, holds: impl FnMut() -> bool) {
        eventually(what, holds, || format!("stdout:\n{}\nstderr:\n{}", self.out(), self.err()));
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Ran {
        let started = Instant::now();
        while !self.has_ended() {
            assert!(
                started.elapsed() < PATIENCE,
                "it never ended; stdout:\n{}\nstderr:\n{}",
                self.out(),
                self.err()
            );
            std::thread::sleep(Duration::from_millis(2));
        }
        let status = self.child.wait().unwrap();
        for reader in std::mem::take(&mut self.readers) {
            reader.join().unwrap();
        }
        assert!(!status.core_dumped());
        Ran { out: self.out(), err: self.err(), code: status.code() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

fn listen(pipe: impl Read + Send + 'static, said: Arc<Mutex<String>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        let mut line = Vec::new();
        while pipe.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            said.lock().unwrap().push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    })
}

/// Waits for something that takes its own time.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool, state: impl Fn() -> String) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "it never came true that {what}\n{}", state());
        std::thread::sleep(Duration::from_millis(2));
    }
}
