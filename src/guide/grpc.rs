//! Limits for gRPC services.
//!
//! A layer rejects a gRPC request as gRPC: with a status in the response head and no body. A request is a
//! gRPC one if its `content-type` starts with `application/grpc`, in whatever case. There is nothing to
//! configure, and the crate does not depend on a gRPC library. This page uses tonic.
//!
//! # What the client gets
//!
//! | rejection | `grpc-status` | `grpc-retry-pushback-ms` |
//! |---|---|---|
//! | a [rate](crate::Rate) did not allow the call | `RESOURCE_EXHAUSTED` (8) | until the rate allows it |
//! | any other | `UNAVAILABLE` (14) | until the queue has drained, if that is known |
//!
//! The message is the text of the [`Rejection`](crate::Rejection), which names the resource. The push-back
//! is that of [`retry_after`](crate::Rejection::retry_after), as gRPC's
//! [retry design](https://github.com/grpc/proposal/blob/master/A6-client-retries.md) defines it: a client
//! with a retry policy for the status waits for as long before it tries again. The clients of gRPC for C++,
//! Go and Java do so themselves. With tonic, read it from `Status::metadata`, for instance in a policy of
//! `tower::retry`.
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
//! For one service, `LayerExt` keeps the name that tonic routes by:
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
//! For gRPC and REST on one port, `Routes::into_axum_router` makes a router to merge with that of axum. Below
//! one layer, each request is rejected in its own protocol.
//!
//! Let health checks [bypass](crate::ConcurrencyLimitLayer::bypass) the limit, or a busy server is taken for a
//! broken one:
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
//! tonic's server drops a call when the client's `grpc-timeout` has passed, and so it leaves the queue. Under
//! other servers it leaves when the client resets the stream. With
//! [`grpc_timeout`](crate::middleware::RequestHead::grpc_timeout) as the
//! [deadline](crate::ConcurrencyLimitLayer::fail_fast_deadline), as above, a call that could not be served in time is
//! rejected at once.
//!
//! # Streams
//!
//! The permit of a call lasts until its response has ended: for a stream of responses, until the trailers have
//! been sent, or the client has cancelled. A stream that stays open for hours holds its units for as long. Give
//! such methods a resource of their own, or release the permit with the response head.
//!
//! With [`release_at_head`](crate::ConcurrencyLimitLayer::release_at_head) around a service or server of tonic,
//! set [`GrpcStatus`](crate::middleware::GrpcStatus) as the policy: a layer that leaves the body type as it
//! is cannot make tonic's from the bytes of a JSON response. Under axum the default is right.
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
//! [`Rejection::grpc_response`](crate::Rejection::grpc_response) has the headers from which tonic makes a
//! status, with code, message and push-back:
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
//! # Responses of your own
//!
//! `on_reject` and `reject_with`, on the [limiter](crate::limiter::LimiterBuilder::on_reject) or the layer,
//! replace the gRPC response as well. In a policy, [`Rejection::response`](crate::Rejection::response) is the
//! gRPC response if the request is a gRPC one, so that it can be the start of another one.
//! [`ProblemDetails`](crate::middleware::ProblemDetails) leaves gRPC requests alone.
//!
//! # gRPC-Web
//!
//! The layer may stand on either side of `tonic_web::GrpcWebLayer`. Outside of it, the response has the media
//! type of the gRPC-Web request, and the status is in its head, where gRPC-Web clients look for it. For
//! browsers, let the CORS layer expose `grpc-status`, `grpc-message` and `grpc-retry-pushback-ms`.
