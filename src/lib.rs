//! gateway-reaper: a grace-window orphan reaper that runs beside an existing gateway.
//!
//! A *gateway* serves *sessions* to clients over a *transport*, and a session may own a *worker* subprocess. When a client goes away its
//! session is only detached, so that the client can come back. If it doesn't, session and worker stay for days. This program looks at the
//! gateway's session table and at the process tree and, after a *grace*, *reaps* what is detached and not mid-turn, along with its worker.
//!
//! # Theory of operation
//!
//! ```text
//! sources -> Observation -> decide(observation, ledger, rules, now) -> Decision -> teardown -> Ending
//!                                       |                                 |            |          |
//!                                     (pure)                      a dry run stops  audit log   report
//! ```
//!
//! 1. **Look.** Processes first, tables second, so that no worker is judged by a table that is older than itself ([`sources`]).
//! 2. **Decide.** One pure function judges every session and worker that was seen, and says why ([`domain::decide`]). Only it can make a
//!    [`Warrant`](domain::warrant::Warrant), and nothing is reaped without one.
//! 3. **Remember.** The [`Ledger`](domain::ledger::Ledger) holds since when each orphan has looked like one. It is written before the first
//!    act ([`state`]).
//! 4. **Reap.** One teardown for every kind of orphan, for all victims at once ([`reap`]).
//! 5. **Tell.** The report, the audit log, the exit code ([`report`], [`cli`]).
//!
//! [`sweep`] does these five things once; `once` calls it once, `watch` in a loop, `status` stops after the second.
//!
//! # What holds, always
//!
//! - An unreadable table is never an empty one; what depends on it is kept.
//! - Not knowing is never a reason to reap: a field that is absent or not understood, a process out of view, a parent that may be a gateway
//!   all keep.
//! - Losing memory only ever lengthens a grace.
//! - Time is awake time of one boot. No wall clock decides anything.
//! - A process is a PID *and* its start *and*, where the kernel has it, the inode of its pidfd. It is held by a pidfd before it is judged
//!   for the last time, and signalled through nothing else. Process groups are never signalled.
//! - Each act is in the audit log before it is done.
//!
//! # Words
//!
//! One word for one thing, here and in every message.
//!
//! | word | means |
//! | --- | --- |
//! | gateway | the program that serves sessions to clients; its process |
//! | session | what a client works in; a row of the gateway's session table |
//! | transport | the client's connection: a session is *attached* or *detached* |
//! | turn | work of a session that is under way: *idle*, *running*, *waiting* (on a person), *starting* |
//! | hold | a reason to keep a session, the gateway's or an operator's |
//! | worker | the subprocess of a session, recognised by its argv; its *tree* is the worker with all its descendants |
//! | table | the session table; it is *current*, or it is missing with a reason |
//! | look | one reading of the processes; a *run* (in the code: a sweep) is looking, deciding and reaping, once |
//! | orphan | a session or worker that nothing uses any more, of a [kind](domain::orphan::OrphanKind) |
//! | grace | how long an orphan is left alone; its *clock* counts the time it was seen as one |
//! | due | its grace is over |
//! | reap | end an orphan; *teardown* is the one way of doing it: the gateway's close, SIGTERM, SIGKILL |
//! | unfinished | a teardown that was begun and has processes left; they are in the *journal* |
//! | ledger | what is remembered from run to run: the clocks, and which worker was whose |
//!
//! # Where things are
//!
//! Dependencies point one way: `cli -> sweep -> {sources, reap, operate, state, report} -> domain`. [`domain`] waits for nothing, reads
//! nothing and knows no clock. [`operate`] keeps and answers what an operator asks: when was the last run, since when is this kept, what
//! was ever reaped. [`config`] is `reaper.toml`; [`demo`] is the embedded gateway of the `demo` command and of many tests.

pub mod cli;
pub mod config;
pub mod demo;
pub mod domain;
pub mod hermes;
pub mod named_file;
pub mod operate;
#[cfg(test)]
mod patience;
pub mod reap;
pub mod report;
pub mod sources;
pub mod state;
pub mod sweep;
mod text;
mod users;
