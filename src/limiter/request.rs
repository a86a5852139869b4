//! A request for a set, with more to say than the set.

use std::{future::Future, time::Duration};

use super::{Acquire, ResourceSet, Run, acquisition};
use crate::{
    admission::Attributes,
    core::{GateSet, WaitOptions},
    permit::Permit,
    rejection::Rejection,
    resource::{LaneKey, Priority},
};

/// A request for a set of resources; see [`Limiter::request`](crate::Limiter::request).
#[derive(Clone)]
#[must_use = "a request does nothing until `.acquire()`, `.try_acquire()` or `.run(..)`"]
pub struct AcquireRequest {
    set: ResourceSet,
    claims: Attributes,
    timeout: Option<Duration>,
    max_waiting: Option<usize>,
}

impl AcquireRequest {
    pub(super) fn new(set: ResourceSet) -> Self {
        Self {
            set,
            claims: Attributes::default(),
            timeout: None,
            max_waiting: None,
        }
    }

    /// How long this request may be queued, instead of the timeout of the limiter. With zero it is
    /// not queued: if its set is not free at once it is rejected with
    /// [`Reason::NotNow`](crate::Reason::NotNow). Resources that are shared between processes are
    /// asked for once.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// How urgent it is: higher first, among those who wait in the same lane. Default: 10. A waiter
    /// can be overtaken until its deadline, or for at most the limiter's
    /// [credit](crate::limiter::LimiterBuilder::priority_credit), if that is set. When the queue is
    /// full, it takes the place of a lower one.
    pub fn priority(mut self, priority: impl Into<Priority>) -> Self {
        self.claims.priority = priority.into().get();
        self
    }

    /// Its lane, at each resource of the set that has [lanes](crate::Lanes): a name or a key.
    /// Default: that of those who do not say.
    pub fn lane<'a>(mut self, lane: impl Into<LaneKey<'a>>) -> Self {
        let is_shared = self.set.is_shared();
        lane.into().claim(&mut self.claims, is_shared);
        self
    }

    /// What it counts as under [load rates](crate::resource::ResourceBuilder::load_rate): tokens,
    /// bytes or rows. Default: 1. With 0, load rates do not keep it. A load above what can ever
    /// pass at once waits until just that much may, and those after it wait for the rest; more than
    /// passes in a whole period counts as that.
    pub fn load(mut self, load: u64) -> Self {
        self.claims.load = load;
        self
    }

    /// As [`timeout`](Self::timeout), but rejected on arrival, with
    /// [`Reason::WouldTimeOut`](crate::Reason::WouldTimeOut), if those before it in the queue will
    /// keep it longer than that, at the pace at which they are admitted.
    ///
    /// Those before it are the requests for the same resources in the same lanes, of its priority
    /// and above; the pace is that of such requests alone. Rates are not foreseen. In overload mode
    /// while the queue stands, at a resource that is shared between processes, and while the pace
    /// is unknown, the request waits as others do.
    ///
    /// The pace is known after eight admissions of waiters, if they took a second of waiting in all
    /// or were twice as many as the limit; pauses in which the queue is empty do not count. It is
    /// unknown again when no waiter has been admitted for 5 s (at a slow resource, for twice the
    /// time that an admission takes while the queue is not empty), and when the limit was raised by
    /// more than a quarter or was 0.
    pub fn fail_fast_deadline(mut self, within: Duration) -> Self {
        self.timeout = Some(within);
        self.claims.fail_fast = true;
        self
    }

    /// Turns this request away if as many others are queued, instead of what the resources say.
    pub fn max_waiting(mut self, requests: usize) -> Self {
        self.max_waiting = Some(requests);
        self
    }

    /// Waits for the set, as [`Limiter::acquire`](crate::Limiter::acquire) does.
    pub fn acquire(self) -> Acquire {
        let timeout = self.timeout.unwrap_or(self.set.limiter().timeout);
        let options = WaitOptions {
            claims: self.claims,
            timeout,
            max_waiting: self.max_waiting,
            arrived: None,
        };
        Acquire::new(self.set, options)
    }

    /// Takes the set if that can be done at once.
    ///
    /// # Errors
    ///
    /// Those of [`Limiter::try_acquire`](crate::Limiter::try_acquire).
    pub fn try_acquire(self) -> Result<Permit, Rejection> {
        let load = self.claims.load;
        let granted = acquisition::try_acquire(self.set, self.claims, self.max_waiting);
        granted.map(|granted| Permit::new(granted.map(GateSet::from), load))
    }

    /// Waits for the set, calls `work`, and returns the set when its future is done, dropped, or
    /// has panicked, as [`Limiter::run`](crate::Limiter::run) does.
    ///
    /// # Errors
    ///
    /// Those of [`Limiter::acquire`](crate::Limiter::acquire); `work` is not called then.
    pub fn run<F, Fut>(self, work: F) -> Run<F, Fut>
    where
        F: FnOnce() -> Fut,
        Fut: Future,
    {
        Run::new(self.acquire(), work)
    }
}

impl std::fmt::Debug for AcquireRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AcquireRequest")
            .field("resources", &self.set.names())
            .field("priority", &self.claims.priority)
            .field("load", &self.claims.load)
            .field("timeout", &self.timeout)
            .field("max_waiting", &self.max_waiting)
            .finish()
    }
}
