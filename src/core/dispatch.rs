//! Carries out what the general queue decides: grants, refusals, and the wakers to call after the
//! lock.

use std::{task::Waker, time::Duration};

use tokio::runtime;

use super::{
    Gate, State,
    ledger::UsageLedger,
    timers::TimerAction,
    waiter_cell::Registration,
    wake_list::{WakeList, wake},
};
use crate::{
    admission::{Demand, Nanos, Refusal, Ticket, Verdict},
    sync::{MutexGuard, lock},
};

impl Gate {
    /// Looks whether waiters of the general queue can be admitted at these resources, of which
    /// units were released.
    #[cold]
    pub(super) fn dispatch_released(&self, demands: &[Demand]) {
        let (mut state, now) = self.lock_now();
        for demand in demands {
            state.queue.freed(demand.resource);
        }
        self.dispatch(state, now);
    }

    /// A waiter leaves the general queue; `false` if it was decided.
    pub(super) fn cancel(&self, ticket: Ticket) -> bool {
        let mut state = lock(&self.state);
        let Some(registration) = state.queue.cancel(ticket, &mut self.ledger()) else {
            return false;
        };
        if state.queue.is_dirty() {
            self.dispatch(state, self.clock.now());
        } else {
            drop(state);
        }
        drop(registration); // after the lock: dropping a waker is the code of others
        true
    }

    /// Carries out every decision that has become possible. Waiters past their deadline are timed
    /// out on the way: in an overload the timer may be late.
    pub(super) fn dispatch<'a>(&'a self, mut state: MutexGuard<'a, State>, now: Nanos) {
        let now = self.tick(&mut state, now);
        let first = state.deliver(now, &mut self.ledger());
        if state.has_more(now) || !state.drains.is_empty() {
            return self.dispatch_more(state, first, now);
        }
        self.look_again(&mut state);
        drop(state);
        if let Some(waker) = first {
            wake(waker);
        }
    }

    #[cold]
    fn dispatch_more<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        first: Option<Waker>,
        mut now: Nanos,
    ) {
        let mut wakers = WakeList::default();
        first.into_iter().for_each(|waker| wakers.add(waker));
        loop {
            while state.has_more(now) && !wakers.is_full() {
                if let Some(waker) = state.deliver(now, &mut self.ledger()) {
                    wakers.add(waker);
                }
            }
            let more = state.has_more(now);
            if !more {
                self.look_again(&mut state);
                self.drained_now(&mut state, &mut wakers);
            }
            drop(state);
            wakers.wake();
            if !more {
                return;
            }
            wakers = WakeList::default();
            state = lock(&self.state);
            now = self.tick(&mut state, now);
        }
    }

    /// Times out every waiter at its deadline, and returns when, by its own clock, the timer of
    /// `runtime` (a loom test has none) has to look again; `None` if nothing waits there any more.
    pub(super) fn expire(&self, runtime: Option<runtime::Id>) -> Option<Nanos> {
        loop {
            let (mut state, now) = self.lock_now();
            self.relieve_waiting(&mut state, now);
            if state.queue.is_due(now) {
                self.dispatch(state, now);
                continue;
            }
            if let Some(resource) = self.due_fifo(&state, now) {
                drop(state);
                self.look_at_fifo(resource, now);
                continue;
            }
            let runtime = runtime?;
            let in_queue = self.next_event_in(&mut state, runtime);
            let in_fifos = self.next_deadline_in_fifos(&mut state, runtime);
            let next = in_queue.into_iter().chain(in_fifos).min();
            state.timers.set(runtime, next);
            return next.map(|next| state.clocks.reading_at(next));
        }
    }

    /// When the timer of `runtime` has to look at the general queue again; `None` if nothing waits
    /// there.
    fn next_event_in(&self, state: &mut State, runtime: runtime::Id) -> Option<Nanos> {
        let is_there = |registration: &Registration| registration.runtime == Some(runtime);
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

    /// When the timers have to look; `None` if nothing waits.
    fn next_event(&self, state: &mut State) -> Option<Nanos> {
        let next = state.queue.next_event()?;
        Some(self.next_relief(state).map_or(next, |at| at.min(next)))
    }

    /// Where rates, higher priorities or an adaptive limit block waiters, the timers have to look
    /// when that ends.
    pub(super) fn look_again(&self, state: &mut State) {
        if state.queue.depends_on_time() {
            if let Some(next) = self.next_event(state) {
                state.timers.advance(next);
            }
        }
    }
}

impl State {
    /// Has the timer of `runtime`, where the waiter was polled last, look at `deadline` or before.
    pub(super) fn watch(
        &mut self,
        ticket: Ticket,
        runtime: Option<runtime::Id>,
        deadline: Nanos,
    ) -> TimerAction {
        if let Some(registration) = self.queue.payload_mut(ticket) {
            registration.runtime = runtime;
        }
        self.timers.look_at(runtime, deadline)
    }

    /// Writes the next decision into the cell of its waiter, and returns its waker.
    fn deliver(&mut self, now: Nanos, ledger: &mut UsageLedger<'_>) -> Option<Waker> {
        let (registration, verdict) = self.next_verdict(now, ledger)?;
        let cell = &registration.cell;
        match verdict {
            Verdict::Granted => cell.grant(now),
            Verdict::TimedOut {
                short,
                by_rate,
                load,
            } => {
                let retry_after = self.retry_after(short, load, now);
                let refusal = Refusal::Timeout {
                    resource: short,
                    by_rate,
                };
                cell.refuse(refusal, retry_after);
            }
            Verdict::Shed { resource } => {
                let retry_after = self.retry_after(resource, 0, now);
                cell.refuse(Refusal::Shed { resource }, retry_after);
            }
            Verdict::Closed => cell.refuse(Refusal::Closed, None),
        }
        Some(registration.waker)
    }

    /// A waiter that can be admitted comes before one past its deadline.
    fn next_verdict(
        &mut self,
        now: Nanos,
        ledger: &mut UsageLedger<'_>,
    ) -> Option<(Registration, Verdict)> {
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
        let is_early = self.timers.all_look_after(now) && !self.queue.depends_on_time();
        !is_early && self.queue.is_due(now)
    }

    pub(super) fn retry_after(&mut self, resource: u32, load: u64, now: Nanos) -> Option<Duration> {
        let after = self.queue.retry_after(resource, load, now);
        after.map(Duration::from_nanos)
    }
}
