//! Clients, proxies and services that are not axum's.
//!
//! # Services that cannot be cloned
//!
//! The inner service must be `Clone`, as axum's are, because a queued request holds a clone that is
//! made ready after the grant. Box a service with `BoxCloneSyncService` instead of `BoxService`.
//! Put a `tower::buffer::BufferLayer` between the limit and a service that cannot be cloned, such
//! as `tower::limit::RateLimit` or an endpoint of poem.
//!
//! # HTTP clients and proxies
//!
//! Around a client of `http` requests, such as hyper-util's, use the layer as it is: the permit is
//! held until the body of the response has been read, and a rejection is a 503 response. That suits
//! a reverse proxy:
//!
//! ```
//! # #[cfg(feature = "axum")] {
//! # use std::time::Duration;
//! # use axum::{Router, body::Body, extract::Request, http::StatusCode, response::IntoResponse};
//! # use tower::{Layer, ServiceExt};
//! # use tower_concurrency_limiter::{Limiter, Resource};
//! use hyper_util::{client::legacy::Client, rt::TokioExecutor};
//!
//! # let api = Resource::new("api", 5);
//! # let limiter = Limiter::new(Duration::from_secs(5), [&api]);
//! let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
//! let api = limiter.resources([&api]).layer(client);
//! let proxy: Router = Router::new().fallback(|request: Request| async move {
//!     // set the URI of the upstream here
//!     api.oneshot(request).await.map_err(|_| StatusCode::BAD_GATEWAY)
//! });
//! # }
//! ```
//!
//! # Services of other requests
//!
//! For services of other request types, use
//! [`for_any_service`](crate::ConcurrencyLimitLayer::for_any_service). The permit is then released
//! with the response, and a rejection is an error of the service, which must be `From<Rejection>`,
//! as `tower::BoxError` is. For other error types, use one of these:
//!
//! * [`wrap_errors`](crate::ConcurrencyLimitLayer::wrap_errors) changes the error to an enum of the
//!   rejection and the error of the service, for example around reqwest.
//! * [`map_rejection`](crate::ConcurrencyLimitLayer::map_rejection) makes an error from the
//!   rejection.
//! * [`on_reject`](crate::ConcurrencyLimitLayer::on_reject) makes a response from it.
//!
//!
//! ```
//! # use std::time::Duration;
//! # use tower::ServiceBuilder;
//! # use tower_concurrency_limiter::{Limiter, Resource};
//! # let api = Resource::new("api", 5);
//! # let limiter = Limiter::new(Duration::from_secs(5), [&api]);
//! let client = ServiceBuilder::new()
//!     .layer(limiter.resources([&api]).for_any_service().wrap_errors())
//!     .service(reqwest::Client::new()); // its error is `LimitError<reqwest::Error>`
//! ```
//!
//! Set these methods after `for_any_service`. Under axum, whose services do not fail, use
//! `on_reject`, or `wrap_errors` below a `HandleErrorLayer`.
//!
//! Methods that read HTTP requests, such as `bypass`, `priority` and `expose_permit`, cannot be
//! combined with `for_any_service`.
//!
//! [Guide](super) · Next: [gRPC](super::grpc)
