//! Limits that several processes share, on real servers.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests against real servers, in real time"
)]

mod bad_input;
mod cluster;
mod contract;
mod events;
mod failures;
mod network;
mod outage;
mod processes;
mod review;
#[cfg(feature = "redis-tls")]
mod tls;
mod torture;
