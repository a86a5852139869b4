//! The guide: what the crate guarantees, and one page for each topic.
//!
//! # Guarantees
//!
//! * **One limit per resource.** It does not matter how often a layer is cloned or applied, or on
//!   how many connections requests arrive.
//! * **A set is granted at one instant, or not at all.** A waiter holds nothing. Sets cannot
//!   deadlock, in whatever order they are written, and a request that waits for a stuck `fs` does
//!   not block an idle `db`.
//! * **A permit lasts as long as the work.** By default that is until the response body has ended,
//!   failed or been dropped. [`release_at_head`](crate::ConcurrencyLimitLayer::release_at_head)
//!   releases it with the response head. With
//!   [`expose_permit`](crate::ConcurrencyLimitLayer::expose_permit), the handler can move it into
//!   `spawn_blocking`, `spawn` or an upgraded connection, which outlive the request.
//! * **Every queue is bounded**, in time ([5 s](crate::limiter::DEFAULT_TIMEOUT) by default) and in
//!   length ([1,024 requests](crate::limiter::DEFAULT_MAX_WAITING) per resource by default). A
//!   request that waits for a set counts at each of its resources.
//! * **No request runs after its deadline**, whether it waited for its set or for the inner service
//!   to become ready. If the grant and the deadline fall on the same instant, it runs.
//! * **A rejection includes the time to retry**, if it is known: when the queue will have drained
//!   at its present pace, or when a rate allows the request. The times are spread, so that clients
//!   do not all return at once. See [`Rejection::retry_after`](crate::Rejection::retry_after).
//! * **No unit is lost.** The units are released when the work finishes, fails or panics, and when
//!   its future is dropped, and the next waiter is admitted immediately. No grant exceeds the limit
//!   in force, and no waiter sleeps while its set fits.
//! * **Other traffic is not affected.** `poll_ready` only forwards to the inner service, errors of
//!   the inner service pass through unchanged, and requests without a limit do not wait.
//! * **Free capacity costs next to nothing.** If a resource has a limit and nothing else, a request
//!   that fits takes no lock, reads no clock and starts no timer. Other settings [cost
//!   more](choosing#cost).
//!
//! # Limits and queues
//!
//! * [`choosing`]: the limit, the timeout and the queue bound; all other settings, and what they
//!   cost.
//! * [`ordering`]: the order in which requests are admitted.
//! * [`rates`], [`lanes`], [`priorities`]: bounds per period, shares of a resource, urgent
//!   requests.
//! * [`overload`]: clients that give up, and an overload measured.
//! * [`adaptive`]: limits that follow the capacity of a resource.
//! * [`configuration`]: errors at start-up, changes at run time, dry runs.
//!
//! # Services
//!
//! * [`placement`]: where to put the layer, and beside which other layers.
//! * [`services`]: clients, proxies and services that are not axum's.
//! * [`grpc`]: the response to rejected gRPC calls.
//! * [`clients`]: clients that disconnect, and work that outlives its request.
//! * [`slow_peers`]: clients that send or read slowly, and connections with many streams.
//! * [`deadlocks`]: requests that wait for what they hold.
//!
//! # Running it
//!
//! * [`shutdown`]: closing the queue, and waiting for running work.
//! * [`runtimes`]: several tokio runtimes, timers, and paused time.
//! * [`testing`]: tests of services with limits.
//! * [`operating`]: logs, spans, metrics.
//! * [`distributed`]: one limit for several processes.
//! * [`architecture`]: a map of the source.

pub mod adaptive;
pub mod architecture;
pub mod choosing;
pub mod clients;
pub mod configuration;
pub mod deadlocks;
pub mod distributed;
pub mod grpc;
pub mod lanes;
pub mod operating;
pub mod ordering;
pub mod overload;
pub mod placement;
pub mod priorities;
pub mod rates;
pub mod runtimes;
pub mod services;
pub mod shutdown;
pub mod slow_peers;
pub mod testing;
