//! The checker: who held what and when, by the word of the holders themselves.
//!
//! Each process writes what happens to its permits into one file. All are on the same host, so that
//! their clocks, the monotonic one of the system, are one clock.

mod event;
mod holds;
mod log;
mod recovery;
mod sweep;

pub use event::Nanos;
pub use holds::{Hold, Holders, Tally};
pub use log::{Log, now};
pub use recovery::Recovery;
pub use sweep::{Change, Peak, Until};
