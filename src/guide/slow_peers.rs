//! Clients that send or read slowly, and connections with many streams.
//!
//! A permit lasts as long as its request, and a client decides how long that is. Where clients are
//! strangers, a few of them can hold all permits. A buffering proxy in front cures most of this page.
//!
//! # Slow readers
//!
//! A request ends when hyper has taken the last frame of the response body. A body of some kilobytes is
//! taken at once. A long one is taken as fast as the client reads it, so a client that reads slowly, or
//! not at all, keeps the permit. A timeout on the body's frames does not help, because hyper does not
//! poll a body that the client does not read.
//!
//! * Read what you need of the resource in the handler, and use
//!   [`release_at_head`](crate::ConcurrencyLimitLayer::release_at_head); or
//! * use [`expose_permit`](crate::ConcurrencyLimitLayer::expose_permit) and drop the permit when the last
//!   row has been read, not when it has been sent; or
//! * put a buffering proxy in front.
//!
//! Over HTTP/2 a client grants a window for what it will read. With a window of 0, the smallest
//! streamed body holds its permit until the client resets the stream; one that is a single piece of
//! bytes does not. The cures are the same.
//!
//! # Slow senders
//!
//! A handler with an extractor such as `Bytes`, `Json` or `Multipart` waits for the request body with the
//! permit in its hands. At a limit of 2, two clients that send a byte now and then shut out all others.
//! Read the body before the limit, with a bound on its size:
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
//! The bodies of all requests that wait are then in memory: choose
//! [`max_waiting`](crate::ConcurrencyLimitLayer::max_waiting) accordingly. Where an upload is too long
//! for that, bound the time it holds the permit: tower-http's `TimeoutLayer`, inside the limit, ends the
//! whole call; `RequestBodyTimeoutLayer` ends a sender that pauses for too long, but not one that sends a
//! byte before each pause is over.
//!
//! # Uploads that are refused
//!
//! A refusal does not wait for the request body. hyper sends the 503 and closes an HTTP/1 connection
//! whose body was not read; a client that is still sending may see a reset before it reads the answer.
//! Clients that send `expect: 100-continue` wait for the server to ask for the body, and read the 503
//! instead. For others, read the body before the limit, as above.
//!
//! # Many streams on one connection
//!
//! A queued request is an open stream of its HTTP/2 connection, and hyper lets a client have 200 of them.
//! When all are queued for one resource, the requests of that client for other routes do not even reach
//! the server. Other connections do not notice. That matters for a proxy or a gRPC client that sends all
//! its requests on one connection:
//!
//! * bound the queue below that number, by [`max_waiting`](crate::resource::ResourceBuilder::max_waiting),
//!   or shorten the [timeout](crate::ConcurrencyLimitLayer::timeout); or
//! * allow more streams: `http2().max_concurrent_streams(1_000)` of hyper-util's server builder, because
//!   `axum::serve` has no such setting; or
//! * have the client use another connection for what must not wait.
