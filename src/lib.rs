//! Concurrency limits on named resources: a database, a disk, a paid API.
//!
//! A [`Resource`] has a limit on how much of it may be in use at once. A [`Limiter`] grants it, to requests
//! through a Tower [layer](ConcurrencyLimitLayer) and to other code through
//! [`acquire`](Limiter::acquire) and [`run`](Limiter::run). What does not fit waits in a queue that is
//! bounded in time and in length, and is then turned away with a `503`.
//!
//! ```
//! # #[cfg(feature = "axum")] {
//! use std::time::Duration;
//! use axum::{Router, routing::get};
//! use tower_concurrency_limiter::{Limiter, Resource};
//!
//! let db = Resource::new("db", 5);
//! let fs = Resource::new("fs", 10);
//! let limiter = Limiter::new(Duration::from_secs(5), [&db, &fs]);
//!
//! # async fn messages() {}
//! # async fn file() {}
//! # async fn both() {}
//! let app: Router = Router::new()
//!     .route("/messages", get(messages).route_layer(limiter.resources([&db])))
//!     .route("/file", get(file).route_layer(limiter.resources([&fs])))
//!     .route("/both", get(both).route_layer(limiter.resources([&db, &fs])));
//! // the sixth concurrent request to /messages waits for up to 5 s, then gets 503; /file does not notice
//! # }
//! ```
//!
//! This page is the guide. It says what you can rely on, and what to look out for:
//! [words](#words), [rules](#rules-to-rely-on), [who goes next](#who-goes-next),
//! [placement](#where-to-put-the-layer), [clients that leave](#when-a-client-leaves),
//! [slow readers](#slow-readers), [waiting for oneself](#waiting-for-what-you-hold),
//! [runtimes](#runtimes), [logs](#what-it-logs), [mistakes](#mistakes-surface-at-start-up), and the
//! [plan of the house](#the-house) for those who read the source.
//!
//! # Words
//!
//! | word | meaning |
//! |---|---|
//! | resource | a named thing with a finite limit; a cheap handle, shared by any number of routes |
//! | limit | how many units may be in use at once |
//! | claim | what one request takes of one resource: 1 unit, or [`units(n)`](Resource::units) |
//! | set | the claims of one request, granted all together or not at all |
//! | limiter | the resources of a service in their canonical order, with a timeout, a queue bound and a refusal |
//! | permit | ownership of a granted set; dropping it returns the set |
//! | waiter | a queued request; it holds nothing |
//! | deadline | arrival plus timeout, one for the whole set |
//! | rejection | why a request was turned away, at which resource, after how long |
//!
//! # Rules to rely on
//!
//! * **One limit.** It is the resource's. How often a layer is cloned or applied, and on how many
//!   connections, does not matter.
//! * **A set is granted all together or not at all**, at one instant. A waiter holds nothing. So sets
//!   cannot deadlock in whatever order they are written, and a request that waits for a stuck `fs` does not
//!   block an idle `db`.
//! * **A permit lasts as long as the work**: by default until the response body has ended, failed or been
//!   dropped. [`release_at_head`](ConcurrencyLimitLayer::release_at_head) ends it with the response head;
//!   [`expose_permit`](ConcurrencyLimitLayer::expose_permit) lets the handler move it into
//!   `spawn_blocking`, `spawn` or an upgraded connection, which outlive the request.
//! * **Both bounds are always there**: the time in the queue
//!   ([5 s](limiter::DEFAULT_TIMEOUT) unless you say otherwise) and its length
//!   ([1,024 requests](limiter::DEFAULT_MAX_WAITING) per resource). A request that waits for a set counts
//!   at each of its resources.
//! * **A request past its deadline is never run.** If its turn and its deadline come at the same instant,
//!   it runs.
//! * **Nothing is lost.** Finish, error, panic, a dropped future: the units come back, and go to the next
//!   in line at once. What is in use never exceeds the limit, and no waiter sleeps while its set fits.
//! * **The rest of the service is left alone.** `poll_ready` only forwards, the inner service's errors stay
//!   what they are, and what is not limited does not wait.
//! * **Room costs next to nothing.** A request that fits takes no lock, reads no clock and starts no timer.
//!
//! # Who goes next
//!
//! Requests for the same resources are served first come, first served, whatever number of units they claim;
//! a request that has to wait takes its place when its future is first polled. The deadline counts from the
//! call of a limited service, and from the first poll of [`acquire`](Limiter::acquire).
//! Between requests for different sets, three rules decide:
//!
//! 1. Whoever lacks room at a resource keeps everybody later from it. A request for 3 units is not starved
//!    by a stream of requests for 1.
//! 2. Where it lacks nothing, it stands in nobody's way. While a request for `db` and `fs` waits for `fs`,
//!    later ones pass it at `db`.
//! 3. That alone could starve a set: `db` is free while others use `fs`, then `fs` is free while others use
//!    `db`. The first waiter for a set that is passed by turns, for lack of the one and then of the other,
//!    16 times, has its units set aside wherever it waits: later ones get what is left beside them.
//!
//! A waiter that lacks the same resource all along is never passed by turns. However long `fs` is stuck,
//! those who wait for it together with `db` do not keep `db` from others.
//!
//! A waiter that leaves, by its deadline or because it was dropped, makes room for those behind it at once.
//!
//! # Where to put the layer
//!
//! | placement | what is limited |
//! |---|---|
//! | `get(handler).route_layer(layer)` | this route; "405 Method Not Allowed" is not |
//! | `get(handler).layer(layer)` | this route with its 405 |
//! | `handler.layer(layer)` | this handler |
//! | `Router::route_layer(layer)` | the routes added before, with their 405; unknown paths stay 404 |
//! | `Router::layer(layer)` | the same with the fallback: a 404 needs a permit, too |
//! | `ServiceBuilder::layer(layer)`, also in the above | what is below it |
//! | hyper-util's `TowerToHyperService`, around a limited service | all requests of all connections |
//!
//! * Put CORS, tracing and metrics layers **outside**, so that they see rejections. In a `ServiceBuilder`
//!   that is above; with `Router::layer` it is after.
//! * Put what is cheap and turns requests away, such as authentication, outside as well. What needs the
//!   resource goes inside.
//! * [`bypass`](ConcurrencyLimitLayer::bypass) lets requests past, such as health checks.
//! * `tower::util::option_layer` needs one response type for both cases, so it takes a layer with
//!   [`release_at_head`](ConcurrencyLimitLayer::release_at_head), which leaves the response type alone.
//! * A layer of one set for a whole router takes one permit per request. Two layers with a set each, one
//!   inside the other, are hold-and-wait: name both resources in one set instead.
//! * The inner service has to be `Clone`, as axum's are: a queued request keeps a clone that is not
//!   made ready yet.
//!
//! ```
//! # #[cfg(feature = "axum")] {
//! # use std::time::Duration;
//! # use axum::{Router, routing::get};
//! # use tower_concurrency_limiter::{Limiter, Resource};
//! use tower::util::option_layer;
//!
//! # let db = Resource::new("db", 5);
//! # let limiter = Limiter::new(Duration::from_secs(5), [&db]);
//! # let with_limit = true;
//! # async fn messages() {}
//! let limit = with_limit.then(|| limiter.resources([&db]).release_at_head());
//! let app: Router = Router::new()
//!     .route("/messages", get(messages))
//!     .route_layer(option_layer(limit));
//! # }
//! ```
//!
//! Services that do not speak `http` take
//! [`for_any_service`](ConcurrencyLimitLayer::for_any_service). A rejection is then an error:
//! `From<Rejection>`, which `tower::BoxError` has; or
//! [`map_rejection`](ConcurrencyLimitLayer::map_rejection),
//! [`wrap_errors`](ConcurrencyLimitLayer::wrap_errors), or a response by
//! [`on_reject`](ConcurrencyLimitLayer::on_reject).
//!
//! # When a client leaves
//!
//! Dropping a queued request gives up its place; dropping a running one drops its work and returns its
//! permit. With hyper that happens when hyper notices:
//!
//! | request | its handler is dropped |
//! |---|---|
//! | HTTP/1, without a body or with a small one that was read | within milliseconds |
//! | HTTP/1, with a pipelined request behind it, 64 KiB or more of its body unread, or a body that is not finished | not while it waits |
//! | HTTP/2, stream reset | at once |
//!
//! So for uploads only the deadline and the queue bound clear the queue of the dead, and the timeout
//! should be shorter than the clients' patience.
//!
//! Work that was handed to another thread or task goes on when its request is dropped. Move the permit along
//! with it, or each client that leaves frees units that are still in use:
//!
//! ```
//! # #[cfg(feature = "axum")] {
//! use tower_concurrency_limiter::PermitHandle;
//!
//! // on a route with `limiter.resources([&db]).expose_permit()`
//! async fn report(permit: PermitHandle) -> String {
//!     let permit = permit.take();
//!     let query = tokio::task::spawn_blocking(move || {
//!         let _permit = permit;
//!         "rows".to_owned()
//!     });
//!     query.await.unwrap_or_default()
//! }
//! # }
//! ```
//!
//! # Slow readers
//!
//! The end of a body is when hyper has taken its last frame. A body of some kilobytes is taken at once. A
//! long one is taken as fast as the client reads it, so a client that reads slowly, or not at all, keeps
//! the permit. A timeout on the body's frames does not help, because hyper does not poll a body that
//! nobody reads. Where clients are strangers:
//!
//! * read what you need of the resource in the handler, and use
//!   [`release_at_head`](ConcurrencyLimitLayer::release_at_head); or
//! * use [`expose_permit`](ConcurrencyLimitLayer::expose_permit) and drop the permit when the last row has
//!   been read, not when it has been sent; or
//! * put a buffering proxy in front.
//!
//! # Waiting for what you hold
//!
//! A handler that holds a unit of `db` and acquires another one, or calls its own limited route, may wait
//! for itself: if all units are held by handlers that do so, they all wait until their deadlines. The same
//! goes for one that holds `db` and acquires `fs` while another holds `fs` and acquires `db`. The deadline
//! ends it, but the time is lost. Name everything in one set, with [`units`](Resource::units) for more
//! than one, or pass the permit on.
//!
//! Debug builds warn when a request queues for what the code around it holds, in the same task and without
//! [`expose_permit`](ConcurrencyLimitLayer::expose_permit). A call to the own route over the network
//! cannot be seen.
//!
//! # Runtimes
//!
//! Waiting needs a tokio runtime with time enabled; without one it panics, and says so. What fits at once
//! needs none, and neither does [`try_acquire`](Limiter::try_acquire).
//!
//! All waiters of a limiter share one timer task, started by the first and ended when nobody waits. Several
//! runtimes may share a limiter: the timer of a multi-thread runtime serves all, a current-thread runtime
//! has its own, because its tasks stand still while nobody blocks on it. Time is tokio's, so tests can
//! pause it:
//!
//! ```
//! # use std::time::Duration;
//! # use tower_concurrency_limiter::{Limiter, Reason, Resource};
//! #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! # tokio::time::pause();
//! let db = Resource::new("db", 1);
//! let limiter = Limiter::new(Duration::from_secs(5), [&db]);
//! let _held = limiter.try_acquire([&db]);
//!
//! let rejection = limiter.acquire([&db]).await.expect_err("the only unit is held");
//! assert_eq!(rejection.reason(), Reason::Timeout);
//! assert_eq!(rejection.waited().as_secs(), 5); // in no time, with `tokio::time::pause`
//! # }
//! ```
//!
//! # What it logs
//!
//! Events and span fields of the target `tower_concurrency_limiter`, through `tracing`; see [`observe`] for
//! the list. A request that is admitted at once says nothing. To see why a request was slow or refused,
//! give the request span the fields to fill:
//!
//! ```
//! use tracing::field::Empty;
//!
//! let span = tracing::info_span!("request", resource = Empty, waited = Empty, reason = Empty);
//! ```
//!
//! For metrics, an outer layer finds the [`Rejection`] in the extensions of the response;
//! [`Resource::in_use`] and [`Resource::waiting`] are gauges to sample.
//!
//! # Mistakes surface at start-up
//!
//! An impossible limiter or set panics where it is built, at the caller's line, and the message names the
//! cure:
//!
//! | mistake | the message says |
//! |---|---|
//! | a limit of 0, or above [`Resource::MAX_LIMIT`] | what to pass |
//! | an empty or repeated name | to give each resource its own |
//! | a resource of another limiter, or of none | to register it with this one |
//! | an empty set, a resource twice in it, a claim of 0 units or above the limit | what to claim |
//! | a set in another order than the resources were registered in | the right order, or [`any_order`](limiter::LimiterBuilder::any_order) |
//!
//! For values from a configuration there are twins that return an error:
//! [`ResourceBuilder::try_build`](resource::ResourceBuilder::try_build),
//! [`LimiterBuilder::try_build`](limiter::LimiterBuilder::try_build),
//! [`Limiter::try_resources`] and [`Limiter::try_request`].
//!
//! Layers keep their limiter alive; dropping the handle ends nothing.
//!
//! # Features
//!
//! * `axum` (default): [`Rejection`] is an `IntoResponse`, so that a handler can write
//!   `limiter.acquire([&db]).await?`; [`PermitHandle`] is an extractor.
//!
//! # The house
//!
//! For those who read the source. Each line may use those below it, never one above; `adaptive`, `rejection`,
//! `observe` and `sync` are beside the stairs.
//!
//! ```text
//! middleware/   the Tower skin: layer, service, future, body; the only place that knows http::Request
//!   |
//! limiter/      the registry: sets checked, acquire, run, the ways in
//!   |
//! permit/       what the user holds, and the handle that hands it over
//!   |
//! gate/         the shell: a fast path of atomics, one lock, wakers, one timer
//!   |
//! resource/     a named limit: builder, claim, rate, gauges
//!   |
//! admission/    who goes next: queue, deadlines, usage, rates; no clock, no lock, no async, no I/O
//!
//! adaptive/     limits that move by what each permit tells; no clock, no I/O
//! rejection/    why not, and the 503; used by middleware, limiter and observe
//! observe/      what it logs; used by limiter
//! sync.rs       locks and atomics: std's, or loom's in its tests; used by gate and resource
//! ```
//!
//! A request comes in at the top. If it fits, the gate takes its units in the resources' atomics and
//! nothing else happens. If not, the gate asks the queue of `admission` under its lock, and wakes whom the
//! queue names once the lock is released. The queue sees no clock and no lock, so that tests can drive it
//! against a sequential model; loom explores the gate through `sync`.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod adaptive;
mod admission;
mod gate;
pub mod limiter;
pub mod middleware;
pub mod observe;
pub mod permit;
pub mod rejection;
pub mod resource;
mod sync;

pub use limiter::Limiter;
pub use middleware::{ConcurrencyLimit, ConcurrencyLimitLayer};
pub use permit::{Permit, PermitHandle};
pub use rejection::{Reason, Rejection};
pub use resource::{Claim, Lane, LaneKey, Lanes, Overload, Rate, Resource};

/// Compiles the code of the README.
#[cfg(all(doctest, feature = "axum"))]
#[doc = include_str!("../README.md")]
struct Readme;
