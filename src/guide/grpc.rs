//! Limits for gRPC services, and the response to rejected calls.
//!
//! A layer rejects a gRPC request with a gRPC status in the response head and no body. A request is
//! a gRPC request if its `content-type` starts with `application/grpc`, in either case. There is
//! nothing to configure, and the crate does not depend on a gRPC library. This page uses tonic.
//!
//! # The response to a rejected call
//!
//! | rejection | `grpc-status` | `grpc-retry-pushback-ms` |
//! |---|---|---|
//! | a [rate](crate::Rate) did not allow the call | `RESOURCE_EXHAUSTED` (8) | until the rate allows it |
//! | any other | `UNAVAILABLE` (14) | until the queue has drained, if that is known |
//!
//! The message is the text of the [`Rejection`](crate::Rejection), which names the resource. The
//! push-back is [`retry_after`](crate::Rejection::retry_after) in the form of gRPC's [retry
//! design](https://github.com/grpc/proposal/blob/master/A6-client-retries.md): a client with a
//! retry policy for the status waits for that time before it tries again. The gRPC clients for C++,
//! Go and Java do so themselves. With tonic, read it from `Status::metadata`, for example in a
//! policy of `tower::retry`.
//!
//! # Where to put the layer
//!
//! For all services of a server:
//!
//! ```
//! # use std::time::Duration;
//! use tonic::transport::Server;
//! use tower_concurrency_limiter::{Limiter, Resource};
//!
//! let db = Resource::new("db", 5);
//! let limiter = Limiter::new(Duration::from_secs(5), [&db]);
//! let server = Server::builder().layer(limiter.resources([&db]));
//! // server.add_service(..).serve(address).await
//! ```
//!
//! For one service, `LayerExt` preserves the name by which tonic routes:
//!
//! ```
//! # use std::time::Duration;
//! # use tower_concurrency_limiter::{Limiter, Resource};
//! # let db = Resource::new("db", 5);
//! # let limiter = Limiter::new(Duration::from_secs(5), [&db]);
//! # #[derive(Clone)]
//! # struct GreeterServer;
//! # impl tonic::server::NamedService for GreeterServer {
//! #     const NAME: &'static str = "greeter";
//! # }
//! # impl tower::Service<http::Request<tonic::body::Body>> for GreeterServer {
//! #     type Response = http::Response<tonic::body::Body>;
//! #     type Error = std::convert::Infallible;
//! #     type Future = std::future::Ready<Result<Self::Response, Self::Error>>;
//! #     fn poll_ready(
//! #         &mut self,
//! #         _: &mut std::task::Context<'_>,
//! #     ) -> std::task::Poll<Result<(), Self::Error>> {
//! #         std::task::Poll::Ready(Ok(()))
//! #     }
//! #     fn call(&mut self, _: http::Request<tonic::body::Body>) -> Self::Future {
//! #         std::future::ready(Ok(http::Response::default()))
//! #     }
//! # }
//! # let greeter = GreeterServer;
//! use tonic::service::{LayerExt, Routes};
//!
//! let routes = Routes::new(limiter.resources([&db]).named_layer(greeter));
//! // Server::builder().add_routes(routes).serve(address).await
//! ```
//!
//! For gRPC and REST on one port, `Routes::into_axum_router` returns a router that can be merged
//! with axum's. Below one layer, each request is rejected in its own protocol.
//!
//! Let health checks [bypass](crate::ConcurrencyLimitLayer::bypass) the limit. Otherwise a busy
//! server appears to be broken:
//!
//! ```
//! # use std::time::Duration;
//! # use tower_concurrency_limiter::{Limiter, Resource};
//! # let db = Resource::new("db", 5);
//! # let limiter = Limiter::new(Duration::from_secs(5), [&db]);
//! let layer = limiter
//!     .resources([&db])
//!     .bypass(|request| request.uri().path().starts_with("/grpc.health.v1.Health/"))
//!     .fail_fast_deadline(|request| request.grpc_timeout());
//! ```
//!
//! # Deadlines
//!
//! tonic's server drops a call when the client's `grpc-timeout` has passed, which removes it from
//! the queue. Other servers drop it when the client resets the stream. With
//! [`grpc_timeout`](crate::middleware::RequestHead::grpc_timeout) as the [fail-fast
//! deadline](crate::ConcurrencyLimitLayer::fail_fast_deadline), as above, a call that cannot be
//! served in time is rejected on arrival.
//!
//! # Streams
//!
//! The permit of a call lasts until its response has ended: for a stream of responses, until the
//! trailers have been sent or the client has cancelled. A stream that is open for hours holds its
//! units for that time. Use a separate resource for such methods, or release the permit with the
//! response head.
//!
//! With [`release_at_head`](crate::ConcurrencyLimitLayer::release_at_head) around a service or
//! server of tonic, set [`GrpcStatus`](crate::middleware::GrpcStatus) as the policy: a layer that
//! preserves the body type cannot make tonic's body from the bytes of a JSON response. Under axum
//! the default works.
//!
//! ```
//! # use std::time::Duration;
//! # use tower_concurrency_limiter::{Limiter, Resource};
//! # let db = Resource::new("db", 5);
//! # let limiter = Limiter::new(Duration::from_secs(5), [&db]);
//! use tower_concurrency_limiter::middleware::GrpcStatus;
//!
//! let layer = limiter.resources([&db]).release_at_head().reject_with(GrpcStatus);
//! let server = tonic::transport::Server::builder().layer(layer);
//! ```
//!
//! # In a handler
//!
//! [`Rejection::grpc_response`](crate::Rejection::grpc_response) returns a response from whose
//! headers tonic makes a status with code, message and push-back:
//!
//! ```
//! use tonic::Status;
//! use tower_concurrency_limiter::{Limiter, Rejection, Resource};
//!
//! async fn handler(limiter: &Limiter, db: &Resource) -> Result<(), Status> {
//!     let _permit = limiter.acquire([db]).await.map_err(status)?;
//!     // ..
//!     Ok(())
//! }
//!
//! fn status(rejection: Rejection) -> Status {
//!     let response = rejection.grpc_response();
//!     Status::from_header_map(response.headers()).expect("it has a status")
//! }
//! ```
//!
//! # Custom responses
//!
//! `on_reject` and `reject_with`, on the [limiter](crate::limiter::LimiterBuilder::on_reject) or
//! the layer, replace the gRPC response as well. In a policy,
//! [`Rejection::response`](crate::Rejection::response) is the gRPC response to a gRPC request, so a
//! policy can modify it. [`ProblemDetails`](crate::middleware::ProblemDetails) does not affect gRPC
//! requests.
//!
//! # gRPC-Web
//!
//! The layer works on either side of `tonic_web::GrpcWebLayer`. Outside it, the response has the
//! media type of the gRPC-Web request, and the status is in its head, where gRPC-Web clients expect
//! it. For browsers, let the CORS layer expose `grpc-status`, `grpc-message` and
//! `grpc-retry-pushback-ms`.
//!
//! [Guide](super) · Next: [clients](super::clients)
