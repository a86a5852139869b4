//! Where to put the layer, and how it combines with other layers.
//!
//! | placement | what is limited |
//! |---|---|
//! | `get(handler).route_layer(layer)` | this route; "405 Method Not Allowed" is not |
//! | `get(handler).layer(layer)` | this route with its 405 |
//! | `any(handler).layer(layer)` | this route; `route_layer` panics at start-up, because a route of any method has no 405 to leave out |
//! | `handler.layer(layer)` | this handler |
//! | `Router::route_layer(layer)` | the routes added before, with their 405; not the 404 |
//! | `Router::layer(layer)` | the same and the fallback; a 404 needs a permit, too |
//! | `ServiceBuilder::layer(layer)`, also in the above | what is below it |
//! | hyper-util's `TowerToHyperService`, around a limited service | all requests of all connections |
//! | a client of `http` requests, such as hyper-util's | the calls of a proxy or client |
//!
//! * Put CORS, tracing and metrics layers **outside**, so that they see rejections. In a
//!   `ServiceBuilder` that is above, with `Router::layer` it is after.
//! * Put cheap layers that reject requests, such as authentication, outside as well. Layers that
//!   need the resource belong inside.
//! * [`bypass`](crate::ConcurrencyLimitLayer::bypass) exempts requests, such as health checks.
//! * A layer for a whole router acquires one permit per request. Two layers with a set each, one
//!   inside the other, hold one resource while they wait for the other: name both resources in one
//!   set instead.
//!
//! # Other layers
//!
//! The layers of tower, tower-http, tower-sessions and axum work on either side of the limit, in a
//! `ServiceBuilder`, a tuple or `Router::layer`:
//!
//! ```
//! # #[cfg(feature = "axum")] {
//! # use std::time::Duration;
//! # use axum::{Router, http::StatusCode, routing::get};
//! # use tower_concurrency_limiter::{Limiter, Resource};
//! use tower::ServiceBuilder;
//! use tower_http::{compression::CompressionLayer, cors::CorsLayer, timeout::TimeoutLayer};
//!
//! const TIMEOUT: StatusCode = StatusCode::GATEWAY_TIMEOUT;
//!
//! # let db = Resource::new("db", 5);
//! # let limiter = Limiter::new(Duration::from_secs(5), [&db]);
//! # async fn messages() {}
//! let app: Router = Router::new().route("/messages", get(messages)).layer(
//!     ServiceBuilder::new()
//!         .layer(CorsLayer::permissive())
//!         .layer(TimeoutLayer::with_status_code(TIMEOUT, Duration::from_secs(30)))
//!         .layer(limiter.resources([&db]))
//!         .layer(CompressionLayer::new()),
//! );
//! # }
//! ```
//!
//! # The type of the response body
//!
//! The response has a [body type](crate::middleware::ResponseBody) of its own, which holds the
//! permit. An outer layer with responses of its own creates that body from nothing, from bytes, or
//! by [`ResponseBody::new`](crate::middleware::ResponseBody::new). Layers that require one
//! particular body type do not compile directly above the limit:
//!
//! | outer layer | why | cure |
//! |---|---|---|
//! | tower_governor, `AsyncRequireAuthorizationLayer` with an authorizer for axum's `Body`, `map_response` with a closure of `Response<Body>` | they require axum's body | `axum::middleware::ResponseAxumBodyLayer` between the two, a `Router::layer` for each, or [`release_at_head`](crate::ConcurrencyLimitLayer::release_at_head) |
//! | `tower::util::option_layer`, `axum_extra::middleware::option_layer` around an outer layer | one response type with the layer and without it | the same |
//! | `axum::serve` around a limited router | it requires axum's body | `ResponseAxumBodyLayer` outside |
//! | tower's `buffer`, `load_shed`, `filter`, `timeout` | their error is a `BoxError` | `HandleErrorLayer` outside, as without a limit |
//!
//! ```
//! # #[cfg(feature = "axum")] {
//! # use std::time::Duration;
//! # use axum::{Router, body::Body, response::Response, routing::get};
//! use axum::middleware::ResponseAxumBodyLayer;
//! # use tower::{ServiceBuilder, util::option_layer};
//! # use tower_concurrency_limiter::{Limiter, Resource};
//! # let db = Resource::new("db", 5);
//! # let limiter = Limiter::new(Duration::from_secs(5), [&db]);
//! # async fn messages() {}
//! # fn log(response: Response<Body>) -> Response<Body> { response }
//! let logged = ServiceBuilder::new()
//!     .map_response(log) // of axum's body
//!     .layer(ResponseAxumBodyLayer)
//!     .layer(limiter.resources([&db]));
//! # let with_limit = true;
//! let limit = with_limit.then(|| limiter.resources([&db]).release_at_head());
//! let app: Router = Router::new()
//!     .route("/a", get(messages).route_layer(logged))
//!     .route("/b", get(messages).route_layer(option_layer(limit)));
//! # }
//! ```
//!
//! `TraceLayer` logs each rejection as an error, unless it is
//! [configured otherwise](super::operating#rejections-that-are-logged-as-errors).
//!
//! [Guide](super) · Next: [services](super::services)
