//! What a limit that is shared between processes does for the rest of the crate: a leaf, so that
//! the limiter need not know what stands behind it.

mod fencing;
#[cfg_attr(
    not(feature = "redis"),
    allow(unreachable_pub, reason = "public with the feature `redis`")
)]
mod health;
#[cfg(all(test, not(tcl_loom)))]
pub(crate) mod stand_in;

use std::{fmt, future::Future, pin::Pin, time::Duration};

use tokio::time::Instant;

pub use fencing::FencingToken;
#[cfg_attr(
    not(feature = "redis"),
    allow(
        unreachable_pub,
        unused_imports,
        reason = "public with the feature `redis`"
    )
)]
pub use health::{Health, SharedState};

/// A resource's side of a limit that is shared between processes. It lives as long as the limiter
/// that the resource is registered with, and its permits.
pub(crate) trait SharedLimit: Send + Sync + fmt::Debug {
    /// Takes what is asked if that can be done without asking anybody: from what this process holds
    /// idle, or because nobody is kept. `None` says nothing about whether it is free.
    fn try_enter(&self, ask: &Ask) -> Option<Box<dyn Lease>>;

    /// Waits for what is asked, up to its deadline, which it keeps by itself. Dropping the future
    /// gives the place up, and returns a grant that was not collected.
    fn enter(&self, ask: Ask) -> Entering;

    /// Another limit for all processes.
    fn set_limit(&self, limit: u32);

    /// Turns away those who wait and those who come, with [`Absence::Closed`].
    fn close(&self);

    fn health(&self) -> Health;
}

/// What a request asks of a shared limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask {
    pub(crate) units: u32,
    /// The lane that it asks for, by a hash that all processes agree on.
    pub(crate) lane: Option<u64>,
    pub(crate) priority: u8,
    pub(crate) load: u64,
    /// At or before now: not at all.
    pub(crate) deadline: Instant,
    /// Instead of the resource's own bound on the length of its queue.
    pub(crate) max_waiting: Option<usize>,
}

/// The way to a lease.
pub(crate) type Entering = Pin<Box<dyn Future<Output = Result<Box<dyn Lease>, NotLeased>> + Send>>;

/// Units of a shared limit that are held. Dropping it returns them: it never blocks, and never
/// panics.
pub(crate) trait Lease: Send + Sync + fmt::Debug {
    /// Whether the units are still this process's, as far as that can be known without asking.
    fn is_valid(&self) -> bool;

    /// Ends when they are not.
    fn lost(&self) -> Pin<Box<dyn Future<Output = ()> + Send>>;

    fn token(&self) -> Option<FencingToken>;

    /// The load was another than was said.
    fn settle_load(&mut self, actual: u64);

    /// Nobody has worked under it: nothing was spent. As with a drop, it never blocks, and never
    /// panics.
    fn refund(self: Box<Self>);
}

/// Why nothing was leased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotLeased {
    pub(crate) why: Absence,
    /// Whether it was a rate that kept it.
    pub(crate) by_rate: bool,
    pub(crate) retry_after: Option<Duration>,
}

impl From<Absence> for NotLeased {
    fn from(why: Absence) -> Self {
        Self {
            why,
            by_rate: false,
            retry_after: None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absence {
    Timeout,
    Full,
    Shed,
    Closed,
    Unavailable,
}
