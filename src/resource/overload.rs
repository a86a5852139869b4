//! What a resource does about a queue that stands.

use std::time::Duration;

use crate::admission::OverloadRule;

/// What to do when a queue does not drain: serve the newest first, and shed the oldest.
///
/// A queue bridges bursts. In a lasting overload it only makes everybody wait as long as they are
/// willing to, and first come, first served then serves exactly those who are about to give up. Once the
/// oldest waiter has been above the `target` for a whole `interval`, the queue *stands*: from then on
/// the newest of each priority goes first, and the oldest are [shed](crate::Reason::Shed), faster and
/// faster, until the wait is back below the target. After Nichols and Jacobson, "Controlling Queue
/// Delay" (2012), RFC 8289, and Maurer, "Fail at Scale" (2015).
///
/// The oldest are shed whatever their priority and lane; a request for a set is treated so if the queue of any
/// of its resources stands. The queue is looked at when
/// requests come and go; no timer is set for it.
///
/// Choose it where clients give up sooner than the timeout of the limiter, or at times unknown. Where the
/// timeout is well below the clients' patience, it gains nothing, and costs the order of arrival. While
/// a queue stands, nobody is protected from being overtaken.
///
/// ```
/// use std::time::Duration;
/// use tower_concurrency_limiter::{Overload, Resource};
///
/// let db = Resource::builder("db")
///     .concurrency(5)
///     .overload(Overload::after(Duration::from_millis(100)).above(Duration::from_millis(20)))
///     .build();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overload {
    pub(super) target: Duration,
    pub(super) interval: Duration,
}

impl Overload {
    /// A queue stands once its wait was above the [target](Self::above) for this long: longer than the
    /// bursts that it is to bridge, and well below the patience of the clients.
    pub const fn after(interval: Duration) -> Self {
        Self {
            target: Duration::from_millis(20),
            interval,
        }
    }

    /// The wait that is fine. Default: 20 ms. Where a quiet day has longer ones, because the work takes
    /// longer than that, choose more than they are: the queue would stand all the time, and shed.
    pub const fn above(mut self, target: Duration) -> Self {
        self.target = target;
        self
    }

    pub(super) fn rule(self) -> OverloadRule {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX / 4);
        OverloadRule {
            target: nanos(self.target),
            interval: nanos(self.interval),
        }
    }
}

impl Default for Overload {
    /// 20 ms for 100 ms.
    fn default() -> Self {
        Self::after(Duration::from_millis(100))
    }
}
