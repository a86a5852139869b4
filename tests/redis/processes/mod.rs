//! What the tests of shared limits have in common.

pub(crate) mod child;
pub(crate) mod contract;
pub(crate) mod holder;
mod load;
mod venue;

pub(crate) use child::{OtherProcess, run_alone};
pub(crate) use holder::{Holder, Orders};
pub(crate) use load::{Load, Request, Requests};
pub(crate) use venue::{Process, Venue, at_rest, until};
