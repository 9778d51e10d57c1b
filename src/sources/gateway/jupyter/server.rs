//! The server that answers: what it is, and which process.

use crate::domain::process::ProcessIdentity;

/// A server that answered.
#[derive(Debug, Clone)]
pub(super) struct Server {
    pub(super) flavour: Flavour,
    /// The process that listens at its address, if it can be seen.
    pub(super) process: Option<ProcessIdentity>,
}

/// Which program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Flavour {
    /// A Jupyter Server, which says when it started.
    Server {
        /// In its own words.
        started: Box<str>,
    },
    /// A Kernel Gateway.
    KernelGateway,
}
