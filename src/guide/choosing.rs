//! How to choose a limit, a timeout and a queue bound, and when other settings help.
//!
//! # Limit, timeout and queue bound
//!
//! **The limit** is how much the resource does well at once. With a known rate and service time it
//! is their product: 100 queries per second of 50 ms each occupy 5. Otherwise start with the number
//! of cores of the database or of connections in the pool, and raise the limit while throughput
//! rises with it. Beyond that point only the latency rises.
//!
//! **The timeout** plus the time of the work must be shorter than the patience of the clients. If
//! clients give up after 6 s, a timeout of 2 s leaves 4 s for the work. A longer timeout serves
//! clients that have left, while others leave. With zero, a request is admitted or rejected
//! immediately.
//!
//! **The queue bound** (`max_waiting`) is what can be served within the timeout: 5 at a time, 50 ms
//! each and 2 s make 200. Later requests would be rejected anyway; rejecting them on arrival saves
//! memory. If arrivals are few and patient, the default is enough.
//!
//! ```
//! use std::time::Duration;
//! use tower_concurrency_limiter::{Limiter, Resource};
//!
//! let db = Resource::builder("db").concurrency(5).max_waiting(200).build();
//! let limiter = Limiter::new(Duration::from_secs(2), [&db]);
//! ```
//!
//! The layer sets both for one route, by [`timeout`](crate::ConcurrencyLimitLayer::timeout) and
//! [`max_waiting`](crate::ConcurrencyLimitLayer::max_waiting).
//!
//! # Other settings
//!
//! None of them is required. A limit, a timeout and a queue bound are right for most resources.
//!
//! | setting | use it when | it does not |
//! |---|---|---|
//! | [rates](super::rates) | an API counts requests per minute, or a provider tokens | slow down with the resource; count the requests of other processes |
//! | [`Lanes::shared`](crate::Lanes::shared) | several groups use the resource, and each is to get its share | bound the queue of each group: `max_waiting` is the resource's |
//! | [`Lanes::keyed`](crate::Lanes::keyed) | the groups are not known beforehand: tenants, users, API keys | distinguish real keys from made-up ones |
//! | [`Lanes::strict`](crate::Lanes::strict) | the portion of a group must not depend on the others | use what is idle |
//! | [`Lane::max`](crate::Lane::max) | one group must never take more | use what is idle |
//! | [reserves](super::lanes#reserves) | some requests must not wait for others to finish | serve more of them at once than units are reserved |
//! | [priorities](super::priorities) | some requests in the queue are more urgent | interrupt running work; leave units to others while urgent requests fill the resource |
//! | [overload mode](super::overload) | clients give up before the timeout, or at unknown times | preserve the order of arrival |
//! | [fail-fast deadlines](super::overload#fail-fast-deadlines) | the caller states how long it will wait | foresee more than its own lane and the pace of the queue |
//! | [429](super::rates#responses) | a rate is part of the contract with clients | apply to [`Shed`](crate::Reason::Shed) requests |
//! | [live changes](super::configuration#changes-at-run-time) | an operator, a timetable or a pool decides at run time | revoke permits |
//! | [adaptive limits](super::adaptive) | all traffic to the resource is yours, and its capacity varies or is unknown | know why the resource is slow |
//! | [distributed limits](super::distributed) | several processes use the resource | hold across a long pause or a failover without a surplus |
//! | [dry runs](super::configuration#dry-runs) | a limit is to be tried before it is enforced | protect the resource |
//!
//! # Cost
//!
//! At a resource with a limit and nothing else, acquire and release are an atomic operation each
//! while no request waits: no lock, no clock, no allocation. Attributes of requests (priority,
//! deadline, load), the timeout, the queue bound and changes of the limit do not alter that. The
//! closures of a layer run for every request.
//!
//! At a resource with rates, lanes, reserves, overload mode, an adaptive limit or a dry run, every
//! acquire and release takes the limiter's lock and reads the clock, and a request makes two small
//! allocations. A set with one such resource takes the lock as a whole. The lock is held for a
//! decision, never for work. Other resources of the same limiter are not affected.
//!
//! The cost of a decision grows at most with the logarithm of the number of waiters and lanes. If
//! requests for different sets of several resources wait at the same time, it also grows with the
//! number of different sets; the same set in another lane is a different one. A lane takes about
//! 250 bytes, a rate up to 8 KiB, an adaptive limit about 100 bytes.
//!
//! # Settings that conflict
//!
//! * Overload mode and work that must be done [in order](super::overload).
//! * A reserve, or a wide claim, and [strict lanes](super::lanes#limits-of-lanes).
//! * An adaptive limit and [other users of the resource, `set_limit` or wide
//!   claims](super::adaptive#conflicts).
//! * Ageing and a [queue that is longer than the credit](super::priorities#ageing).
//! * A rate with a huge count or a long period and [a long queue](super::rates#long-periods).
//! * Attributes and [headers that clients control](super::lanes#limits-of-lanes).
//!
//! [Guide](super) · Next: [ordering](super::ordering)
