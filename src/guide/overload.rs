//! What happens in an overload, and what to do where clients give up before the timeout.
//!
//! # With and without a limit
//!
//! 150 users send queries to a database that is good for 5, beside two users that read files, and
//! most of the 150 leave again. The benchmark `overload` of the repository draws the charts:
//! `cargo run --release -p overload`. Without a limit:
//!
#![doc = "<div style=\"overflow-x: auto\">"]
#![doc = include_str!("../../docs/overload-unlimited.svg")]
#![doc = "</div>"]
//!
//! With a limit of 5 on the database:
//!
#![doc = "<div style=\"overflow-x: auto\">"]
#![doc = include_str!("../../docs/overload-limited.svg")]
#![doc = "</div>"]
//!
//! # Overload mode
//!
//! In a lasting overload, a queue in order of arrival makes every request wait for nearly the whole
//! timeout. If clients give up sooner, each is served when it has just left, and all work is
//! wasted. The best cure is a [timeout](super::choosing) well below the patience of the clients. If
//! that is not known, or is shorter than the timeout, use
//! [`overload`](crate::resource::ResourceBuilder::overload):
//!
//! ```
//! # use std::time::Duration;
//! # use tower_concurrency_limiter::{Limiter, Overload, Resource};
//! let db = Resource::builder("db")
//!     .concurrency(5)
//!     .overload(Overload::default()) // a target of 20 ms, an interval of 100 ms
//!     .build();
//! let limiter = Limiter::new(Duration::from_secs(2), [&db]); // but many clients give up after 1 s
//! ```
//!
//! The settings are those of CoDel. When the wait has been above the *target* for a whole
//! *interval*, the queue serves the newest requests of each priority first, whose clients are still
//! there, and sheds the oldest of all priorities and lanes ([`Reason::Shed`](crate::Reason::Shed)),
//! faster and faster. When the wait is below the target again, the order of arrival returns.
//! Shorter peaks are queued as usual. [`Overload`](crate::Overload) names the sources.
//!
//! * Choose a target above the waits of a quiet day, and an interval that is longer than the usual
//!   bursts and well below the patience of clients.
//! * While the mode is active, nothing ages and later requests overtake earlier ones. Work that
//!   must be done in order needs another queue.
//! * With a timeout well below the patience of the clients, overload mode gains nothing.
//!
//! # Fail-fast deadlines
//!
//! If the caller states how long it will wait, a fail-fast deadline is more exact:
//! [`fail_fast_deadline`](crate::ConcurrencyLimitLayer::fail_fast_deadline) rejects a request on
//! arrival ([`Reason::WouldTimeOut`](crate::Reason::WouldTimeOut)) if those before it in the queue
//! will delay it beyond its deadline.
//!
//! ```
//! # use std::time::Duration;
//! # use tower_concurrency_limiter::{Limiter, Resource};
//! # let db = Resource::new("db", 5);
//! # let limiter = Limiter::new(Duration::from_secs(5), [&db]);
//! let layer = limiter.resources([&db]).fail_fast_deadline(|request| {
//!     let milliseconds = request.headers().get("x-patience-ms")?.to_str().ok()?;
//!     Some(Duration::from_millis(milliseconds.parse().ok()?))
//! });
//! ```
//!
//! The forecast counts waiters of the same lane and of the same or a higher priority, at the pace
//! at which they are admitted. Rates are not part of it. In overload mode, at
//! [distributed](super::distributed) resources, and until the pace is known, a request with such a
//! deadline waits as any other.
//! [`AcquireRequest`](crate::limiter::AcquireRequest::fail_fast_deadline) has the details.
//!
//! # Simulation
//!
//! `cargo run --release -p simulate` compares the disciplines in virtual time: order of arrival,
//! overload mode, lanes and others, with ten thousand tenants and millions of requests.
//!
//! [Guide](super) · Next: [adaptive limits](super::adaptive)
