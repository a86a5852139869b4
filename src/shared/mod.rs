//! The interface between the limiter and a limit that is shared between processes. It depends on no
//! other module, so that the limiter does not depend on the backend.

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

/// A limit that is shared between processes, as one resource uses it. It lives as long as the
/// limiter with which the resource is registered, and its permits.
pub(crate) trait SharedLimit: Send + Sync + fmt::Debug {
    /// Acquires units without a call to the server: from the idle units of this process, or because
    /// the server is away and no request has to wait for it. `None` does not mean that none are
    /// available.
    fn try_enter(&self, request: &LeaseRequest) -> Option<Box<dyn Lease>>;

    /// Acquires units, waiting until the deadline, which the future times itself. Dropping the
    /// future removes the request from the queue, and releases a grant that was not collected.
    fn enter(&self, request: LeaseRequest) -> Entering;

    /// Changes the limit for all processes.
    fn set_limit(&self, limit: u32);

    /// Rejects queued and later requests with [`Absence::Closed`].
    fn close(&self);

    fn health(&self) -> Health;
}

/// A request for units of a shared limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LeaseRequest {
    pub(crate) units: u32,
    /// The lane, by the hash that is the same in all processes.
    pub(crate) lane: Option<u64>,
    pub(crate) priority: u8,
    pub(crate) load: u64,
    /// If it has passed, the request does not wait.
    pub(crate) deadline: Instant,
    /// A bound on the queue, instead of that of the resource.
    pub(crate) max_waiting: Option<usize>,
}

/// The future of a lease.
pub(crate) type Entering = Pin<Box<dyn Future<Output = Result<Box<dyn Lease>, NotLeased>> + Send>>;

/// Units of a shared limit that are held. Dropping it releases them, and neither blocks nor panics.
pub(crate) trait Lease: Send + Sync + fmt::Debug {
    /// Whether this process still holds the units, as far as it knows.
    fn is_valid(&self) -> bool;

    /// Completes when the lease is no longer valid.
    fn lost(&self) -> Pin<Box<dyn Future<Output = ()> + Send>>;

    fn token(&self) -> Option<FencingToken>;

    /// Corrects the load.
    fn settle_load(&mut self, actual: u64);

    /// Releases the units of a lease under which no work began, with what it spent of rates. Like a
    /// drop, it neither blocks nor panics.
    fn refund(self: Box<Self>);
}

/// The refusal of a shared limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotLeased {
    pub(crate) why: Absence,
    /// Whether a rate did not admit the request.
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

/// The reason of a refusal by a shared limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absence {
    Timeout,
    Full,
    Shed,
    Closed,
    Unavailable,
}
