//! One limit for several processes, with the feature `redis`.
//!
//! Limits, rates and lanes are those of one process: a limit of 10 in each of 20 processes is a
//! limit of
//! 200. There are two ways to bound them together. Give each process its part, or let all processes
//!      share one limit through Redis or Valkey:
//!
//! ```no_run
//! # #[cfg(feature = "redis")] mod example {
//! use std::time::Duration;
//! use tower_concurrency_limiter::{Limiter, Resource, redis::RedisBackend};
//!
//! # fn start() -> Result<Limiter, Box<dyn std::error::Error>> {
//! let backend = RedisBackend::connect_lazy("redis://127.0.0.1:6379")?;
//! let postgres = Resource::builder("postgres").concurrency(10).shared(&backend).build();
//! let fs = Resource::new("fs", 10); // each process has its own disk
//! let limiter = Limiter::new(Duration::from_secs(5), [&postgres, &fs]);
//! # Ok(limiter)
//! # }
//! # }
//! ```
//!
//! The layer, the queue, rates, lanes and priorities are those of a local limit. The differences:
//!
//! * **Cost.** A request costs a round trip to the server. In the cached mode most requests cost
//!   none while no request waits.
//! * **Leases.** A process holds its permits by lease. It is not consensus: a process that is
//!   paused for longer than its lease, or a failover that loses writes, can lead to a surplus for a
//!   time. [`Permit::is_valid`](crate::Permit::is_valid) returns whether the lease is still held,
//!   [`Permit::lost`](crate::Permit::lost) completes when it is not.
//! * **Sets.** A set is acquired in a documented order instead of at one instant: distributed
//!   resources one after the other, in the order of their names, then the local ones together.
//! * **Availability.** The server may be unreachable. Per resource, requests are then rejected,
//!   admitted or queued, or each process continues with its share of the limit.
//! * **Settings.** Overload mode, adaptive limits and dry runs are decided in one process, and
//!   cannot be combined with it.
//! * **`try_acquire`** takes only what the process holds idle. To ask the server without waiting,
//!   use [`request`](crate::Limiter::request) with a timeout of zero.
//!
//! The module [`redis`](../../redis/index.html) describes what is promised, failure by failure,
//! what it costs and how to run the server. `cargo run --release -p distributed` in the repository
//! shows several processes behind one limit, of which one is killed and one paused.
//!
//! [Guide](super) · Next: [architecture](super::architecture)
