//! Processes that have nothing to do with any gateway, by the thousand: so that a test can show that they cost nothing.

use std::io::{self, PipeWriter};
use std::process::{Child, Command, Stdio};

/// Idle processes. They all read one pipe; when its other end closes they end by themselves, whatever becomes of what started them.
pub(crate) struct Strangers {
    lifeline: Option<PipeWriter>,
    children: Vec<Child>,
}

impl Strangers {
    #[allow(clippy::disallowed_methods, reason = "they are processes")]
    pub(crate) fn start(number: usize) -> io::Result<Self> {
        let (input, lifeline) = io::pipe()?;
        let mut strangers = Self { lifeline: Some(lifeline), children: Vec::with_capacity(number) };
        for _ in 0..number {
            let stdin = Stdio::from(input.try_clone()?);
            strangers.children.push(Command::new("cat").stdin(stdin).stdout(Stdio::null()).spawn()?);
        }
        Ok(strangers)
    }
}

impl Drop for Strangers {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        for child in &mut self.children {
            let _ = child.wait();
        }
    }
}
