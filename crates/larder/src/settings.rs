//! The settings: what can be set, where it was set, and what the program runs with.

pub(crate) mod config;
pub(crate) mod secret;
