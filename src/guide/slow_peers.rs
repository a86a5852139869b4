//! Clients that send or read slowly, and connections with many streams.
//!
//! A permit lasts as long as its request, and the client can decide how long that is. If clients
//! are not trusted, a few of them can hold all permits. A buffering proxy in front prevents most of
//! this.
//!
//! # Slow readers
//!
//! A request ends when hyper has polled the last frame of the response body. A body of some
//! kilobytes is polled to its end immediately. A long one is polled as fast as the client reads it,
//! so a client that reads slowly, or not at all, holds its permit. A timeout on the body's frames
//! does not help, because hyper does not poll a body that the client does not read. There are three
//! cures:
//!
//! * Read all that is needed from the resource in the handler, and use
//!   [`release_at_head`](crate::ConcurrencyLimitLayer::release_at_head).
//! * Use [`expose_permit`](crate::ConcurrencyLimitLayer::expose_permit) and drop the permit when
//!   the last row has been read, not when it has been sent.
//! * Put a buffering proxy in front.
//!
//! Over HTTP/2 the client sets a flow-control window. With a window of 0, even the smallest
//! streamed body holds its permit until the client resets the stream. A body that is a single piece
//! of bytes does not. The cures are the same.
//!
//! # Slow senders
//!
//! A handler with an extractor such as `Bytes`, `Json` or `Multipart` holds its permit while it
//! waits for the request body. At a limit of 2, two clients that send a byte now and then block all
//! others. Read the body outside the limit, with a bound on its size:
//!
//! ```
//! # #[cfg(feature = "axum")] {
//! # use std::time::Duration;
//! # use tower_concurrency_limiter::{Limiter, Resource};
//! use axum::{
//!     Router,
//!     body::{Body, Bytes, to_bytes},
//!     extract::Request,
//!     http::StatusCode,
//!     middleware::{Next, from_fn},
//!     response::{IntoResponse, Response},
//!     routing::post,
//! };
//!
//! async fn read_first(request: Request, next: Next) -> Response {
//!     let (head, body) = request.into_parts();
//!     match to_bytes(body, 1024 * 1024).await {
//!         Ok(body) => next.run(Request::from_parts(head, Body::from(body))).await,
//!         Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
//!     }
//! }
//!
//! # let db = Resource::new("db", 2);
//! # let limiter = Limiter::new(Duration::from_secs(5), [&db]);
//! # async fn store(body: Bytes) {}
//! let limited = post(store).route_layer(limiter.resources([&db]));
//! let app: Router = Router::new().route("/", limited.route_layer(from_fn(read_first)));
//! # }
//! ```
//!
//! The bodies of all waiting requests are then in memory: choose
//! [`max_waiting`](crate::ConcurrencyLimitLayer::max_waiting) accordingly. If uploads are too long
//! for that, bound the time for which they hold the permit. `TimeoutLayer` of tower-http, inside
//! the limit, ends the whole call. `RequestBodyTimeoutLayer` ends a sender that pauses for too
//! long, but not one that sends a byte before each pause is over.
//!
//! # Rejected uploads
//!
//! A rejection does not wait for the request body. hyper sends the 503 and closes an HTTP/1
//! connection whose body was not read; a client that is still sending may see a reset before it
//! reads the response. Clients that send `expect: 100-continue` wait until the server requests the
//! body, and read the 503 instead. For other clients, read the body outside the limit, as above.
//!
//! # Many streams on one connection
//!
//! A queued request is an open stream of its HTTP/2 connection, and hyper allows a client 200 of
//! them. If all are queued for one resource, requests of that client for other routes do not reach
//! the server. Other connections are not affected. For a proxy or a gRPC client that sends all its
//! requests on one connection, do one of these:
//!
//! * Bound the queue below that number, by
//!   [`max_waiting`](crate::resource::ResourceBuilder::max_waiting), or shorten the
//!   [timeout](crate::ConcurrencyLimitLayer::timeout).
//! * Allow more streams, by `http2().max_concurrent_streams(1_000)` of hyper-util's server builder;
//!   `axum::serve` has no such setting.
//! * Let the client use another connection for requests that must not wait.
//!
//! [Guide](super) · Next: [deadlocks](super::deadlocks)
