//! The order of admission: the decision, and nothing else.
//!
//! This module has no clock, no lock, no async and no I/O. Events and the time go in, verdicts come
//! out; the `core` drives it in production, a property test drives it against a
//! sequential model.
//!
//! * [`Demands`]: the claims of a request, with resources by index.
//! * [`Usage`]: how much of one resource is in use, out of how much.
//! * [`Ledger`]: where the usages are stored; atomics in production, plain values in tests.
//! * `Meter`: what was spent under a [`RateRule`], and when there is room for more.
//! * [`Queue`]: the waiters and the order among them. Its documentation has the rules.

#![cfg_attr(
    not(feature = "unstable-admission"),
    allow(unreachable_pub, reason = "public for the simulator alone")
)]

mod arrival;
mod aside;
mod change;
mod charge;
mod demand;
mod drain;
mod dry_run;
mod fifo;
mod flow;
mod lane_hash;
mod lanes;
mod ledger;
mod order;
mod overload;
mod policy;
mod queue;
mod rank;
mod rate;
mod refusal;
mod reserves;
mod resource_queue;
mod rested;
mod scatter;
#[cfg(all(test, not(tcl_loom)))]
mod tests;
mod timeline;
mod waiters;

pub use arrival::{Admission, Adopted, Arrival, Attributes};
pub use change::NewRule;
pub use charge::Charge;
pub use demand::{Demand, Demands};
pub use drain::Drain;
pub use dry_run::{DryOutcome, DryReport, DryRun};
pub use fifo::{Decision, Fifo};
pub use lane_hash::LaneHash;
pub use lanes::{LaneId, LaneRule, LaneRules, Sharing};
pub use ledger::{Ledger, Usage};
pub use overload::OverloadRule;
pub use queue::{Queue, ResourceSpec, Verdict};
pub use rate::{RateRule, Shape};
pub use refusal::Refusal;
pub use resource_queue::{Beneficiary, By, ReserveRule, ResourceRules};
#[cfg(any(feature = "redis", feature = "unstable-admission"))]
pub use scatter::Slots;
pub use waiters::Ticket;

/// A point in time or a span, in nanoseconds since the limiter was built. Lasts 584 years.
pub type Nanos = u64;
