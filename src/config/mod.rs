//! `reaper.toml`: finding it, reading it, and saying exactly what is wrong with it.

pub mod defaults;
pub mod duration;
pub mod token;

#[cfg(test)]
mod token_tests;
