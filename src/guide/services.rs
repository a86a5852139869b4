//! Clients, proxies and services that are not axum's.
//!
//! # Services that cannot be cloned
//!
//! The inner service has to be `Clone`, as axum's are: a queued request keeps a clone that is not made
//! ready yet. Box a service with `BoxCloneSyncService` instead of `BoxService`. Put a
//! `tower::buffer::BufferLayer` between the limit and one that cannot be cloned, such as
//! `tower::limit::RateLimit` or an endpoint of poem.
//!
//! # Clients and other services
//!
//! Around a client of `http` requests, the default layer fits: the permit is held until the body of the
//! answer has been read, and a rejection is the answer 503. That suits a reverse proxy:
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
//! Services of other requests take
//! [`for_any_service`](crate::ConcurrencyLimitLayer::for_any_service). A rejection is then an error, by
//! `From<Rejection>`, which `tower::BoxError` has. Others need
//! [`wrap_errors`](crate::ConcurrencyLimitLayer::wrap_errors), as reqwest does,
//! [`map_rejection`](crate::ConcurrencyLimitLayer::map_rejection), or a response by
//! [`on_reject`](crate::ConcurrencyLimitLayer::on_reject):
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
