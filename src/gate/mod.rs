//! The thin shell around the decision: a fast path of atomics, one lock, wakers and deadlines.
//!
//! [`Gate::try_enter`] and [`Gate::leave`] are the whole cost of an uncontended request. Everything
//! else happens only while somebody waits: [`Gate::enter`] asks the [`Queue`](crate::admission::Queue)
//! under the lock, a [`Waiter`] is the request's side of its place there, and `timer` ends waits whose
//! deadline has come. Wakers run after the lock is released, a few at a time.

mod clock;
#[cfg(all(test, tcl_loom))]
mod loom_tests;
mod timer;
mod waiter;
mod wakes;

use std::{sync::Arc, time::Duration};

use crate::{
    admission::{Answer, Arrival, Demand, Demands, Ledger, Nanos, Queue, Ticket, Usage},
    resource::Resource,
    sync::{Mutex, MutexGuard, lock},
};
use tokio::runtime;

use clock::Clock;
use timer::{Alarms, Look, Orphaned, Rouse};
use waiter::Node;
pub(crate) use waiter::{Refused, Waiter, Why};
use wakes::Wakes;

/// The resources of one limiter and those who wait for them: one lock domain.
pub(crate) struct Gate {
    resources: Box<[Resource]>,
    clock: Clock,
    state: Mutex<State>,
    orphaned: Orphaned,
}

/// What the lock protects.
struct State {
    queue: Queue<Arc<Node>>,
    alarms: Alarms,
}

/// What [`Gate::enter`] says.
pub(crate) enum Entry {
    Granted,
    Queued(Waiter),
    Refused(Refused),
}

impl Gate {
    /// A gate to these resources, which the caller has registered in this order.
    pub(crate) fn new(resources: Vec<Resource>, max_waiting: usize) -> Self {
        let bounds = resources
            .iter()
            .map(|r| r.max_waiting().unwrap_or(max_waiting));
        Self {
            state: Mutex::new(State {
                queue: Queue::new(bounds),
                alarms: Alarms::new(),
            }),
            resources: resources.into(),
            clock: Clock::start(),
            orphaned: Orphaned::new(false),
        }
    }

    pub(crate) fn resources(&self) -> &[Resource] {
        &self.resources
    }

    /// Tells gates apart, for as long as they live.
    #[cfg_attr(
        not(debug_assertions),
        allow(dead_code, reason = "a debug-build check")
    )]
    pub(crate) fn id(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    #[inline]
    fn resource(&self, index: u32) -> &Resource {
        &self.resources[index as usize]
    }

    /// Takes the whole set if it fits and nobody waits for any of it.
    #[inline]
    pub(crate) fn try_enter(&self, demands: &Demands) -> bool {
        // What is short at one resource shall not keep others, for a moment, from the rest.
        if demands.len() > 1 && !demands.iter().all(|demand| self.has_room(*demand)) {
            return false;
        }
        for (taken, demand) in demands.iter().enumerate() {
            if !self
                .resource(demand.resource)
                .usage()
                .try_take(demand.units)
            {
                self.roll_back(demands, taken);
                return false;
            }
        }
        true
    }

    #[inline]
    fn has_room(&self, demand: Demand) -> bool {
        let usage = self.resource(demand.resource).usage().load();
        usage.barging(demand.units).is_some()
    }

    /// Returns what was taken of a set that fits only in part. Somebody may have queued because of
    /// it, so this is a release like any other.
    #[cold]
    fn roll_back(&self, demands: &Demands, taken: usize) {
        if taken > 0 {
            self.leave(&Demands::collect(demands[..taken].iter().copied()));
        }
    }

    /// Returns a set that was granted.
    #[inline]
    pub(crate) fn leave(&self, demands: &Demands) {
        let mut contended = false;
        for demand in &**demands {
            contended |= self
                .resource(demand.resource)
                .usage()
                .give_back(demand.units);
        }
        if contended {
            self.hand_over(demands);
        }
    }

    #[cold]
    fn hand_over(&self, demands: &Demands) {
        let mut state = lock(&self.state);
        for demand in &**demands {
            state.queue.freed(demand.resource);
        }
        self.settle(state);
    }

    /// Asks the queue: grants, queues or refuses.
    #[cold]
    pub(crate) fn enter(
        self: &Arc<Self>,
        demands: &Demands,
        timeout: Duration,
        max_waiting: Option<usize>,
    ) -> Entry {
        let arrived = self.clock.now();
        let deadline = arrived.saturating_add(nanos(timeout));
        let node = Arc::new(Node::new());
        let runtime = runtime::Handle::try_current().ok();
        let arrival = Arrival {
            payload: Arc::clone(&node),
            demands: demands.clone(),
            deadline,
            max_waiting,
        };
        let mut state = lock(&self.state);
        let answer = state.queue.arrive(arrived, arrival, &mut self.ledger());
        let rouse = match answer {
            Answer::Queued(_) => state.alarms.rouse(runtime.as_ref(), deadline),
            _ => Rouse::Nobody,
        };
        drop(state);
        let why = match answer {
            Answer::Granted => return Entry::Granted,
            Answer::Queued(ticket) => {
                let waiter = Waiter::new(self, node, ticket, demands.clone(), arrived);
                match rouse {
                    Rouse::Nobody => {}
                    Rouse::Ring(bell) => bell.notify_one(),
                    Rouse::Start => self.start_timer(runtime),
                }
                return Entry::Queued(waiter);
            }
            Answer::NoTime { short } => Why::Timeout { short },
            Answer::Full { resource } => Why::Full { resource },
        };
        Entry::Refused(Refused {
            why,
            waited: Duration::ZERO,
        })
    }

    /// A waiter gives up its place; `false` if it has had its verdict already.
    fn cancel(&self, ticket: Ticket) -> bool {
        let mut state = lock(&self.state);
        let node = state.queue.cancel(ticket, &mut self.ledger());
        let cancelled = node.is_some();
        if cancelled {
            self.settle(state);
        }
        cancelled
    }

    /// Carries out every verdict that has become possible.
    fn settle<'a>(&'a self, mut state: MutexGuard<'a, State>) {
        if !state.queue.is_dirty() {
            return;
        }
        loop {
            let mut wakes = Wakes::default();
            let now = self.clock.now();
            while !wakes.is_full() {
                match state.queue.next_verdict(now, &mut self.ledger()) {
                    Some((node, verdict)) => wakes.add(node.resolve(verdict)),
                    None => break,
                }
            }
            let more = state.queue.is_dirty();
            drop(state);
            wakes.wake();
            if !more {
                return;
            }
            state = lock(&self.state);
        }
    }

    /// Times out waiters whose deadline has come, some at a time, and says when the timer of
    /// `runtime` (a loom test has none) should look again.
    fn expire(&self, runtime: Option<runtime::Id>) -> Look {
        for _ in 0..timer::BATCH {
            let mut state = lock(&self.state);
            let mut wakes = Wakes::default();
            let now = self.clock.now();
            while !wakes.is_full() {
                match state.queue.next_expired(now, &mut self.ledger()) {
                    Some((node, verdict)) => wakes.add(node.resolve(verdict)),
                    None => {
                        let next = state.queue.next_deadline();
                        if let Some(runtime) = runtime {
                            state.alarms.set(runtime, next);
                        }
                        self.settle(state);
                        wakes.wake();
                        return next.map_or(Look::Never, Look::At);
                    }
                }
            }
            self.settle(state);
            wakes.wake();
        }
        Look::Again
    }

    fn ledger(&self) -> Words<'_> {
        Words(&self.resources)
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        for resource in &self.resources {
            resource.usage().unregister();
        }
    }
}

fn nanos(duration: Duration) -> Nanos {
    Nanos::try_from(duration.as_nanos()).unwrap_or(Nanos::MAX)
}

/// The words of the resources as the queue's ledger.
struct Words<'a>(&'a [Resource]);

impl Words<'_> {
    fn of(&self, resource: u32) -> &crate::resource::SharedUsage {
        self.0[resource as usize].usage()
    }
}

impl Ledger for Words<'_> {
    fn usage(&self, resource: u32) -> Usage {
        self.of(resource).load()
    }

    fn take(&mut self, resource: u32, units: u32) {
        self.of(resource).take(units);
    }

    fn contend(&mut self, resource: u32) {
        self.of(resource).contend();
    }

    fn waiting(&mut self, resource: u32, waiters: usize) {
        self.of(resource).set_waiting(waiters);
    }
}
