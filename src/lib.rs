//! Concurrency limits on named resources, for axum, Tower and plain async code.
//!
//! A [`Resource`] is something finite that requests use: a database, a disk, a paid API. Its limit
//! is the number of units that may be in use at once. A [`Limiter`] admits requests up to the
//! limit, through a Tower [layer](ConcurrencyLimitLayer) or through [`acquire`](Limiter::acquire)
//! and [`run`](Limiter::run). Other requests wait in a queue that is bounded in time and in length.
//! A rejected request gets a `503`, with the header `retry-after` if the time is known.
//!
//! ```
//! # #[cfg(feature = "axum")] {
//! use std::time::Duration;
//! use axum::{Router, routing::get};
//! use tower_concurrency_limiter::{Limiter, Resource};
//!
//! let db = Resource::new("db", 5);
//! let fs = Resource::new("fs", 10);
//! let limiter = Limiter::new(Duration::from_secs(5), [&db, &fs]);
//!
//! # async fn messages() {}
//! # async fn file() {}
//! # async fn both() {}
//! let app: Router = Router::new()
//!     .route("/messages", get(messages).route_layer(limiter.resources([&db])))
//!     .route("/file", get(file).route_layer(limiter.resources([&fs])))
//!     .route("/both", get(both).route_layer(limiter.resources([&db, &fs])));
//! // the sixth concurrent request to /messages waits up to 5 s, then gets 503
//! # }
//! ```
//!
//! # Terms
//!
//! | term | meaning |
//! |---|---|
//! | resource | a named thing with a limit; a cheap handle, used by any number of routes |
//! | claim | the units of one resource that a request needs: 1, or [`units(n)`](Resource::units) |
//! | set | the claims of one request, granted all together or not at all |
//! | limiter | the resources of a service, with a timeout, a queue bound and a rejection |
//! | permit | a granted set; dropping it releases the units |
//! | waiter | a queued request; it holds nothing, and expires when its timeout is over |
//! | rate | a bound on the requests, or their load, per period; beside the limit or instead of it |
//! | lane | the requests to a resource that share one portion of it, such as those of one tenant |
//! | priority | the urgency of a request within its lane, 0 to 255, higher first; default 10 |
//! | rejection | why a request was not admitted, at which resource, and after what time |
//!
//! # Where to read on
//!
//! * [`guide`]: what the crate guarantees, and a page for each topic: [choosing](guide::choosing)
//!   limits, the [order](guide::ordering) of admission, [placement](guide::placement) of the layer,
//!   [testing](guide::testing), [operating](guide::operating) and more.
//! * [`ConcurrencyLimitLayer`] and [`Limiter::acquire`]: the two ways to a permit.
//! * [`ResourceBuilder`](resource::ResourceBuilder) and
//!   [`LimiterBuilder`](limiter::LimiterBuilder): all settings.
//! * [`redis`](redis/index.html): one limit for several processes.
//! * [`guide::architecture`]: a map of the source.
//!
//! # Features
//!
#![cfg_attr(feature = "document-features", doc = document_features::document_features!())]
//!
//! Waiting needs a tokio runtime with time enabled. The minimum supported Rust version is 1.85.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod adaptive;
#[cfg(not(feature = "unstable-admission"))]
mod admission;
#[cfg(feature = "unstable-admission")]
#[doc(hidden)]
pub mod admission;
mod core;
pub mod guide;
pub mod limiter;
pub mod middleware;
pub mod observe;
pub mod permit;
#[cfg(feature = "redis")]
#[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
pub mod redis;
pub mod rejection;
pub mod resource;
#[cfg_attr(
    not(feature = "redis"),
    allow(dead_code, reason = "implemented by the feature `redis`")
)]
mod shared;
mod sync;

#[doc(inline)]
pub use limiter::Limiter;
#[doc(inline)]
pub use middleware::{ConcurrencyLimit, ConcurrencyLimitLayer};
#[doc(inline)]
pub use permit::{Permit, PermitHandle};
#[doc(inline)]
pub use rejection::{Reason, Rejection};
#[doc(inline)]
pub use resource::{Claim, Lane, LaneKey, Lanes, Overload, Priority, Rate, Resource};

/// Compiles the code of the README.
#[cfg(all(doctest, feature = "axum", feature = "redis"))]
#[doc = include_str!("../README.md")]
struct Readme;
