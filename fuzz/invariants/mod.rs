//! What holds whatever is read from outside: one file for each thing that is read, each with one `check` that takes bytes and panics where
//! something doesn't hold. The fuzz targets call it with bytes of their own making, `tests/fuzz_corpus.rs` with those that are kept.

pub(crate) mod config;
pub(crate) mod hermes_page;
pub(crate) mod http_answer;
pub(crate) mod journal;
pub(crate) mod ledger;
pub(crate) mod table;
pub(crate) mod worker_match;
mod world;

/// A message is for one line of a terminal: of bounded length, and nothing in it steers one.
fn is_harmless(message: &str) -> bool {
    message.len() <= 4096 && !message.is_empty() && !message.contains(char::is_control)
}
