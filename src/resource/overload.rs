//! Overload control of a queue, by CoDel.

use std::time::Duration;

use crate::admission::OverloadRule;

/// Overload control by CoDel: if the queue does not drain, serves the newest request first and
/// sheds the oldest.
///
/// A queue bridges bursts. In a lasting overload it only adds delay: every request waits nearly as
/// long as its client is willing to, and in order of arrival the requests that are served are those
/// about to be given up. Once the queueing delay has been above the [target](Self::target) for a
/// whole [interval](Self::interval), the queue is *standing*: the newest request of each priority
/// is served first, and the oldest requests are [shed](crate::Reason::Shed) at a growing rate,
/// until the delay is back below the target. After Nichols and Jacobson, "Controlling Queue Delay"
/// (2012), RFC 8289, and Maurer, "Fail at Scale" (2015).
///
/// The oldest requests are shed whatever their priority and lane. A request for a set is treated so
/// if the queue of any of its resources is standing. The delay is measured when requests arrive and
/// leave; no timer is set for it.
///
/// Use it if clients give up sooner than the timeout of the limiter, or after an unknown time. If
/// the timeout is well below the time after which clients give up, it gains nothing and costs the
/// order of arrival. While a queue is standing,
/// [ageing](crate::limiter::LimiterBuilder::priority_credit) is suspended.
///
/// ```
/// use std::time::Duration;
/// use tower_concurrency_limiter::{Overload, Resource};
///
/// let overload = Overload::new()
///     .target(Duration::from_millis(50))
///     .interval(Duration::from_millis(200));
/// let db = Resource::builder("db").concurrency(5).overload(overload).build();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "overload control does nothing until a resource is built with it"]
pub struct Overload {
    pub(super) target: Duration,
    pub(super) interval: Duration,
}

impl Overload {
    /// Creates overload control with a target of 20 ms and an interval of 100 ms.
    pub const fn new() -> Self {
        Self {
            target: Duration::from_millis(20),
            interval: Duration::from_millis(100),
        }
    }

    /// Sets the queueing delay that is acceptable: CoDel's TARGET. Default: 20 ms.
    ///
    /// Choose more than the delay on a quiet day, which is longer than 20 ms if the work takes
    /// longer than that. Otherwise the queue is always standing.
    pub const fn target(mut self, target: Duration) -> Self {
        self.target = target;
        self
    }

    /// Sets how long the delay must stay above the target before the queue is standing: CoDel's
    /// INTERVAL. Above 0. Default: 100 ms.
    ///
    /// Choose it longer than the bursts that the queue has to bridge, and well below the time after
    /// which clients give up.
    pub const fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    pub(super) fn rule(self) -> OverloadRule {
        // A quarter of the range, so that sums of a few durations do not overflow.
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX / 4);
        OverloadRule {
            target: nanos(self.target),
            interval: nanos(self.interval),
        }
    }
}

impl Default for Overload {
    /// The same as [`Overload::new`].
    fn default() -> Self {
        Self::new()
    }
}
