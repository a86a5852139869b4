//! How to test services with limits.
//!
//! # Call the router
//!
//! `tower::ServiceExt::oneshot` calls a router without a server. A response holds its permit until
//! its body has been read or dropped: at a limit of 6, a test with six unread responses holds all
//! permits, and the seventh request waits. Read each body, or read the status and drop the
//! response.
//!
//! ```
//! # #[cfg(feature = "axum")] {
//! use std::time::Duration;
//! use axum::{Router, body::{Body, to_bytes}, extract::Request, http::StatusCode, routing::get};
//! use tower::ServiceExt;
//! use tower_concurrency_limiter::{Limiter, Reason, Rejection, Resource};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! # tokio::time::pause();
//! let db = Resource::new("db", 1);
//! let limiter = Limiter::new(Duration::from_secs(5), [&db]);
//! let limit = limiter.resources([&db]);
//! let app: Router = Router::new().route("/", get(|| async { "rows" }).route_layer(limit));
//! let send = || app.clone().oneshot(Request::new(Body::empty()));
//!
//! let response = send().await.unwrap();
//! assert_eq!(db.in_use(), 1); // the body has not been read
//! assert_eq!(to_bytes(response.into_body(), 1024).await.unwrap(), "rows");
//! assert_eq!(db.in_use(), 0);
//!
//! let busy = limiter.try_acquire([&db]).unwrap(); // a full resource, without a second request
//! let response = send().await.unwrap(); // 5 s later, of paused time
//! assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
//! let rejection = response.extensions().get::<Rejection>().unwrap();
//! assert_eq!(rejection.reason(), Reason::Timeout);
//! assert_eq!(rejection.resource(), "db");
//! # drop(busy);
//! # }
//! # }
//! ```
//!
//! # Pause the clock
//!
//! All waits are measured by tokio's clock. In a test with `#[tokio::test(start_paused = true)]`,
//! which needs tokio's feature `test-util`, the clock jumps to the next deadline when all tasks
//! wait, so a timeout of 5 s takes no time. With real sockets in the same runtime, it also jumps
//! while bytes are in transit: let such tests wait for a condition, or use a limiter with a timeout
//! of zero.
//!
//! To observe a waiting request, poll it once:
//!
//! ```
//! # use std::time::Duration;
//! # use tower_concurrency_limiter::{Limiter, Resource};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! # tokio::time::pause();
//! let db = Resource::new("db", 1);
//! let limiter = Limiter::new(Duration::from_secs(5), [&db]);
//! let busy = limiter.try_acquire([&db]).unwrap();
//!
//! let mut second = tokio_test::task::spawn(limiter.acquire([&db]));
//! assert!(second.poll().is_pending());
//! assert_eq!(db.waiting(), 1);
//! drop(busy);
//! assert!(second.is_woken());
//! assert!(second.await.is_ok());
//! # }
//! ```
//!
//! # Handlers that take the permit
//!
//! A handler with a [`PermitHandle`](crate::PermitHandle) can be called without the layer. Pass it
//! [`PermitHandle::empty()`](crate::PermitHandle::empty), or `PermitHandle::from(permit)` to check
//! that the permit is moved. For the extractor, put the handle into the request:
//!
//! ```
//! # #[cfg(feature = "axum")] {
//! # use std::time::Duration;
//! # use axum::{Router, body::Body, extract::Request, routing::get};
//! # use tower::ServiceExt;
//! # use tower_concurrency_limiter::{Limiter, Resource};
//! use tower_concurrency_limiter::PermitHandle;
//!
//! async fn report(permit: PermitHandle) {
//!     let permit = permit.take();
//!     tokio::task::spawn_blocking(move || drop(permit)).await.unwrap();
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let db = Resource::new("db", 1);
//! let limiter = Limiter::new(Duration::from_secs(5), [&db]);
//! let permit = limiter.try_acquire([&db]).unwrap();
//! report(PermitHandle::from(permit)).await;
//! assert_eq!(db.in_use(), 0); // released by the query
//!
//! let app: Router = Router::new().route("/report", get(report));
//! let mut request = Request::get("/report").body(Body::empty()).unwrap();
//! request.extensions_mut().insert(PermitHandle::empty());
//! assert!(app.oneshot(request).await.unwrap().status().is_success());
//! # }
//! # }
//! ```
//!
//! # One limiter for each test
//!
//! If the function that builds the router also builds the limiter, each test has its own. The tests
//! of one process share a limiter in a `static`: they see each other's permits and queues, but each
//! waits by the clock of its own runtime, paused or not, in sequence or in parallel. If the limiter
//! has to be static, let each test release all its permits, and do not compare the gauges with
//! fixed numbers.
//!
//! [Guide](super) · Next: [operating](super::operating)
