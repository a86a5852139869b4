//! Which request is admitted next, and which are refused.

mod dry_run;
mod hints;
mod lanes;
mod overload;
mod poll_by_poll;
mod priority;
mod rates;
mod standing_aside;
