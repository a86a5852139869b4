//! Logs, spans and metrics of a service with limits.
//!
//! # Events
//!
//! The crate emits `tracing` events with the target `tower_concurrency_limiter`;
//! [`observe`](crate::observe) lists them. A request that is admitted immediately emits none.
//! Rejections have the level `DEBUG`, because an overload has thousands of them.
//!
//! # Fields of the request span
//!
//! To see why a request was slow or rejected, declare the fields `limit.resource`, `limit.waited`
//! and `limit.reason` on the request span. The limiter records them for requests that waited or
//! were rejected, and leaves other fields alone:
//!
//! ```
//! use tracing::field::Empty;
//!
//! let span = tracing::info_span!(
//!     "request",
//!     limit.resource = Empty,
//!     limit.waited = Empty,
//!     limit.reason = Empty,
//! );
//! ```
//!
//! # Metrics
//!
//! A layer outside the limit finds the [`Rejection`](crate::Rejection) in the extensions of the
//! response. Its methods return the reason, the resource and the time in the queue. These gauges
//! can be sampled at any time:
//!
//! | gauge | a reason to act |
//! |---|---|
//! | [`Resource::in_use`](crate::Resource::in_use) | at the limit most of the time: the resource is saturated, or the limit is too low |
//! | [`Resource::waiting`](crate::Resource::waiting) | above 0 for longer than a burst: an overload |
//! | [`Resource::limit`](crate::Resource::limit) | an [adaptive](super::adaptive) limit near its floor: the resource is slow, or others use it |
//! | [`Resource::health`](crate::Resource::health) | a [distributed](super::distributed) limit is off |
//!
//! [`Reason::as_str`](crate::Reason::as_str) is a good label:
//!
//! | reason | usual cause |
//! |---|---|
//! | `timeout`, `queue_full`, `shed` | an overload; more clients than the resource serves |
//! | `not_now` | no unit was free, or a rate did not allow the request, and the timeout is zero |
//! | `would_time_out` | a fail-fast deadline that cannot be met |
//! | `closed` | the limiter, or a runtime, shuts down |
//! | `unavailable` | the server of a distributed limit cannot be reached |
//!
//! # Rejections that are logged as errors
//!
//! `TraceLayer` of tower-http logs each response with a status of 500 or above as an error, and
//! therefore each rejection. To leave out what the limiter rejected:
//!
//! ```
//! use http::StatusCode;
//! use tower_http::{
//!     classify::ServerErrorsFailureClass as Failure,
//!     trace::{DefaultOnFailure, OnFailure, TraceLayer},
//! };
//!
//! let on_failure = |failure: Failure, latency, span: &tracing::Span| {
//!     if !matches!(failure, Failure::StatusCode(StatusCode::SERVICE_UNAVAILABLE)) {
//!         DefaultOnFailure::new().on_failure(failure, latency, span);
//!     }
//! };
//! let trace = TraceLayer::new_for_http().on_failure(on_failure);
//! # let _: tower_http::trace::TraceLayer<_, _, _, _, _, _, _> = trace;
//! ```
//!
//! If other services behind it respond with 503 as well, look for the
//! [`Rejection`](crate::Rejection) in the extensions of the response, in a `ClassifyResponse` of
//! your own.
//!
//! [Guide](super) · Next: [distributed limits](super::distributed)
