//! What the tests of shared limits have in common.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests against real servers, in real time"
)]
#![allow(
    dead_code,
    unused_imports,
    reason = "whoever includes it is a crate of its own, and none uses all of it"
)]

pub(crate) mod child;
pub(crate) mod contract;
pub(crate) mod holder;
mod load;
mod venue;

pub(crate) use child::OtherProcess;
pub(crate) use holder::{Holder, Orders};
pub(crate) use load::{Load, Request, Requests};
pub(crate) use venue::{Process, Venue, at_rest, until};
