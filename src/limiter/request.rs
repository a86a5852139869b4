//! A request for a set, with attributes and a timeout of its own.

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

    /// Sets how long this request can be queued, instead of the timeout of the limiter. If it is
    /// zero, the request is not queued: if it cannot be admitted at once, it is rejected with
    /// [`Reason::NotNow`](crate::Reason::NotNow). It makes one call to the server of each resource
    /// that is shared between processes.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets the priority: requests of higher priority are admitted first, among those that wait in
    /// the same lane. Default: [`Priority::DEFAULT`]. A request can be overtaken until its
    /// deadline, or for the [credit](crate::limiter::LimiterBuilder::priority_credit) of the
    /// limiter, if that is set. If the queue is full, a request takes the place of one of lower
    /// priority.
    pub fn priority(mut self, priority: impl Into<Priority>) -> Self {
        self.claims.priority = priority.into().get();
        self
    }

    /// Sets the lane, at each resource of the set that has [lanes](crate::Lanes): a name or a key.
    /// Default: [none](LaneKey::none).
    pub fn lane<'a>(mut self, lane: impl Into<LaneKey<'a>>) -> Self {
        let is_shared = self.set.is_shared();
        lane.into().claim(&mut self.claims, is_shared);
        self
    }

    /// Sets the load under [load rates](crate::resource::ResourceBuilder::load_rate): tokens, bytes
    /// or rows. Default: 1. Load rates do not delay a load of 0. A load above what a rate admits at
    /// once waits until that much can be admitted, and later requests wait for the rest. Values
    /// above what the rate admits in a whole period are clamped to that.
    pub fn load(mut self, load: u64) -> Self {
        self.claims.load = load;
        self
    }

    /// Sets the [timeout](Self::timeout), and rejects the request on arrival, with
    /// [`Reason::WouldTimeOut`](crate::Reason::WouldTimeOut), if it is expected to be queued for
    /// longer than that.
    ///
    /// The estimate counts the requests ahead, those for the same resources in the same lanes of
    /// its priority or above, and the pace at which such requests have been admitted. It does not
    /// foresee rates. There is no estimate, and the request is queued, while the pace is unknown,
    /// while overload control finds the queue standing, and at resources that are shared between
    /// processes.
    ///
    /// The pace is known after eight admissions of waiting requests, if they took a second of
    /// waiting in all or were twice as many as the limit. Times in which the queue is empty do not
    /// count. The pace is unknown again if no waiting request has been admitted for 5 s (at a slow
    /// resource, for twice the time between admissions), if the limit is raised by more than a
    /// quarter, and after a limit of 0.
    pub fn fail_fast_deadline(mut self, within: Duration) -> Self {
        self.timeout = Some(within);
        self.claims.fail_fast = true;
        self
    }

    /// Rejects this request if as many others are queued, instead of the bounds of the resources.
    pub fn max_waiting(mut self, requests: usize) -> Self {
        self.max_waiting = Some(requests);
        self
    }

    /// Acquires the set; see [`Limiter::acquire`](crate::Limiter::acquire).
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

    /// Acquires the set if it is available now.
    ///
    /// # Errors
    ///
    /// Those of [`Limiter::try_acquire`](crate::Limiter::try_acquire).
    pub fn try_acquire(self) -> Result<Permit, Rejection> {
        let load = self.claims.load;
        let granted = acquisition::try_acquire(self.set, self.claims, self.max_waiting);
        granted.map(|granted| Permit::new(granted.map(GateSet::from), load))
    }

    /// Acquires the set, runs `work`, and releases the set; see
    /// [`Limiter::run`](crate::Limiter::run).
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
