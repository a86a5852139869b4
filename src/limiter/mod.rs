//! The registry of resources, and the ways in for code that is not a service.

mod acquire;
mod acquisition;
mod builder;
mod error;
mod leasing;
pub(crate) mod nested;
mod refusal;
mod remote;
mod request;
mod run;
mod set;
#[cfg(all(test, not(tcl_loom)))]
mod shared_tests;

use std::{fmt, future::Future, sync::Arc, time::Duration};

pub use acquire::Acquire;
pub(crate) use acquisition::{Acquisition, reject_late};
pub use builder::LimiterBuilder;
pub use error::{InvalidLimiter, InvalidSet};
pub(crate) use refusal::respond_with;
pub use request::AcquireRequest;
pub use run::Run;
pub(crate) use set::{HasSet, ResourceSet};

use crate::{
    admission::Refusal,
    core::{Gate, Refused},
    permit::Permit,
    rejection::{Reason, Rejection, Responder},
    resource::{Claim, Resource},
};

/// How long a request may be queued unless something else is said: 5 s.
///
/// Most clients give up between 5 and 30 s. A request that is answered after its client has left is
/// work for nobody, so the default stays at the short end.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// How many requests may be queued at a resource unless something else is said: 1,024.
///
/// A queue only has to bridge bursts; what has not been served within the timeout is refused
/// anyway. At 1,024 requests of some kilobytes each, a full queue costs a few megabytes.
pub const DEFAULT_MAX_WAITING: usize = 1024;

/// The resources that share one queue discipline, and the way to their permits.
///
/// A cheap handle; clones are the same limiter. Build one at start-up with every resource of the
/// service: their order is the canonical one in which sets are written down.
///
/// ```
/// use std::time::Duration;
/// use tower_concurrency_limiter::{Limiter, Resource};
///
/// # async fn query() -> u32 { 3 }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tower_concurrency_limiter::Rejection> {
/// let db = Resource::new("db", 5);
/// let fs = Resource::new("fs", 10);
/// let limiter = Limiter::new(Duration::from_secs(5), [&db, &fs]);
///
/// let permit = limiter.acquire([&db, &fs]).await?; // both or neither; waits up to 5 s
/// assert_eq!((db.in_use(), fs.in_use()), (1, 1));
/// drop(permit);
///
/// let rows = limiter.run([&db], || query()).await?; // closed around a future
/// # assert_eq!(rows, 3);
/// # Ok(())
/// # }
/// ```
///
/// A resource belongs to one limiter at a time, because all that can stand in one set share a lock.
#[derive(Clone)]
pub struct Limiter(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) gate: Arc<Gate>,
    pub(crate) timeout: Duration,
    allows_any_order: bool,
    responder: Responder,
}

impl Limiter {
    /// A limiter of these resources, in canonical order, whose requests wait for at most `timeout`.
    /// A timeout of zero turns away at once whatever does not fit.
    ///
    /// # Panics
    ///
    /// If there is no resource, if two have the same name, or if one belongs to another limiter.
    /// [`LimiterBuilder::try_build`] returns an error instead.
    #[track_caller]
    pub fn new<I>(timeout: Duration, resources: I) -> Self
    where
        I: IntoIterator,
        I::Item: std::borrow::Borrow<Resource>,
    {
        Self::builder()
            .timeout(timeout)
            .resources(resources)
            .build()
    }

    /// A limiter with more to say about it.
    pub fn builder() -> LimiterBuilder {
        LimiterBuilder::new()
    }

    /// Waits for the set, and holds it until the permit is dropped.
    ///
    /// The set is an array or iterator of resources, `[&db, &fs]`, or of claims,
    /// `[db.units(1), fs.units(2)]`, but not of both.
    ///
    /// # Ordering
    ///
    /// Requests for the same resources are served first come, first served, unless lanes,
    /// priorities, reserves or overload mode say otherwise. Nobody later overtakes a request at a
    /// resource that it still lacks; where it lacks nothing, it stands in nobody's way, within the
    /// [bounds](crate::guide::ordering) that the guide states. The request arrives, and its
    /// deadline starts, when the future is first polled.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the place in the queue, and returns the set if it was granted
    /// at that moment, with what it has spent of rates and what it had of resources that are shared
    /// between processes. Nothing is lost, but a new future queues at the end.
    ///
    /// # Errors
    ///
    /// [`Reason::Timeout`] if the set did not become free before the deadline; with a timeout of
    /// zero, [`Reason::NotNow`] if it is not free at once; [`Reason::QueueFull`] if too many were
    /// waiting already, [`Reason::Shed`] if it gave way to others, [`Reason::Closed`] after
    /// [`close`](Self::close), and if it would have to wait in a tokio runtime that shuts down,
    /// [`Reason::Unavailable`] if a resource is shared between processes and what enforces its
    /// limit cannot be reached.
    ///
    /// # Deadlocks
    ///
    /// From the grant on the future holds its set, whether or not it is polled again, and even past
    /// its deadline. A task that stops to poll it and waits for the same resource waits for itself:
    ///
    /// ```
    /// # use std::{pin::pin, time::Duration};
    /// # use tower_concurrency_limiter::{Limiter, Reason, Rejection, Resource};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Rejection> {
    /// # tokio::time::pause();
    /// # let db = Resource::new("db", 1);
    /// # let limiter = Limiter::new(Duration::from_secs(5), [&db]);
    /// # let held = limiter.acquire([&db]).await?;
    /// # tokio::spawn(async move { drop(held) });
    /// let mut permit = pin!(limiter.acquire([&db]));
    /// tokio::select! {
    ///     biased;
    ///     _ = &mut permit => {}
    ///     () = std::future::ready(()) => {
    ///         // `permit` waits in the queue, and is granted while this branch waits:
    ///         let second = limiter.acquire([&db]).await;
    ///         assert_eq!(second.expect_err("5 s later").reason(), Reason::Timeout);
    ///     }
    /// }
    /// let permit = permit.await?; // granted long ago
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Await the future, spawn it, or drop it before something else is awaited. The
    /// [guide](crate::guide::deadlocks) has more of these.
    ///
    /// # Cooperation
    ///
    /// A request that is decided when it is first polled takes part in tokio's
    /// [cooperative budget](tokio::task::coop).
    ///
    /// # Panics
    ///
    /// At the call, at the caller's line: if the set is empty, names a resource twice or one of
    /// another limiter, claims 0 units, more than the limit or more than the floor of an adaptive
    /// one, or is out of order (see [`LimiterBuilder::allow_any_order`]). When it has to wait:
    /// outside a tokio runtime with a time driver.
    #[track_caller]
    pub fn acquire<I>(&self, set: I) -> Acquire
    where
        I: IntoIterator,
        I::Item: Into<Claim>,
    {
        self.request(set).acquire()
    }

    /// Takes the set if that can be done at once. Works outside any runtime.
    ///
    /// Of a resource that is shared between processes it takes only what can be had without asking
    /// anybody; where every permit is asked for, that is nothing. To ask once and not wait, say
    /// [`.request(set)`](Self::request)`.timeout(Duration::ZERO).acquire().await`.
    ///
    /// # Errors
    ///
    /// [`Reason::NotNow`] if the set is not free, a rate does not allow it now, or an earlier
    /// request waits for it; [`Reason::Closed`] after [`close`](Self::close).
    ///
    /// # Panics
    ///
    /// If the set is wrong, as [`acquire`](Self::acquire).
    #[track_caller]
    pub fn try_acquire<I>(&self, set: I) -> Result<Permit, Rejection>
    where
        I: IntoIterator,
        I::Item: Into<Claim>,
    {
        self.request(set).try_acquire()
    }

    /// Waits for the set, calls `work`, and returns the set when its future is done, dropped, or
    /// has panicked.
    ///
    /// Ordering, cancel safety, errors and panics are those of [`acquire`](Self::acquire).
    #[track_caller]
    pub fn run<I, F, Fut>(&self, set: I, work: F) -> Run<F, Fut>
    where
        I: IntoIterator,
        I::Item: Into<Claim>,
        F: FnOnce() -> Fut,
        Fut: Future,
    {
        self.request(set).run(work)
    }

    /// A request that says more than its set.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tower_concurrency_limiter::{Limiter, Rejection, Resource};
    /// # async fn job(limiter: &Limiter, db: &Resource) -> Result<(), Rejection> {
    /// let permit = limiter.request([db]).timeout(Duration::from_secs(60)).acquire().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// If the set is wrong, as [`acquire`](Self::acquire). [`try_request`](Self::try_request)
    /// returns an error instead.
    #[track_caller]
    pub fn request<I>(&self, set: I) -> AcquireRequest
    where
        I: IntoIterator,
        I::Item: Into<Claim>,
    {
        match self.try_request(set) {
            Ok(request) => request,
            Err(error) => panic!("{error}"),
        }
    }

    /// A request for a set that is not known to be right, say from configuration.
    ///
    /// # Errors
    ///
    /// If the set is wrong, as [`acquire`](Self::acquire) describes.
    pub fn try_request<I>(&self, set: I) -> Result<AcquireRequest, InvalidSet>
    where
        I: IntoIterator,
        I::Item: Into<Claim>,
    {
        Ok(AcquireRequest::new(self.set(set)?))
    }

    /// Turns away everybody who waits and everybody who comes, with [`Reason::Closed`]. Permits
    /// that are held stay valid. For good, and for every clone of the limiter; closing it again
    /// does nothing. See [`drained`](Self::drained), and the [guide](crate::guide::shutdown) for a
    /// server.
    pub fn close(&self) {
        self.0.gate.close();
    }

    /// Waits until nothing is held of any resource, in this process: after [`close`](Self::close),
    /// that the work is done. Without closing it waits for a moment in which nothing is held, which
    /// may never come.
    ///
    /// While somebody waits for this, every return of a permit takes the limiter's lock.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tower_concurrency_limiter::{Limiter, Resource};
    /// # async fn shut_down(limiter: Limiter) {
    /// limiter.close();
    /// let in_time = tokio::time::timeout(Duration::from_secs(10), limiter.drained()).await;
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn drained(&self) {
        self.0.gate.drained().await;
    }

    /// The resources, in canonical order.
    pub fn registered_resources(&self) -> &[Resource] {
        self.0.gate.resources()
    }
}

impl Inner {
    /// A refusal of the gate as the user sees it, of a set whose first resource is this.
    #[cold]
    pub(crate) fn rejection(&self, first: u32, refused: Refused) -> Rejection {
        let refusal = refused.refusal;
        let reason = match refusal {
            Refusal::Timeout { .. } => Reason::Timeout,
            Refusal::NotNow { .. } => Reason::NotNow,
            Refusal::WouldTimeOut { .. } => Reason::WouldTimeOut,
            Refusal::QueueFull { .. } => Reason::QueueFull,
            Refusal::Shed { .. } => Reason::Shed,
            Refusal::Closed => Reason::Closed,
            Refusal::Unavailable { .. } => Reason::Unavailable,
        };
        let resource = refusal.resource().unwrap_or(first);
        let resource = self.gate.resources()[resource as usize].shared_name();
        let rejection = Rejection::new(
            reason,
            refusal.by_rate(),
            Arc::clone(resource),
            refused.waited,
            refused.retry_after,
            self.responder.clone(),
        );
        crate::observe::rejected(&rejection);
        rejection
    }
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limiter")
            .field("timeout", &self.0.timeout)
            .field("resources", &self.registered_resources())
            .finish_non_exhaustive()
    }
}
