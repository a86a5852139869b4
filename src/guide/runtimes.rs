//! What the crate needs of tokio, and how it behaves with several runtimes.
//!
//! # When a runtime is needed
//!
//! Waiting needs a tokio runtime with time enabled; without one it panics with a message that names
//! the cure. A request that fits immediately needs no runtime, and neither does
//! [`try_acquire`](crate::Limiter::try_acquire).
//!
//! A request that is decided by the first poll of [`acquire`](crate::Limiter::acquire) or
//! [`run`](crate::Limiter::run) takes part in tokio's [cooperative budget](tokio::task::coop), so a
//! loop of such calls lets other tasks run.
//!
//! # Readiness of the inner service
//!
//! `poll_ready` of a limited service forwards to the inner service. A request that fits immediately
//! is called immediately, because its caller has waited for readiness. A request that was queued
//! waits after its grant until the inner service is ready again, at most until its deadline. Then
//! it is rejected with [`Reason::Timeout`](crate::Reason::Timeout), and has spent nothing.
//!
//! # Several runtimes
//!
//! Several runtimes can share a limiter. All waiters of one runtime share one timer task, which the
//! first waiter starts, and which ends when no request waits there. A deadline therefore depends
//! only on the runtime of the waiter: if all its workers are busy, or a current-thread runtime is
//! not driven, its deadlines pass late, and those of other runtimes do not. A future that is later
//! polled in another runtime is timed there.
//!
//! In a runtime that shuts down, no timer runs. A request that waits there, such as one in
//! `block_on` on a blocking thread, is rejected immediately with
//! [`Reason::Closed`](crate::Reason::Closed), and so is a new request that would have to wait.
//! Requests that fit are still admitted. A future that moves to a live runtime continues to wait.
//!
//! # Time
//!
//! The crate reads tokio's clock, so a test can pause it. Tests that share a limiter in a `static`,
//! one after the other or in parallel, each wait by the clock of their own runtime:
//!
//! ```
//! # use std::time::Duration;
//! # use tower_concurrency_limiter::{Limiter, Reason, Resource};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! tokio::time::pause();
//! let db = Resource::new("db", 1);
//! let limiter = Limiter::new(Duration::from_secs(5), [&db]);
//! let _held = limiter.try_acquire([&db]);
//!
//! let rejection = limiter.acquire([&db]).await.expect_err("the only unit is held");
//! assert_eq!(rejection.reason(), Reason::Timeout);
//! assert_eq!(rejection.waited().as_secs(), 5); // of paused time
//! # }
//! ```
//!
//! [Guide](super) · Next: [testing](super::testing)
