//! The limiter: its resources, and requests for them from code that is not a service.

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

/// The default [timeout](LimiterBuilder::timeout) of requests in the queue: 5 s.
///
/// Most clients give up after 5 to 30 s, and the work for a client that has left is wasted, so the
/// default is at the short end.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// The default [bound](LimiterBuilder::max_waiting) on the queue of a resource: 1,024 requests.
///
/// A queue only has to bridge bursts; the timeout ends longer waits. With 1,024 requests of some
/// kilobytes each, a full queue costs a few megabytes.
pub const DEFAULT_MAX_WAITING: usize = 1024;

/// Grants sets of resources to requests.
///
/// A `Limiter` is a cheap handle; clones refer to the same limiter. Build one at start-up with all
/// resources of the service. Their order is the canonical order in which sets list them.
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
/// let permit = limiter.acquire([&db, &fs]).await?; // both or neither, within 5 s
/// assert_eq!((db.in_use(), fs.in_use()), (1, 1));
/// drop(permit);
///
/// let rows = limiter.run([&db], || query()).await?; // released when `query` is done
/// # assert_eq!(rows, 3);
/// # Ok(())
/// # }
/// ```
///
/// A resource can be registered with one limiter at a time, because the resources of one set share
/// a lock.
#[derive(Clone)]
pub struct Limiter(Arc<LimiterInner>);

pub(crate) struct LimiterInner {
    pub(crate) gate: Arc<Gate>,
    pub(crate) timeout: Duration,
    allows_any_order: bool,
    responder: Responder,
}

impl Limiter {
    /// Creates a limiter of these resources, in canonical order, with this
    /// [timeout](LimiterBuilder::timeout) of requests in the queue.
    ///
    /// # Panics
    ///
    /// If there is no resource, if two have the same name, or if one is registered with another
    /// limiter. [`LimiterBuilder::try_build`] returns an error instead.
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

    /// Creates a builder.
    pub fn builder() -> LimiterBuilder {
        LimiterBuilder::new()
    }

    /// Acquires the set: all of its resources, or none. If they are not available, the request is
    /// queued. Dropping the [`Permit`] releases the set.
    ///
    /// The set is an array or iterator of resources, `[&db, &fs]`, or of claims,
    /// `[db.units(1), fs.units(2)]`, but not of both.
    ///
    /// # Ordering
    ///
    /// Requests for the same resources are admitted in order of arrival, except for lanes,
    /// priorities, reserves and overload control. A request is not overtaken at a resource that it
    /// lacks, and does not block a resource that it does not lack, within the
    /// [bounds](crate::guide::ordering) that the guide states. It arrives, and its deadline starts,
    /// when the future is first polled.
    ///
    /// # Memory ordering
    ///
    /// If a task writes data and then drops its permit, a task that acquires a permit of the same
    /// resource later sees that data: the release *happens before* every later acquire. See
    /// [`Permit`](Permit#memory-ordering).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future removes the request from the queue. If the set was just granted, it is
    /// released, with what it spent of rates and what it held of resources that are shared between
    /// processes. Nothing leaks, but a new future queues at the end.
    ///
    /// # Errors
    ///
    /// * [`Reason::Timeout`] if the set was not available before the deadline.
    /// * [`Reason::NotNow`] if the timeout is zero and the set is not available at once.
    /// * [`Reason::QueueFull`] if the queue is full.
    /// * [`Reason::Shed`] if the request was removed from the queue in favour of others.
    /// * [`Reason::Closed`] after [`close`](Self::close), and if the request would have to wait in
    ///   a tokio runtime that shuts down.
    /// * [`Reason::Unavailable`] if a resource is shared between processes and its server cannot be
    ///   reached.
    ///
    /// # Deadlocks
    ///
    /// Once granted, the future holds its set, even if it is not polled again and past its
    /// deadline. A task that stops polling it and waits for the same resource deadlocks until the
    /// second request times out:
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
    /// let permit = permit.await?; // granted meanwhile
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Await the future, spawn it, or drop it before awaiting another one. The
    /// [guide](crate::guide::deadlocks) has more of these.
    ///
    /// # Cooperation
    ///
    /// A request that is admitted or rejected at its first poll consumes tokio's
    /// [cooperative budget](tokio::task::coop).
    ///
    /// # Panics
    ///
    /// The call panics if the set is empty; if it contains a resource twice, or one that is not
    /// registered with this limiter; if it claims 0 units, more than the limit, or more than the
    /// floor of an adaptive limit; or if it is not in canonical order (see
    /// [`LimiterBuilder::allow_any_order`]). The future panics if it has to wait outside of a tokio
    /// runtime with a time driver.
    #[track_caller]
    pub fn acquire<I>(&self, set: I) -> Acquire
    where
        I: IntoIterator,
        I::Item: Into<Claim>,
    {
        self.request(set).acquire()
    }

    /// Acquires the set if it is available now. It can be called outside of a runtime.
    ///
    /// It makes no call to a server. A resource that is shared between processes is available if
    /// this process holds idle permits of it, which it never does in strict mode. For one call
    /// without waiting, use
    /// [`.request(set)`](Self::request)`.timeout(Duration::ZERO).acquire().await`.
    ///
    /// # Errors
    ///
    /// [`Reason::NotNow`] if the set is not available, a rate does not admit it now, or an earlier
    /// request waits for it. [`Reason::Closed`] after [`close`](Self::close).
    ///
    /// # Panics
    ///
    /// If the set is invalid, as [`acquire`](Self::acquire).
    #[track_caller]
    pub fn try_acquire<I>(&self, set: I) -> Result<Permit, Rejection>
    where
        I: IntoIterator,
        I::Item: Into<Claim>,
    {
        self.request(set).try_acquire()
    }

    /// Acquires the set, calls `work`, and releases the set when the future of `work` completes, is
    /// dropped or panics.
    ///
    /// Ordering, cancel safety, errors and panics are those of [`acquire`](Self::acquire). If the
    /// request is rejected, `work` is not called.
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

    /// Creates a request for a set, to be given a timeout, a priority or other attributes.
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
    /// If the set is invalid, as [`acquire`](Self::acquire). [`try_request`](Self::try_request)
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

    /// Creates a request for a set that may be invalid, such as one from configuration.
    ///
    /// # Errors
    ///
    /// If the set is invalid, as [`acquire`](Self::acquire) describes.
    pub fn try_request<I>(&self, set: I) -> Result<AcquireRequest, InvalidSet>
    where
        I: IntoIterator,
        I::Item: Into<Claim>,
    {
        Ok(AcquireRequest::new(self.set(set)?))
    }

    /// Closes the limiter, for all of its clones: queued and later requests are rejected with
    /// [`Reason::Closed`]. Permits stay valid. A closed limiter cannot be opened again; closing it
    /// again has no effect. See [`drained`](Self::drained) to wait for the permits, and the
    /// [guide](crate::guide::shutdown) for a server.
    pub fn close(&self) {
        self.0.gate.close();
    }

    /// Waits until no permit of any resource is held in this process. After [`close`](Self::close)
    /// that is the end of all work. Otherwise it is the first moment without permits, which may
    /// never come.
    ///
    /// While this future waits, every release takes the limiter's lock.
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
    /// Dropping the future has no effect.
    pub async fn drained(&self) {
        self.0.gate.drained().await;
    }

    /// Returns the resources, in canonical order.
    pub fn registered_resources(&self) -> &[Resource] {
        self.0.gate.resources()
    }
}

impl LimiterInner {
    /// Creates the public rejection for a refusal. `first` is the first resource of the set.
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
