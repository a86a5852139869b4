//! Who goes next: the decision, and nothing else.
//!
//! This module has no clock, no lock, no async and no I/O. Events and the time go in, verdicts come
//! out; the [`gate`](crate::gate) drives it in production, a property test drives it against a
//! sequential model.
//!
//! * [`Demands`]: what a request asks of which resources, by index.
//! * [`Usage`]: how much of one resource is in use, out of how much.
//! * [`Ledger`]: where the usages are kept; atomics in production, plain values in tests.
//! * [`Meter`]: what was spent under a [`RateRule`], and when there is room for more.
//! * [`Queue`]: the waiters and the order among them. Its documentation states the rules.

mod arrival;
mod aside;
mod change;
mod charge;
mod demand;
mod drain;
mod express;
mod flow;
mod lane_hash;
mod lanes;
mod ledger;
mod line;
mod order;
mod overload;
mod policy;
mod queue;
mod rank;
mod rate;
mod reserves;
mod rested;
mod scatter;
mod shadow;
#[cfg(all(test, not(tcl_loom)))]
mod tests;
mod timeline;
mod waiters;

pub(crate) use arrival::{Answer, Arrival, Claims};
pub(crate) use change::NewRule;
pub(crate) use charge::Charge;
pub(crate) use demand::{Demand, Demands};
pub(crate) use lane_hash::LaneHash;
pub(crate) use lanes::{LaneId, LaneRule, LaneRules, Sharing};
pub(crate) use ledger::{Ledger, Usage};
pub(crate) use line::{Beneficiary, By, LineRules, ReserveRule};
pub(crate) use overload::OverloadRule;
pub(crate) use queue::{LineSpec, Queue, Verdict};
pub(crate) use rate::{RateRule, Shape};
pub(crate) use scatter::Slots;
pub(crate) use shadow::{Foretold, News, Shadow};
pub(crate) use waiters::Ticket;

/// A point in time or a span, in nanoseconds since the limiter was built. Lasts 584 years.
pub(crate) type Nanos = u64;
