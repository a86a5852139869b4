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

use std::{sync::Arc, task::Waker, time::Duration};

use crate::{
    admission::{Answer, Arrival, Demand, Ledger, Nanos, Queue, Ticket, Usage, Verdict},
    resource::{Resource, SharedUsage},
    sync::{Mutex, MutexGuard, lock},
};
use tokio::runtime;

use clock::Clock;
use timer::{Alarms, Rouse};
pub(crate) use waiter::{Claimant, Refused, Waiter, Why};
use waiter::{Party, Slip};
use wakes::Wakes;

/// The resources of one limiter and those who wait for them: one lock domain.
pub(crate) struct Gate {
    resources: Box<[Resource]>,
    clock: Clock,
    state: Mutex<State>,
}

/// What the lock protects.
struct State {
    queue: Queue<Party>,
    alarms: Alarms,
}

/// What [`Gate::enter`] says.
pub(crate) enum Entry<C: Claimant> {
    /// The set is the claimant's, who has to see to its [`leave`](Gate::leave).
    Granted(C),
    Queued(Waiter<C>),
    Refused(C, Refused),
}

/// How a request waits that was not let in at first sight.
pub(crate) struct Wait<'a> {
    /// When it arrived, on the gate's clock.
    pub(crate) arrived: Nanos,
    pub(crate) timeout: Duration,
    pub(crate) max_waiting: Option<usize>,
    pub(crate) waker: &'a Waker,
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

    /// Takes the whole set if it fits and nobody waits for any of it.
    #[inline]
    pub(crate) fn try_enter(&self, demands: &[Demand]) -> bool {
        match demands {
            [only] => self.usage(*only).try_take(only.units),
            several => self.try_enter_all(several),
        }
    }

    fn try_enter_all(&self, demands: &[Demand]) -> bool {
        // What is short at one resource shall not keep others, for a moment, from the rest.
        let fits = |d: &Demand| self.usage(*d).load().barging(d.units).is_some();
        if !demands.iter().all(fits) {
            return false;
        }
        let taken = demands
            .iter()
            .take_while(|d| self.usage(**d).try_take(d.units))
            .count();
        if taken < demands.len() {
            // Somebody may have queued because of these, so this is a release like any other.
            self.leave(&demands[..taken]);
        }
        taken == demands.len()
    }

    /// Returns a set that was granted.
    #[inline]
    pub(crate) fn leave(&self, demands: &[Demand]) {
        let contended = match demands {
            [only] => self.usage(*only).give_back(only.units),
            several => several.iter().fold(false, |contended, demand| {
                self.usage(*demand).give_back(demand.units) | contended
            }),
        };
        if contended {
            self.hand_over(demands);
        }
    }

    #[inline]
    fn usage(&self, demand: Demand) -> &SharedUsage {
        self.resources[demand.resource as usize].usage()
    }

    #[cold]
    fn hand_over(&self, demands: &[Demand]) {
        let now = self.clock.now();
        let mut state = lock(&self.state);
        for demand in demands {
            state.queue.freed(demand.resource);
        }
        self.settle(state, now);
    }

    /// Asks the queue: grants, queues or refuses.
    #[cold]
    pub(crate) fn enter<C: Claimant>(claimant: C, wait: Wait<'_>) -> Entry<C> {
        let gate = claimant.gate();
        let deadline = match wait.timeout {
            Duration::ZERO => wait.arrived, // now or never
            timeout => wait.arrived.saturating_add(nanos(timeout)),
        };
        let slip = Slip::blank();
        let arrival = Arrival {
            payload: Party {
                waker: wait.waker.clone(),
                slip: Arc::clone(&slip),
            },
            demands: claimant.demands().clone(),
            deadline,
            max_waiting: wait.max_waiting,
        };
        let mut state = lock(&gate.state);
        let arrive = |state: &mut State, arrival| {
            state
                .queue
                .arrive(wait.arrived, arrival, &mut gate.ledger())
        };
        let (mut answer, mut unused) = arrive(&mut state, arrival);
        if let Answer::NoTime { .. } | Answer::Full { .. } = answer {
            let now = gate.clock.now();
            if state.queue.is_due(now) {
                // Nobody is turned away for those whose time is over.
                gate.settle(state, now);
                state = lock(&gate.state);
                let arrival = unused.take().expect("comes back with a refusal");
                (answer, unused) = arrive(&mut state, arrival);
            }
        }
        let rouse = match answer {
            Answer::Queued(_) => state.alarms.rouse(deadline),
            _ => Rouse::Nobody,
        };
        drop(state);
        drop(unused); // after the lock: dropping a waker is somebody else's code
        let why = match answer {
            Answer::Queued(ticket) => {
                let gate = Arc::clone(gate);
                let waiter = Waiter::new(claimant, slip, ticket, wait.arrived);
                gate.carry_out(rouse);
                return Entry::Queued(waiter);
            }
            // Its first poll may have come late.
            Answer::Granted if !wait.timeout.is_zero() && gate.clock.now() > deadline => {
                gate.leave(claimant.demands());
                let short = claimant.demands()[0].resource;
                Why::Timeout { short }
            }
            Answer::Granted => return Entry::Granted(claimant),
            Answer::NoTime { short } => Why::Timeout { short },
            Answer::Full { resource } => Why::Full { resource },
        };
        let waited = Duration::ZERO;
        Entry::Refused(claimant, Refused { why, waited })
    }

    /// The time, on the gate's clock.
    pub(crate) fn now(&self) -> Nanos {
        self.clock.now()
    }

    pub(crate) fn since(&self, time: Nanos) -> Duration {
        Duration::from_nanos(self.clock.now().saturating_sub(time))
    }

    /// A waiter leaves the queue; `false` if it has had its verdict.
    fn give_up(&self, ticket: Ticket) -> bool {
        let mut state = lock(&self.state);
        let Some(party) = state.queue.cancel(ticket, &mut self.ledger()) else {
            return false;
        };
        if state.queue.is_dirty() {
            self.settle(state, self.clock.now());
        } else {
            drop(state);
        }
        drop(party); // after the lock: dropping a waker is somebody else's code
        true
    }

    /// Carries out every verdict that has become possible. Some of those whose deadline has passed are
    /// timed out on the way: in an overload the timer may have to wait for its turn, too.
    fn settle<'a>(&'a self, mut state: MutexGuard<'a, State>, now: Nanos) {
        loop {
            let mut wakes = Wakes::default();
            let mut more = true;
            while more && !wakes.is_full() {
                match state.next_verdict(now, &mut self.ledger()) {
                    Some((party, verdict)) => {
                        party.slip.write(verdict);
                        wakes.add(party.waker);
                        more = state.queue.is_dirty() || state.queue.is_due(now);
                    }
                    None => more = false,
                }
            }
            drop(state);
            wakes.wake();
            if !more {
                return;
            }
            state = lock(&self.state);
        }
    }

    /// Times out every waiter whose deadline has come, and says when the timer of `runtime` (a loom
    /// test has none) should look again.
    fn expire(&self, runtime: Option<runtime::Id>) -> Option<Nanos> {
        loop {
            let now = self.clock.now();
            let mut state = lock(&self.state);
            if state.queue.is_due(now) {
                self.settle(state, now);
                continue;
            }
            let next = state.queue.next_deadline();
            if let Some(runtime) = runtime {
                state.alarms.set(runtime, next);
            }
            return next;
        }
    }

    fn ledger(&self) -> Words<'_> {
        Words(&self.resources)
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        lock(&self.state).alarms.ring_all();
        for resource in &self.resources {
            resource.usage().unregister();
        }
    }
}

impl State {
    /// Whoever can go comes before whoever is out of time.
    fn next_verdict(&mut self, now: Nanos, ledger: &mut Words<'_>) -> Option<(Party, Verdict)> {
        let verdict = match self.queue.is_dirty() {
            true => self.queue.next_verdict(now, ledger),
            false => None,
        };
        verdict.or_else(|| self.queue.next_expired(now, ledger))
    }
}

fn nanos(duration: Duration) -> Nanos {
    Nanos::try_from(duration.as_nanos()).unwrap_or(Nanos::MAX)
}

/// The words of the resources as the queue's ledger.
struct Words<'a>(&'a [Resource]);

impl Words<'_> {
    fn of(&self, resource: u32) -> &SharedUsage {
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
