//! The settings: what can be set, where it was set, and what the program runs with.
//!
//! [`table::SETTINGS`] says what can be set. [`written::Written`] gathers what was written in each
//! layer, with its origin; [`resolve::resolve`] turns that into [`config::Config`], or into every
//! complaint at once. Called by the commands before anything is bound or made. Nothing outside this
//! folder reads the environment.

pub(crate) mod complaint;
pub(crate) mod config;
pub(crate) mod credentials;
pub(crate) mod environment;
pub(crate) mod file;
pub(crate) mod origin;
pub(crate) mod resolve;
pub(crate) mod table;
pub(crate) mod value;
pub(crate) mod written;

#[cfg(test)]
mod tests;
