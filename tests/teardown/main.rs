//! The teardown, sentence by sentence: what is done, in which order, how long each is waited for, and what is never done.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that can't go on fails")]

mod answers;
mod escalation;
mod family;
mod play;
mod read_again;
mod records;
mod release;
mod stage;
mod system;
mod told_to_end;
