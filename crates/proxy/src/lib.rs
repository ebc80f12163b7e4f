//! The server: from a parsed request to an answer.
//!
//! `larder` builds [`Parts`] from its settings and calls [`Server`]. A request walks through
//! [`serve`] (bytes to a [`gomod::Request`] and back), [`gate`] (may this caller have it?),
//! then [`fill`] for files that never change or [`answer`] for answers that do; [`refresh`] makes those due. Only `serve` names
//! HTTP statuses, only `fill` writes to a store, and nothing is opened without the
//! [`gate::Admitted`] that only the gate can make.

pub mod answer;
pub mod fill;
pub mod gate;
pub mod observe;
pub mod policy;
pub mod refresh;
pub mod serve;

mod failure;

pub use failure::Failure;
pub use fill::Brought;
pub use serve::{Parts, ServeOptions, Server, TlsFiles};
