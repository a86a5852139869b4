//! Where to put the layer, and what it stacks with.
//!
//! | placement | what is limited |
//! |---|---|
//! | `get(handler).route_layer(layer)` | this route; "405 Method Not Allowed" is not |
//! | `get(handler).layer(layer)` | this route with its 405 |
//! | `any(handler).layer(layer)` | this route. `route_layer` panics at start-up: a route of any method has no 405 to leave out |
//! | `handler.layer(layer)` | this handler |
//! | `Router::route_layer(layer)` | the routes added before, with their 405; unknown paths stay 404 |
//! | `Router::layer(layer)` | the same with the fallback: a 404 needs a permit, too |
//! | `ServiceBuilder::layer(layer)`, also in the above | what is below it |
//! | hyper-util's `TowerToHyperService`, around a limited service | all requests of all connections |
//! | a client of `http` requests, such as hyper-util's | the calls of a proxy or client |
//!
//! * Put CORS, tracing and metrics layers **outside**, so that they see rejections. In a `ServiceBuilder`
//!   that is above; with `Router::layer` it is after.
//! * Put what is cheap and turns requests away, such as authentication, outside as well. What needs the
//!   resource goes inside.
//! * [`bypass`](crate::ConcurrencyLimitLayer::bypass) lets requests past, such as health checks.
//! * A layer of one set for a whole router takes one permit per request. Two layers with a set each, one
//!   inside the other, are hold-and-wait: name both resources in one set instead.
//!
//! # Other layers
//!
//! The layers of tower, tower-http, tower-sessions and axum stand on either side of the limit, in a
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
//! # let db = Resource::new("db", 5);
//! # let limiter = Limiter::new(Duration::from_secs(5), [&db]);
//! # async fn messages() {}
//! let app: Router = Router::new().route("/messages", get(messages)).layer(
//!     ServiceBuilder::new()
//!         .layer(CorsLayer::permissive())
//!         .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, Duration::from_secs(30)))
//!         .layer(limiter.resources([&db]))
//!         .layer(CompressionLayer::new()),
//! );
//! # }
//! ```
//!
//! The limited response has a [body](crate::middleware::ResponseBody) of its own type, because it holds
//! the permit. An outer layer that answers by itself makes that body from nothing, from bytes, or by
//! [`ResponseBody::new`](crate::middleware::ResponseBody::new). Some layers know one body type only, and
//! do not compile directly above the limit:
//!
//! | outer layer | why | cure |
//! |---|---|---|
//! | tower_governor, `AsyncRequireAuthorizationLayer` with an authorizer for axum's `Body`, `map_response` with a closure of `Response<Body>` | they ask for axum's body | `axum::middleware::ResponseAxumBodyLayer` between the two, a `Router::layer` for each, or [`release_at_head`](crate::ConcurrencyLimitLayer::release_at_head) |
//! | `tower::util::option_layer`, `axum_extra::middleware::option_layer` around an outer layer | one response type with the layer and without it | the same |
//! | `axum::serve` around a limited router | axum's body | `ResponseAxumBodyLayer` outside |
//! | tower's `buffer`, `load_shed`, `filter`, `timeout` | their error is a `BoxError` | `HandleErrorLayer` outside, as without a limit |
//!
//! ```
//! # #[cfg(feature = "axum")] {
//! # use std::time::Duration;
//! # use axum::{Router, body::Body, middleware::ResponseAxumBodyLayer, response::Response, routing::get};
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
//! # What is logged as an error
//!
//! `TraceLayer` logs every response of a status from 500 on as an error, so each refusal too. In an
//! overload these are thousands. Leave out what the limiter has refused:
//!
//! ```
//! use http::StatusCode;
//! use tower_http::{
//!     classify::ServerErrorsFailureClass as Failure,
//!     trace::{DefaultOnFailure, OnFailure, TraceLayer},
//! };
//!
//! let trace = TraceLayer::new_for_http().on_failure(|failure: Failure, latency, span: &tracing::Span| {
//!     if !matches!(failure, Failure::StatusCode(StatusCode::SERVICE_UNAVAILABLE)) {
//!         DefaultOnFailure::new().on_failure(failure, latency, span);
//!     }
//! });
//! # let _: tower_http::trace::TraceLayer<_, _, _, _, _, _, _> = trace;
//! ```
//!
//! If other services behind it answer 503 as well, look for the [`Rejection`](crate::Rejection) in the
//! response's extensions, in a `ClassifyResponse` of your own.
