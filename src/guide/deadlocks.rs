//! Requests that wait for units that they, or their own task, hold.
//!
//! # Nested acquisition
//!
//! A handler that holds a unit of `db` and acquires another one, or calls its own limited route,
//! may wait for itself: if such handlers hold all units, they all wait until their deadlines. The
//! same happens to one that holds `db` and acquires `fs`, while another holds `fs` and acquires
//! `db`. The deadline ends the wait, but the time is lost.
//!
//! Name everything in one set, with [`units`](crate::Resource::units) for more than one, or pass
//! the permit on.
//!
//! Debug builds log a [warning](crate::observe) when a request queues for a resource that the
//! surrounding code holds, if both are in the same task and the permit was not
//! [exposed](crate::ConcurrencyLimitLayer::expose_permit). Calls to the own service over the
//! network are not detected.
//!
//! # Futures that are not polled
//!
//! The queue grants a set to a waiter, whether or not its task runs. From that moment the units are
//! in use, even past the deadline, until the future is polled or dropped. If its task waits for the
//! same resource elsewhere, it waits for itself. That can happen where one task polls several
//! futures in turn: in the body of a `select!` loop, in a `join!` with code that blocks, and
//! between two items of a stream with `buffer_unordered`:
//!
//! ```
//! use std::time::Duration;
//! use futures_util::{StreamExt, stream};
//! use tower_concurrency_limiter::{Limiter, Reason, Rejection, Resource};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Rejection> {
//! # tokio::time::pause();
//! # async fn query(id: u32) -> u32 { tokio::task::yield_now().await; id }
//! let db = Resource::new("db", 1);
//! let limiter = Limiter::new(Duration::from_secs(5), [&db]);
//!
//! let queries = stream::iter([1, 2]).map(|id| limiter.run([&db], move || query(id)));
//! let mut rows = queries.buffer_unordered(2);
//! let first = rows.next().await;
//! // The second query has been granted `db`, and does not run while `rows` is not polled.
//! let audit = limiter.acquire([&db]).await;
//! assert_eq!(audit.expect_err("5 s later").reason(), Reason::Timeout);
//! drop(rows); // releases the grant
//!
//! // A spawned future is polled by a task of its own.
//! let spawned = |id| tokio::spawn(limiter.run([&db], move || query(id)));
//! let mut rows = stream::iter([1, 2]).map(spawned).buffer_unordered(2);
//! let first = rows.next().await;
//! let audit = limiter.acquire([&db]).await?; // behind the second query, which runs
//! # let _ = (first, audit);
//! # Ok(())
//! # }
//! ```
//!
//! There are two other cures. Do not wait for the resource in the body of such a loop
//! (`for_each_concurrent` has no body outside its futures), or drop the futures that are no longer
//! polled.
//!
//! [Guide](super) · Next: [shutdown](super::shutdown)
