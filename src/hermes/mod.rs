//! The Hermes side: the plugin that publishes the session table, and its way into a Hermes home and out again.
pub mod config_yaml;
