//! What the tests of shared limits have in common.

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
pub(crate) use venue::{Process, Venue, until};
