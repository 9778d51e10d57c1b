//! The one teardown path, for every kind of orphan: (sessions) the gateway's conditional reap, then `close_timeout` for its worker to
//! exit; (workers and leftovers) SIGTERM to the worker and, once it is gone or given up on, to each descendant seen under it before the
//! first signal; `term_timeout`; SIGKILL; confirmed.
//!
//! It ends a process if and only if a [`Warrant`](crate::domain::warrant::Warrant) covers it, the very process that was judged is held by
//! a pidfd, and a look after the hold still doesn't find it protected. It never signals a process group, and it leaves deciding to the
//! decision: the gateway's own refusal is the only reason it knows to let a session be.

mod agenda;
pub mod event;
pub mod kernel;
pub mod linux;
mod marks;
pub mod outcome;
pub mod record;
pub mod release;
pub mod teardown;
mod tree;
mod victim;
pub mod world;
