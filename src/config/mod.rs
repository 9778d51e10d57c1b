//! `reaper.toml`: finding it, reading it, and saying exactly what is wrong with it.

pub mod token;
