//! Why a Go module could not be fetched: one catalogue of causes, and a reader that finds them in a
//! pasted log.
//!
//! `larder explain` calls [`explain`] with a log and [`code::explain`] with a number of another
//! tool; the pages of `docs/reference/causes` are made from [`cause::CAUSES`]. Everything here is a
//! pure function: no IO, no clock, nothing printed, and no panic on any bytes. Nothing is probed:
//! where a log cannot separate two causes the finding says so and names the command that would.

#![warn(missing_docs)]

pub mod cause;
pub mod code;
mod finding;
mod log;
mod redact;

pub use finding::{Confidence, Evidence, Finding, Subject};
pub use log::explain;
pub use redact::{begins_as_token, redact};
