//! Limits that follow the capacity of a resource.
//!
//! An adaptive limit rises while the resource responds as fast as usual, and falls when it does
//! not. Use it if all traffic to the resource is yours, there is enough of it, and the capacity
//! varies or is unknown. If the number is known, such as the size of a connection pool, a fixed
//! limit is right from the first request and easier to reason about.
//!
//! ```
//! # #[cfg(feature = "axum")] {
//! # use std::time::Duration;
//! # use axum::{Router, http::StatusCode, routing::get};
//! # use tower_concurrency_limiter::{Limiter, Resource};
//! use tower_concurrency_limiter::adaptive::{Aimd, Outcome};
//!
//! // responds within 200 ms on a quiet day, and with 503 when it is overloaded
//! let search = Resource::builder("search")
//!     .adaptive(Aimd::between(4, 200).start(20).timeout(Duration::from_secs(1)).build())
//!     .build();
//! let limiter = Limiter::new(Duration::from_secs(2), [&search]);
//!
//! # async fn find() {}
//! let limit = limiter.resources([&search]).classify(|head| match head.map(|head| head.status()) {
//!     Some(StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT) => Outcome::Overload,
//!     Some(StatusCode::BAD_REQUEST) => Outcome::Ignore, // the search was not called
//!     _ => Outcome::Success,
//! });
//! let app: Router = Router::new().route("/search", get(find)).route_layer(limit);
//! # }
//! ```
//!
//! # Outcomes
//!
//! [`classify`](crate::ConcurrencyLimitLayer::classify) sets the outcome of a request from the
//! [head](crate::middleware::ResponseHead) of its response, which includes a gRPC status. Without
//! it, every response is a success, even a 503 by which the resource rejects work. Elsewhere,
//! [`Permit::set_outcome`](crate::Permit::set_outcome) sets it.
//!
//! A request whose client leaves counts as well: if its permit was held for longer than the timeout
//! of [`Aimd`](crate::adaptive::Aimd), it is an overload, dropped or not.
//!
//! # Measured time
//!
//! The time that counts is that from grant to release, by default the end of the response body. If
//! clients read slowly, use [`release_at_head`](crate::ConcurrencyLimitLayer::release_at_head);
//! otherwise their connections are measured instead of the resource.
//!
//! # Conflicts
//!
//! * **Other users of the resource**, such as another process of the same service. The algorithm
//!   attributes their load to its own requests, and lowers the limit.
//! * **`set_limit`.** The next permit that is released sets the limit back.
//! * **Reserves.** They do not shrink with the limit. The floor must be above what is reserved.
//! * **Wide claims.** A claim above the floor, 4 units in the example, is rejected at start-up.
//! * **Distributed limits.** A distributed resource cannot be adaptive.
//!
//! The module [`adaptive`](crate::adaptive) describes both algorithms, how to choose between them,
//! the floor and the ceiling, and what was measured.
//!
//! [Guide](super) · Next: [configuration](super::configuration)
