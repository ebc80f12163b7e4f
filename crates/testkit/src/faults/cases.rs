//! The cases, by what is broken.

pub(super) mod beyond;
pub(super) mod certificates;
pub(super) mod checksums;
pub(super) mod elsewhere;
pub(super) mod environment;
pub(super) mod http;
pub(super) mod protocols;
pub(super) mod transport;
pub(super) mod version_control;
