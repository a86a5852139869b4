//! The thin shell around the decision: a fast path of atomics, queues under locks, wakers and
//! deadlines.
//!
//! A request takes one way in. [`Gate::try_acquire`] and [`Gate::release`] are the whole cost while
//! nothing waits (`fast_path`). [`Gate::acquire`] admits, queues or refuses (`acquire`): at the
//! FIFO of a resource while nothing but the order of arrival decides there (`fifo`), or else at the
//! general [`Queue`](crate::admission::Queue), under one lock. A [`Waiter`] is the request's side
//! of its place in a queue, `dispatch` carries out what the queue decides, and `timers` end waits.
//! A grant is a [`Granted`] value, which releases the set when it is dropped. Wakers are called
//! after the lock is released, a few at a time.

mod acquire;
mod adaptive;
mod clock;
mod clocks;
mod dispatch;
mod drained;
mod dry_run;
mod fast_path;
mod fifo;
mod fifo_dispatch;
mod granted;
mod leases;
mod ledger;
mod live_changes;
#[cfg(all(test, tcl_loom))]
mod loom_tests;
mod notes;
mod record;
mod remote;
mod request;
#[cfg(all(test, not(tcl_loom)))]
mod tests;
mod timers;
mod waiter;
mod waiter_cell;
mod wake_list;

use std::{sync::atomic::AtomicBool, time::Duration};

use crate::{
    admission::{DryRun, Nanos, Queue, ResourceSpec},
    resource::Resource,
    sync::{Mutex, MutexGuard, lock},
};

use adaptive::AdaptiveResource;
use clock::{Clock, nanos};
use clocks::{Clocks, Readings};
use drained::Drains;
use fifo::FifoQueue;
pub(crate) use granted::{Claimant, GateSet, Granted};
pub(crate) use leases::Leases;
pub(crate) use record::Record;
use remote::RemoteLimits;
pub(crate) use request::{Refused, WaitOptions};
use timers::Timers;
pub(crate) use waiter::{AcquireResult, Waited, Waiter};
use waiter_cell::Registration;

/// The resources of one limiter and the requests that wait for them.
pub(crate) struct Gate {
    resources: Box<[Resource]>,
    /// By resource. They serve the plain ones.
    fifos: Box<[FifoQueue]>,
    /// Whether some resource has more to it than its limit.
    has_rules: bool,
    /// The resources with an adaptive limit.
    adaptive: Box<[u32]>,
    remote: RemoteLimits,
    /// The queue knows, too, under the lock.
    is_closed: AtomicBool,
    clock: Clock,
    readings: Readings,
    state: Mutex<State>,
}

/// What the lock protects.
struct State {
    queue: Queue<Registration>,
    timers: Timers,
    clocks: Clocks,
    /// The FIFOs at which the timers look.
    fifos: Vec<u32>,
    /// By resource.
    adaptive: Vec<Option<AdaptiveResource>>,
    /// The callers that wait until nothing is in use.
    drains: Drains,
    /// What would be decided about resources in a dry run.
    dry_run: Option<Box<DryRun>>,
}

impl Gate {
    /// A gate to these resources, which the caller has registered in this order. A waiter can be
    /// overtaken by priority until its deadline, or for as long as the `credit`.
    pub(crate) fn new(
        resources: Vec<Resource>,
        max_waiting: usize,
        credit: Option<Duration>,
    ) -> Self {
        let credit = credit.map(nanos);
        let adaptive: Vec<_> = resources.iter().map(Self::adaptive).collect();
        let bound = |resource: &Resource| resource.max_waiting().unwrap_or(max_waiting);
        let spec = |resource: &Resource, rules| ResourceSpec {
            max_waiting: bound(resource),
            limit: resource.usage().load().limit(),
            rules,
        };
        let specs = resources.iter().map(|r| spec(r, r.rules().enforced()));
        let dry_run = resources.iter().any(|r| r.rules().is_dry).then(|| {
            let specs = resources.iter().map(|r| spec(r, r.rules().foretold()));
            Box::new(DryRun::new(specs.collect(), credit))
        });
        let has_more = |r: &Resource| !r.rules().is_plain() || r.is_shared();
        for resource in resources.iter().filter(|r| has_more(r)) {
            resource.usage().set_contended(); // always by way of the general queue
        }
        // A waiter that ages must not lose its place among others when it moves to the general
        // queue.
        let is_plain = |r: &Resource| !has_more(r) && credit.is_none();
        let fifos = resources
            .iter()
            .map(|r| FifoQueue::new(bound(r), is_plain(r)));
        let moving = (0..).zip(&adaptive).filter(|(_, limit)| limit.is_some());
        Self {
            adaptive: moving.map(|(resource, _)| resource).collect(),
            fifos: fifos.collect(),
            state: Mutex::new(State {
                queue: Queue::new(specs, credit),
                timers: Timers::new(),
                clocks: Clocks::new(),
                fifos: Vec::new(),
                adaptive,
                drains: Drains::default(),
                dry_run,
            }),
            has_rules: resources.iter().any(|r| !r.rules().is_plain()),
            resources: resources.into(),
            remote: RemoteLimits::default(),
            is_closed: AtomicBool::new(false),
            clock: Clock::start(),
            readings: Readings::new(),
        }
    }

    pub(crate) fn resources(&self) -> &[Resource] {
        &self.resources
    }

    /// Differs between gates for as long as they live.
    #[cfg_attr(
        not(debug_assertions),
        allow(dead_code, reason = "a debug-build check")
    )]
    pub(crate) fn id(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// The time, on the clock of the code that runs on this thread.
    #[inline]
    pub(crate) fn now(&self) -> Nanos {
        self.clock.now()
    }

    pub(crate) fn since(&self, time: Nanos) -> Duration {
        Duration::from_nanos(self.clock.now().saturating_sub(time))
    }

    /// The state, and the time.
    fn lock_now(&self) -> (MutexGuard<'_, State>, Nanos) {
        let now = self.clock.now();
        let mut state = lock(&self.state);
        let now = self.tick(&mut state, now);
        (state, now)
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        state.timers.ring_all();
        for (resource, adaptive) in self.resources.iter().zip(&mut state.adaptive) {
            resource.restore_adaptive(adaptive.take().map(AdaptiveResource::into_inner));
            resource.usage().clear_contended();
            resource.usage().unregister();
        }
    }
}
