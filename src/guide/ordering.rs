//! The order in which requests are admitted.
//!
//! A request is admitted when everything that it needs is available: its units at every resource of
//! its set, room in its lane, and room under every rate. All of it is decided in one step. A
//! request that is not admitted has spent nothing.
//!
//! A request joins the queue when its future is first polled. Its deadline counts from the call of
//! a limited service, or from the first poll of [`acquire`](crate::Limiter::acquire).
//!
//! # At one resource
//!
//! 1. Between **lanes**, the lane that has been granted the least for its weight is first. A
//!    resource without lanes is one lane.
//! 2. Within a lane, the higher **priority** is first. The default is 10. A waiter can be overtaken
//!    by higher priorities until its deadline or, with a
//!    [`priority_credit`](crate::limiter::LimiterBuilder::priority_credit), until it has waited for
//!    that time.
//! 3. Among requests of the same priority, the order is that of **arrival**, whatever number of
//!    units they claim.
//!
//! If the first request in this order lacks room, it blocks all later ones at that resource. A
//! request for 3 units is therefore not starved by a stream of requests for 1, and a large load
//! that waits for a rate is not starved by small ones. There are three exceptions:
//!
//! * A request can always get the units that are [reserved](super::lanes#reserves) for it, ahead of
//!   others.
//! * A lane that has reached its `max` or its strict portion does not block other lanes.
//! * A request that claims more than it could be granted whatever is released **stands aside** and
//!   blocks nothing.
//!
//! The last exception applies to claims of more units than the limit in force (a limit can be
//! [lowered](super::configuration#changes-at-run-time) while the request waits), than the lane may
//! use, or than reserves leave. While it stands aside, the request counts as a waiter, and later
//! requests pass it. When the limit or the rule changes, it takes its place again by priority and
//! arrival. Otherwise it waits until its deadline.
//!
//! # Between sets
//!
//! A request does not block others where it lacks nothing. While a request for `db` and `fs` waits
//! for `fs`, later requests pass it at `db`.
//!
//! This rule alone could starve a set: `db` is free while others use `fs`, then `fs` is free while
//! others use `db`. The first waiter for a set that has been passed 16 times in alternation, for
//! lack of the one and then of the other, has its units set aside at each resource where it waits.
//! Later requests get what is left beside them.
//!
//! A waiter that always lacks the same resource is not passed in alternation. However long `fs` is
//! stuck, requests that wait for `db` and `fs` together do not block `db`.
//!
//! # Leaving the queue
//!
//! A request that expires or is dropped makes room for those behind it immediately. Waiters are
//! rejected before their deadline, with [`Reason::Shed`](crate::Reason::Shed), in two cases:
//!
//! * The queue is full, and a request of higher priority arrives: it takes the place of the
//!   youngest waiter of the lowest priority. With lanes, a request of a lane with fewer waiters for
//!   its weight takes the place of the youngest waiter in the lane with the most, whatever the
//!   priorities.
//! * The resource is in [overload mode](super::overload), and the queue does not drain: the oldest
//!   waiters are rejected.
//!
//! ```
//! # use std::time::Duration;
//! # use tower_concurrency_limiter::{Limiter, Resource};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let db = Resource::new("db", 2);
//! let limiter = Limiter::new(Duration::from_secs(5), [&db]);
//! let held = limiter.try_acquire([&db]).unwrap();
//!
//! let mut wide = tokio_test::task::spawn(limiter.acquire([db.units(2)]));
//! assert!(wide.poll().is_pending());
//! assert!(limiter.try_acquire([&db]).is_err()); // one unit is free, but `wide` is first
//! drop(held);
//! assert!(wide.poll().is_ready());
//! # }
//! ```
//!
//! [Guide](super) · Next: [rates](super::rates)
