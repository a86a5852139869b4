//! Closing the queue, and waiting for running work.
//!
//! A server that shuts down gracefully waits for all open requests, including those in the queue.
//! [`Limiter::close`](crate::Limiter::close) rejects waiters immediately, and later requests on
//! arrival, with [`Reason::Closed`](crate::Reason::Closed). Permits that are held stay valid.
//! [`Limiter::drained`](crate::Limiter::drained) completes when no permit is held.
//!
//! ```no_run
//! # #[cfg(feature = "axum")] mod example {
//! use std::{io, time::Duration};
//! use axum::Router;
//! use tokio::{net::TcpListener, signal, time::timeout};
//! use tower_concurrency_limiter::Limiter;
//!
//! async fn serve(listener: TcpListener, app: Router, limiter: Limiter) -> io::Result<()> {
//!     let closing = limiter.clone();
//!     let stop = async move {
//!         let _ = signal::ctrl_c().await;
//!         closing.close(); // rejects the queue; running requests continue
//!     };
//!     axum::serve(listener, app).with_graceful_shutdown(stop).await?;
//!     // connections are done; permits may still be held in `spawn_blocking`
//!     let _ = timeout(Duration::from_secs(10), limiter.drained()).await;
//!     Ok(())
//! }
//! # }
//! ```
//!
//! * `close` is permanent, and applies to all resources of the limiter.
//! * Requests that [`bypass`](crate::ConcurrencyLimitLayer::bypass) the limit, such as health
//!   checks, are still served.
//! * A closed limiter sets no `retry-after`.
//! * `drained` closes nothing. Without `close` it waits for a moment in which nothing is held,
//!   which may never come. While it waits, every release takes the limiter's lock.
//! * Permits of [distributed limits](super::distributed) become available to other processes
//!   immediately if the backend is closed, and otherwise when the session of the process ends.
//!   Close it after `drained`.
//!
//! The example `graceful_shutdown` of the repository is a complete program.
//!
//! [Guide](super) · Next: [runtimes](super::runtimes)
