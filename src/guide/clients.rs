//! Clients that disconnect, and work that outlives its request.
//!
//! Dropping a queued request gives up its place. Dropping a running one drops its work and releases
//! its permit. With hyper, a handler is dropped when hyper notices that its client has left:
//!
//! | request | its handler is dropped |
//! |---|---|
//! | HTTP/1, without a body or with a small one that was read | within milliseconds |
//! | HTTP/1, with a pipelined request behind it, 64 KiB or more of its body unread, or a body that is not complete | not while it waits |
//! | HTTP/2, after a stream reset | immediately |
//!
//! For uploads, therefore, only the deadline and the queue bound remove abandoned requests from the
//! queue. Choose a timeout that is shorter than the patience of the clients.
//!
//! # Work that outlives its request
//!
//! When a client leaves, its handler is dropped, but work on another thread or in another task
//! continues. If the permit were dropped with the handler, every client that leaves would release
//! units that are still in use, and more work than the limit would run. Move the permit to the
//! work:
//!
//! ```
//! # #[cfg(feature = "axum")] {
//! use tower_concurrency_limiter::PermitHandle;
//!
//! // on a route with `limiter.resources([&db]).expose_permit()`
//! async fn report(permit: PermitHandle) -> String {
//!     let permit = permit.take();
//!     let query = tokio::task::spawn_blocking(move || {
//!         let _permit = permit; // released when the query is done
//!         "rows".to_owned()
//!     });
//!     query.await.unwrap_or_default()
//! }
//! # }
//! ```
//!
//! The same holds for `tokio::spawn` and for upgraded connections, such as WebSockets. Take the
//! permit in the handler, not in the callback of `on_upgrade`: the response that begins the upgrade
//! has no body, so its permit is released before the callback runs. A permit that is taken after
//! its request has ended logs a [warning](crate::observe).
//!
//! The examples `blocking` and `websocket` of the repository are complete programs.
//!
//! [Guide](super) · Next: [slow peers](super::slow_peers)
