//! Which request is admitted next, and which are refused.

#[path = "../common/mod.rs"]
mod common;

mod deadline;
mod dry_run;
mod hints;
mod lanes;
mod overload;
mod poll_by_poll;
mod priority;
mod rates;
mod standing_aside;
