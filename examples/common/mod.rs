//! What the examples that are programs share. `pip.rs` and `target.rs` serve the tests too, and are modules of
//! their own.

#![allow(
    dead_code,
    unused_imports,
    reason = "each example is a crate of its own, and none uses all of it"
)]

mod child;
mod k6;
pub(crate) mod page;
pub(crate) mod paint;
mod rows;
pub(crate) mod samples;
mod stop;

pub(crate) use child::{Child, end_with_stdin};
pub(crate) use k6::K6;
pub(crate) use rows::Rows;
pub(crate) use samples::{Outcome, Sample};
pub(crate) use stop::until_stopped;
