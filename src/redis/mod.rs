//! One limit for all processes, on Redis or Valkey.
//!
//! A limit of 10 in each of 20 processes is a limit of 200.
//! [`shared`](crate::resource::ResourceBuilder::shared) makes it one limit of 10 for every process
//! that names the same resource, with the layer, the queue, the deadlines, rates, lanes and
//! priorities of a local one. It needs Redis 7.0, Valkey 7.2 or later, alone or as a cluster, and
//! no service beside that.
//!
//! ```no_run
//! # #[cfg(feature = "axum")] mod example {
//! use std::time::Duration;
//! use axum::{Router, routing::get};
//! use tower_concurrency_limiter::{Limiter, Resource, redis::RedisBackend};
//!
//! # async fn messages() {}
//! async fn app() -> Result<Router, Box<dyn std::error::Error>> {
//!     let backend = RedisBackend::connect("redis://127.0.0.1:6379").await?;
//!
//!     let postgres = Resource::builder("postgres").concurrency(10).shared(&backend).build();
//!     let limiter = Limiter::new(Duration::from_secs(5), [&postgres]);
//!     Ok(Router::new().route("/messages", get(messages).route_layer(limiter.resources([&postgres]))))
//! }
//! # }
//! ```
//!
//! [What is promised](#the-promise), [the modes](#strict-and-cached), [sets](#sets), [what goes
//! wrong, and what then](#failures), [what it costs](#what-it-costs), [running it](#running-it),
//! and [how others do it](#beside-other-ways).
//!
//! # The promise
//!
//! **All processes together never hold more than the limit, by lease.** A process holds its permits
//! as a session at the server, with a heartbeat every [500 ms](DEFAULT_HEARTBEAT); there is nothing
//! to tune for each request. The server counts what each session holds, and decides on limit,
//! rates, lanes, priorities and the queue in one script: by the rules of the
//! [guide](crate#who-goes-next), with the arithmetic of local limits, by its own clock alone. A
//! killed process gives its permits back in about a second, a clean shutdown at once
//! ([`close`](RedisBackend::close)).
//!
//! What that is not: **consensus**. In four cases more work than the limit can be under way:
//!
//! * **A process that is paused for longer than its lease** ([5 s](DEFAULT_LEASE)), or cut off from
//!   the server for so long, goes on with what it was executing, when others have been granted the
//!   same units. It knows: its own clock ends the lease first,
//!   [`Permit::is_valid`](crate::Permit::is_valid) is `false`,
//!   [`Permit::lost`](crate::Permit::lost) ends, and nothing new begins under it. Stop what can be
//!   stopped; where it matters, let the downstream check the [fencing
//!   token](crate::permit::FencingToken).
//! * **A process whose connection is closed by something on the way** (a proxy, a firewall) and
//!   that cannot come back within a heartbeat looks to the server like one that was killed. It goes
//!   on in the same way, and does not know before it is back, or its lease is over. Not on a
//!   cluster, nor with
//!   [`reclaim_at_disconnect(false)`](RedisBackendBuilder::reclaim_at_disconnect): there only the
//!   lease counts, after a crash too.
//! * **A failover to a replica** loses the grants that had not been replicated: milliseconds'
//!   worth. Nothing new is granted until the processes have said what they hold. The same goes for
//!   a restart that loses the last second of the append-only file.
//! * **A server that lost everything** grants nothing for [one second](DEFAULT_COLD_START), in
//!   which processes come back and say what they hold. Whoever needs longer is not counted yet. Set
//!   [`cold_start`](RedisBackendBuilder::cold_start) to the lease, and that cannot happen.
//!
//! In each of them the surplus is a debt: nobody is granted anything until it has been paid. While
//! the server is away, what happens is your choice: [`WhenUnavailable`].
//!
//! # Strict and cached
//!
//! | | [`strict`](RedisBackend::strict), the default | [`cached`](RedisBackend::cached) |
//! |---|---|---|
//! | the limit | holds by lease | holds by lease |
//! | a request | one round trip; those that come meanwhile share the next | no round trip while nobody waits anywhere |
//! | order | one for all processes: lane, priority, arrival | the same as soon as somebody waits; before that, whoever comes |
//! | idle permits | none | up to `limit / (2 * processes)` in each process, for 20 ms; called back at once when somebody waits |
//!
//! Cached mode keeps nothing where the limit is below four times the number of processes, and is
//! strict for resources with rates, which are charged when the server says so. The tokens of cached
//! permits are those of the last grant of the process.
//!
//! [`try_acquire`](crate::Limiter::try_acquire) takes what the process holds idle, so in strict
//! mode it never succeeds: ask with a timeout of zero instead, which is one round trip and no
//! waiting.
//!
//! # Sets
//!
//! Local and shared resources mix in one set, with one deadline. The shared ones are acquired one
//! after the other, in the order of their names, which is the same in all processes; then the local
//! ones, all together. So no two requests wait for each other. Nothing local is held while it waits
//! for a shared one. What it has got of shared ones is held while it waits for the rest: until its
//! deadline at most. Keep such sets small, or the timeout short.
//!
//! # Failures
//!
//! | failure | limit exceeded? | capacity is lost for | those who wait |
//! |---|---|---|---|
//! | a process is killed | no | 1.5 heartbeats and one more (about 1 s); on a cluster, or with its machine, the lease | its own are forgotten; the next is granted in the same step |
//! | a clean shutdown | no | not at all | its own get [`Closed`](crate::Reason::Closed) |
//! | a request is dropped | no | not at all: a grant on its way goes to the next | |
//! | a process is paused, for less than nine tenths of the lease | no | its permits stay its own, and so does what it is granted in its first two heartbeats of silence | the others wait |
//! | a process is paused for longer | **by what it is executing** | - | its permits go to others; when it is back it says what still runs, and that is a debt |
//! | the runtime of the service is busy | no: heartbeats have a thread of their own | its permits stay its own | |
//! | the server restarts with its data | by what was granted after it was last written down | the time of the restart | keep their places |
//! | the server restarts without | no, with a cold start as long as the lease; else by processes that need longer to come back | the cold start | keep their places in each process |
//! | a replica takes over | by what had not been replicated | a second, until all processes were back, up to the lease | keep their places |
//! | two masters at once | **up to twice** while that lasts; set `min-replicas-to-write` | - | - |
//! | one process is cut off | no: its own clock ends its leases first | the lease | [`WhenUnavailable`] |
//! | one process is cut off, and its connection is closed by something on the way | **by what it is executing**: to the server it is dead; it learns of that when it is back, or at the end of its lease | 1.5 heartbeats and one more | [`WhenUnavailable`] |
//! | all are cut off | as [`WhenUnavailable`] says | - | [`WhenUnavailable`] |
//! | a wake-up is lost | no | one heartbeat at most | are that much late |
//! | an answer is lost | no: the same operation counts once | a round trip | |
//! | the connection is lost | no | the reconnection | keep their places |
//! | the scripts are flushed | no | a round trip | |
//! | everything is flushed or evicted | as a restart without data | | |
//! | the server is out of memory | no: giving back works | not at all | new ones get [`Unavailable`](crate::Reason::Unavailable) |
//! | the server stands still | no; for longer than half the lease: new epoch, all leases count anew | that long | their deadline counts |
//! | the server's clock jumps | no: new epoch | the lease at most | wait |
//! | processes with another limit | the higher [revision](SharedOptions::revision) counts for all, and both log it | - | - |
//!
//! Nearly each row is a test, most of them in `tests/redis/failures.rs`; `tests/redis/torture.rs`
//! kills, pauses and restarts at random. [`Resource::health`](crate::Resource::health) says how it
//! is, and [events](crate::observe) tell of every change.
//!
//! # Four processes at work
//!
//! Four processes share a limit of 10, under load: one is killed, later one is paused for longer
//! than its lease. Above the line is nothing. The example `distributed` draws it.
//!
#![doc = "<div style=\"overflow-x: auto\">"]
#![doc = include_str!("../../docs/distributed.svg")]
#![doc = "</div>"]
//!
//! # What it costs
//!
//! One run of `cargo bench -p benches --bench distributed` on two cores, with Redis 7.0.15 on the
//! same machine; medians:
//!
//! | | |
//! |---|---|
//! | a strict acquire that fits, one task asking after the other | 102 us; a bare `PING` 12 us |
//! | strict acquires of 64 tasks | 169,000 per second; one after the other 8,000 |
//! | a cached acquire and its return | 0.7 us, 4 allocations |
//! | return in one process to grant in another | 0.45 ms, p99 0.93 ms |
//! | the server's CPU for a hand-off, 10 waiters in 50 processes | 249 us |
//! | the same, 1,000 waiters | 237 us: one process is woken for each grant |
//!
//! Of a strict acquire, 19 us are the script; most of the rest is that two threads wake each other,
//! since signs of life are sent by a thread of their own. Across a network that disappears behind
//! the round trip. A session costs one small call for each heartbeat.
//!
//! # Running it
//!
//! * The server must not evict the state: `maxmemory-policy noeviction`, or one of `volatile-*`.
//!   [`ready`](RedisBackend::ready) finds it out.
//! * All keys of a resource start with `cq1:{namespace/resource}:` and are in one slot. They are
//!   few, they do not grow with the number of requests, and they have no time to live, except that
//!   the state of a resource that nobody uses any more goes away after a day.
//! * TLS: `rediss://..` with the feature `redis-tls`, and the certificates of the system, or those
//!   of the file that the environment variable `SSL_CERT_FILE` names. The cryptography is the
//!   provider that the process has installed for `rustls`; if there is none, that of `ring`, for
//!   this backend alone: nothing is installed for the process.
//! * Permissions:
//!   `+evalsha +eval +hello +info +subscribe +publish +pubsub|numsub +time +@hash +@sortedset +@list +del +exists +expire +persist +cluster|slots ~cq1:* &cq1:*`.
//! * Raise the [revision](SharedOptions::revision) with every change of a limit or a rule, or an
//!   old process reverts it.
//! * One resource is one core of one server. Cached mode takes most of that away.
//!
//! # Beside other ways
//!
//! | | a crash of the holder | who is next | a release wakes | what can go wrong |
//! |---|---|---|---|---|
//! | this | about 1 s; a pause: the lease | lane, priority, arrival, across processes | the one who is next | see [failures](#failures) |
//! | Redisson's `RPermitExpirableSemaphore` | the lease that was guessed for each permit: too short, and work overruns; too long, and it is lost for that time | whoever polls first | everybody who is subscribed | a lost notification is noticed at the end of the wait; clocks of clients |
//! | a sorted set of holders with times | the time that was guessed | whoever retries first | nobody: they poll | no queue, so no order; clients' clocks in the scores |
//! | a list of tokens and `BLPOP` | the token is lost for good, unless something counts | first come first served by connection | one | one connection for each that waits; no deadline, weights or priorities |
//! | advisory locks in Postgres | at once, when the connection ends | arrival | one | one connection for each holder, which a pool in between breaks; a limit above 1 takes a lock for each unit |
//! | a hosted queue or workflow engine | its visibility timeout | its own | a worker | another system between the request and its work; made for jobs, not for requests |

mod audit;
mod backend;
mod clock;
mod config;
mod error;
mod greeting;
mod limit;
mod local;
mod member;
mod protocol;
mod script;
mod settings;
mod shared_options;
mod term;
#[cfg(all(test, not(tcl_loom)))]
mod tests;
mod tls;
mod wire;
mod wires;

#[doc(hidden)]
pub use audit::Difference;
pub use backend::RedisBackend;
pub use error::{ConnectError, InvalidBackend};
pub use settings::{
    DEFAULT_COLD_START, DEFAULT_DOWN_AFTER, DEFAULT_HEARTBEAT, DEFAULT_LEASE, RedisBackendBuilder,
};
pub use shared_options::{SharedOptions, WhenUnavailable};

pub use crate::shared::{Health, SharedState};
