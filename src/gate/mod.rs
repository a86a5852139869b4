//! The thin shell around the decision: a fast path of atomics, one lock, wakers and deadlines.
//!
//! [`Gate::try_enter`] and [`Gate::leave`] are the whole cost of an uncontended request. Everything
//! else happens only while somebody waits: [`Gate::enter`] asks the [`Queue`](crate::admission::Queue)
//! under the lock, a [`Waiter`] is the request's side of its place there, and `timer` ends waits whose
//! deadline has come. Wakers run after the lock is released, a few at a time.

mod adaptive;
mod clock;
mod clocks;
mod dry;
mod grant;
mod leases;
mod live;
#[cfg(all(test, tcl_loom))]
mod loom_tests;
mod shared;
#[cfg(all(test, not(tcl_loom)))]
mod tests;
mod timer;
mod waiter;
mod wakes;

use std::{
    sync::{Arc, atomic::AtomicBool},
    task::Waker,
    time::Duration,
};

use crate::{
    admission::{
        Answer, Arrival, Claims, Demand, Ledger, LineSpec, Nanos, Queue, Shadow, Ticket, Usage,
        Verdict,
    },
    resource::{Resource, SharedUsage},
    sync::{Mutex, MutexGuard, lock},
};
use tokio::runtime;

use adaptive::AdaptiveResource;
use clock::Clock;
use clocks::Clocks;
pub(crate) use grant::Grant;
pub(crate) use leases::Leases;
use live::Drains;
use shared::Shares;
use timer::{Alarms, Rouse};
pub(crate) use waiter::{Claimant, Granted, Refused, Waiter, Why};
use waiter::{Party, Slip};
use wakes::{Wakes, wake};

/// The resources of one limiter and those who wait for them: one lock domain.
pub(crate) struct Gate {
    resources: Box<[Resource]>,
    /// Whether some resource has more to it than its limit.
    has_rules: bool,
    /// Those with a limit that moves by itself.
    adaptive: Box<[u32]>,
    shares: Shares,
    /// The queue says so, too, under the lock.
    is_closed: AtomicBool,
    clock: Clock,
    state: Mutex<State>,
}

/// What the lock protects.
struct State {
    queue: Queue<Party>,
    alarms: Alarms,
    clocks: Clocks,
    /// By resource.
    adaptive: Vec<Option<AdaptiveResource>>,
    /// Those who wait for nothing to be in use.
    drains: Drains,
    /// What would be decided about the resources that keep nobody.
    shadow: Option<Box<Shadow>>,
}

/// What [`Gate::enter`] says.
pub(crate) enum Entry<C: Claimant> {
    /// The set is the claimant's, who has to see to its [`leave`](Gate::leave), or where there is
    /// something to remember, to that grant's [`give_back`](Gate::give_back).
    Granted(C, Option<Box<Grant>>),
    Queued(Waiter<C>),
    Refused(C, Refused),
}

/// How a request waits that was not let in at first sight.
pub(crate) struct Wait<'a> {
    pub(crate) claims: Claims,
    /// When it arrived, on the gate's clock.
    pub(crate) arrived: Nanos,
    pub(crate) timeout: Duration,
    pub(crate) max_waiting: Option<usize>,
    pub(crate) waker: &'a Waker,
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
        let spec = |resource: &Resource, rules| LineSpec {
            max_waiting: resource.max_waiting().unwrap_or(max_waiting),
            limit: resource.usage().load().limit(),
            rules,
        };
        let specs = resources.iter().map(|r| spec(r, r.rules().enforced()));
        let shadow = resources.iter().any(|r| r.rules().is_dry).then(|| {
            let specs = resources.iter().map(|r| spec(r, r.rules().foretold()));
            Box::new(Shadow::new(specs.collect(), credit))
        });
        let has_more = |r: &&Resource| !r.rules().is_plain() || r.is_shared();
        for resource in resources.iter().filter(has_more) {
            resource.usage().contend(); // always by way of the queue
        }
        let moving = (0..).zip(&adaptive).filter(|(_, limit)| limit.is_some());
        Self {
            adaptive: moving.map(|(resource, _)| resource).collect(),
            state: Mutex::new(State {
                queue: Queue::new(specs, credit),
                alarms: Alarms::new(),
                clocks: Clocks::new(),
                adaptive,
                drains: Drains::default(),
                shadow,
            }),
            has_rules: resources.iter().any(|r| !r.rules().is_plain()),
            resources: resources.into(),
            shares: Shares::default(),
            is_closed: AtomicBool::new(false),
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
        let (mut state, now) = self.lock_now();
        for demand in demands {
            state.queue.freed(demand.resource);
        }
        self.settle(state, now);
    }

    /// Asks the queue: grants, queues or refuses.
    #[cold]
    pub(crate) fn enter<C: Claimant>(claimant: C, wait: Wait<'_>) -> Entry<C> {
        let gate = claimant.gate();
        let last_reading = wait.arrived.saturating_add(nanos(wait.timeout));
        let slip = Slip::blank();
        let arrival = Arrival {
            payload: Party {
                waker: wait.waker.clone(),
                slip: Arc::clone(&slip),
                runtime: None,
            },
            demands: claimant.demands().clone(),
            deadline: last_reading,
            claims: wait.claims,
            max_waiting: wait.max_waiting,
        };
        let arrive = |state: &mut State, now, mut arrival: Arrival<Party>| {
            arrival.deadline = match wait.timeout.is_zero() {
                true => now, // or never
                false => state.clocks.at(last_reading),
            };
            state.queue.arrive(now, arrival, &mut gate.ledger())
        };
        // Rates count what is taken when it is taken, and the first poll may have come late.
        let now = match gate.has_rules {
            true => gate.clock.now(),
            false => wait.arrived,
        };
        let mut state = lock(&gate.state);
        let mut now = gate.tick(&mut state, now);
        if gate.has_rules {
            gate.relieve(&mut state, claimant.demands(), now);
        }
        let (mut answer, mut unused) = arrive(&mut state, now, arrival);
        if let Answer::NoTime { .. } | Answer::Hopeless { .. } | Answer::Full { .. } = answer {
            let later = gate.tick(&mut state, gate.clock.now());
            if state.queue.is_due(later) {
                // Nobody is turned away for those whose time is over.
                gate.settle(state, later);
                state = lock(&gate.state);
                now = gate.tick(&mut state, gate.clock.now());
                let arrival = unused.take().expect("comes back with a refusal");
                (answer, unused) = arrive(&mut state, now, arrival);
            }
        }
        let remembered = match (answer, &unused) {
            _ if !gate.remembers(claimant.demands()) => None,
            (Answer::Queued(ticket), _) => state.queue.demands(ticket).cloned(),
            (Answer::Granted, Some(arrival)) => Some(arrival.demands.clone()),
            _ => None,
        };
        let remembered = remembered.map(|demands| {
            let load = state.queue.bounded_load(&demands, wait.claims.load);
            (demands, load)
        });
        let (why, retry_after, rouse) = match answer {
            Answer::Queued(ticket) => {
                gate.look_again(&mut state);
                let deadline = state.clocks.at(last_reading);
                let rouse = state.watch(ticket, gate.clock.runtime(), deadline);
                (None, None, rouse)
            }
            Answer::Granted => (None, None, Rouse::Nobody),
            refusal => {
                let why = state.why(refusal, &wait, now);
                let load = wait.claims.load;
                let retry = why.resource();
                let retry = retry.and_then(|resource| state.retry_after(resource, load, now));
                (Some(why), retry, Rouse::Nobody)
            }
        };
        if state.queue.is_dirty() || remembered.is_some() {
            gate.settle(state, now); // of those who gave way
        } else {
            drop(state);
        }
        drop(unused); // after the lock: dropping a waker is somebody else's code
        let grant = remembered.map(|(demands, load)| Grant::new(demands, load, &wait, now));
        let why = match (answer, why) {
            (Answer::Queued(ticket), _) => {
                let gate = Arc::clone(gate);
                let waiter = Waiter::new(claimant, slip, ticket, grant, wait.arrived);
                return match gate.carry_out(rouse) {
                    true => Entry::Queued(waiter),
                    false => waiter.refuse_untimed(),
                };
            }
            (_, Some(why)) => why,
            // Its first poll may have come late.
            _ if !wait.timeout.is_zero() && gate.clock.now() > last_reading => {
                match grant {
                    Some(grant) => gate.refund(&grant),
                    None => gate.leave(claimant.demands()),
                }
                let short = claimant.demands()[0].resource;
                let by_rate = false;
                Why::Timeout { short, by_rate }
            }
            _ => {
                let grant = grant.map(|grant| gate.begin(grant, now));
                return Entry::Granted(claimant, grant);
            }
        };
        let refused = Refused {
            why,
            waited: Duration::ZERO,
            retry_after,
        };
        Entry::Refused(claimant, refused)
    }

    /// Whether a grant of this set has to be remembered.
    pub(crate) fn remembers(&self, demands: &[Demand]) -> bool {
        let has_rules = |d: &Demand| !self.resources[d.resource as usize].rules().is_plain();
        self.has_rules && demands.iter().any(has_rules)
    }

    /// The time, on the clock of the code that runs on this thread.
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
        let now = self.tick(&mut state, now);
        let first = state.deliver(now, &mut self.ledger());
        if state.has_more(now) || !state.drains.is_empty() {
            return self.settle_more(state, first, now);
        }
        self.look_again(&mut state);
        drop(state);
        if let Some(waker) = first {
            wake(waker);
        }
    }

    #[cold]
    fn settle_more<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        first: Option<Waker>,
        mut now: Nanos,
    ) {
        let mut wakes = Wakes::default();
        first.into_iter().for_each(|waker| wakes.add(waker));
        loop {
            while state.has_more(now) && !wakes.is_full() {
                if let Some(waker) = state.deliver(now, &mut self.ledger()) {
                    wakes.add(waker);
                }
            }
            let more = state.has_more(now);
            if !more {
                self.look_again(&mut state);
                self.drained_now(&mut state, &mut wakes);
            }
            drop(state);
            wakes.wake();
            if !more {
                return;
            }
            wakes = Wakes::default();
            state = lock(&self.state);
            now = self.tick(&mut state, now);
        }
    }

    /// Times out every waiter whose deadline has come, and says when, by its own clock, the timer of
    /// `runtime` (a loom test has none) should look again; `None` if nothing waits there any more.
    fn expire(&self, runtime: Option<runtime::Id>) -> Option<Nanos> {
        loop {
            let (mut state, now) = self.lock_now();
            self.relieve_waiting(&mut state, now);
            if state.queue.is_due(now) {
                self.settle(state, now);
                continue;
            }
            let runtime = runtime?;
            let next = self.next_event_in(&mut state, runtime);
            state.alarms.set(runtime, next);
            return next.map(|next| state.clocks.reading_at(next));
        }
    }

    /// When the timer of `runtime` should look again; `None` if nothing waits there.
    fn next_event_in(&self, state: &mut State, runtime: runtime::Id) -> Option<Nanos> {
        let is_there = |party: &Party| party.runtime == Some(runtime);
        if !state.queue.payloads().any(is_there) {
            return None;
        }
        let next = match state.clocks.differ() {
            false => state.queue.next_event(),
            // The deadlines of others may come at another time.
            true => state.queue.next_event_of(is_there),
        };
        next.into_iter().chain(self.next_relief(state)).min()
    }

    /// When the timers have to look; `None` if nobody waits.
    fn next_event(&self, state: &mut State) -> Option<Nanos> {
        let next = state.queue.next_event()?;
        Some(self.next_relief(state).map_or(next, |at| at.min(next)))
    }

    /// Where rates, higher priorities or an adaptive limit keep waiters, the timers have to look when
    /// they let them go.
    fn look_again(&self, state: &mut State) {
        if state.queue.depends_on_time() {
            if let Some(next) = self.next_event(state) {
                state.alarms.advance(next);
            }
        }
    }

    /// The state, and the time.
    fn lock_now(&self) -> (MutexGuard<'_, State>, Nanos) {
        let now = self.clock.now();
        let mut state = lock(&self.state);
        let now = self.tick(&mut state, now);
        (state, now)
    }

    fn ledger(&self) -> Words<'_> {
        Words(&self.resources)
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        state.alarms.ring_all();
        for (resource, adaptive) in self.resources.iter().zip(&mut state.adaptive) {
            resource.restore_adaptive(adaptive.take().map(AdaptiveResource::into_inner));
            resource.usage().calm();
            resource.usage().unregister();
        }
    }
}

impl State {
    /// Sees to it that the timer of `runtime`, where the waiter was polled last, looks at `deadline` or
    /// before.
    fn watch(&mut self, ticket: Ticket, runtime: Option<runtime::Id>, deadline: Nanos) -> Rouse {
        if let Some(party) = self.queue.payload_mut(ticket) {
            party.runtime = runtime;
        }
        self.alarms.rouse(runtime, deadline)
    }

    /// Leaves the next verdict for its waiter, and returns whom to wake.
    fn deliver(&mut self, now: Nanos, ledger: &mut Words<'_>) -> Option<Waker> {
        let (party, verdict) = self.next_verdict(now, ledger)?;
        let retry_after = match verdict {
            Verdict::Granted | Verdict::Closed => None,
            Verdict::TimedOut { short, load, .. } => self.retry_after(short, load, now),
            Verdict::Shed { resource } => self.retry_after(resource, 0, now),
        };
        party.slip.write(verdict, now, retry_after);
        Some(party.waker)
    }

    fn why(&self, refusal: Answer, wait: &Wait<'_>, now: Nanos) -> Why {
        let load = wait.claims.load;
        match refusal {
            Answer::NoTime { short, by_rate } => match wait.timeout.is_zero() {
                true => Why::NotNow { short, by_rate },
                false => Why::Timeout { short, by_rate },
            },
            Answer::Hopeless { short, by_rate } => Why::Hopeless { short, by_rate },
            Answer::Full { resource } => Why::Full {
                resource,
                by_rate: self.queue.is_kept_by_rate(resource, load, now),
            },
            Answer::Closed => Why::Closed,
            Answer::Granted | Answer::Queued(_) => unreachable!("no refusal"),
        }
    }

    /// Whoever can go comes before whoever is out of time.
    fn next_verdict(&mut self, now: Nanos, ledger: &mut Words<'_>) -> Option<(Party, Verdict)> {
        let verdict = match self.queue.is_dirty() {
            true => self.queue.next_verdict(now, ledger),
            false => None,
        };
        verdict.or_else(|| self.queue.next_expired(now, ledger))
    }

    /// Whether there is something left to look at. No deadline has come before a timer looks.
    fn has_more(&mut self, now: Nanos) -> bool {
        if self.queue.is_dirty() {
            return true;
        }
        let is_early = self.alarms.are_all_after(now) && !self.queue.depends_on_time();
        !is_early && self.queue.is_due(now)
    }

    fn retry_after(&mut self, resource: u32, load: u64, now: Nanos) -> Option<Duration> {
        let after = self.queue.retry_after(resource, load, now);
        after.map(Duration::from_nanos)
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
        match self.0[resource as usize].rules().is_dry {
            false => self.of(resource).take(units),
            true => self.of(resource).take_dry(units),
        }
    }

    fn contend(&mut self, resource: u32) {
        self.of(resource).contend();
    }

    fn calm(&mut self, resource: u32) {
        if !self.0[resource as usize].is_shared() {
            self.of(resource).calm();
        }
    }

    fn set_limit(&mut self, resource: u32, limit: u32) {
        self.of(resource).set_limit(limit);
    }

    fn waiting(&mut self, resource: u32, waiters: usize) {
        self.of(resource).set_waiting(waiters);
    }
}
