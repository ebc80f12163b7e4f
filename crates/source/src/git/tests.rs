//! The engine against the real program and repositories of this machine.

mod finding;
mod fixture;
mod leading;
mod reading;
mod robustness;

use fixture::{Fixture, Setup};
