//! What happens to the waiters of a FIFO: hand-over, expiry, cancellation, and the move to the
//! general queue.

use std::{sync::Arc, task::Waker};

use smallvec::SmallVec;
use tokio::runtime;

use super::{
    Gate, State,
    fifo::{FifoPlace, FifoState, NEVER},
    notes::Note,
    timers::TimerAction,
    waiter_cell::{Registration, WaiterCell},
    wake_list::{WakeList, wake},
};
use crate::{
    admission::{Adopted, Decision, Demand, Nanos},
    sync::{MutexGuard, Ordering, lock},
};

impl Gate {
    /// Passes units that were released to the waiters of a FIFO; with `is_held` they still count as
    /// in use.
    #[inline(never)]
    pub(super) fn hand_over(&self, claim: Demand, is_held: bool) {
        let queue = self.fifo(claim.resource);
        let usage = self.usage(claim);
        let now = self.time();
        let mut state = lock(&queue.state);
        if is_held && !usage.is_exceeded() {
            // From one holder to the next: the usage does not change.
            if let Some(waker) = state.waiters.hand_over(now, claim.units) {
                queue.publish(&state, usage);
                drop(state);
                return wake(waker);
            }
        }
        if is_held {
            let _ = usage.release(claim.units);
        }
        match state.is_general {
            true => {
                drop(state);
                self.dispatch_released(&[claim]);
            }
            false => self.dispatch_fifo(claim.resource, state, now),
        }
    }

    /// Looks whether waiters can be admitted at these resources, of which units were released.
    #[cold]
    pub(super) fn hand_over_all(&self, claims: &[Demand]) {
        let now = self.time();
        let mut general: SmallVec<[Demand; 4]> = SmallVec::new();
        for claim in claims {
            let state = lock(&self.fifo(claim.resource).state);
            match state.is_general {
                true => general.push(*claim),
                false => self.dispatch_fifo(claim.resource, state, now),
            }
        }
        if !general.is_empty() {
            self.dispatch_released(&general);
        }
    }

    /// Admits and times out waiters of a FIFO, as far as that has become possible.
    #[cold]
    pub(super) fn dispatch_fifo<'a>(
        &'a self,
        resource: u32,
        mut state: MutexGuard<'a, FifoState>,
        now: Nanos,
    ) {
        let queue = self.fifo(resource);
        let usage = self.resources[resource as usize].usage();
        loop {
            let mut wakers = WakeList::default();
            while !wakers.is_full() {
                let decision = state.waiters.next_decision(now, usage.load());
                match decision.or_else(|| state.waiters.next_expired(now)) {
                    None => break,
                    Some(Decision::Granted { payload, units }) => {
                        usage.acquire(units);
                        wakers.add(payload);
                    }
                    Some(Decision::TimedOut { number, payload }) => {
                        let limit = usage.load().limit();
                        let retry_after = state.waiters.retry_after(limit, now);
                        queue.note(number, Note::TimedOut(retry_after));
                        wakers.add(payload);
                    }
                }
            }
            queue.publish(&state, usage);
            drop(state);
            let is_done = !wakers.is_full();
            wakers.wake();
            if is_done {
                return;
            }
            state = lock(&queue.state);
            if state.is_general {
                return;
            }
        }
    }

    /// What became of a waiter that is not known to be granted. Sets the waker that is called next.
    #[cold]
    pub(super) fn look_at_place(&self, resource: u32, number: u64, waker: &Waker) -> FifoPlace {
        let queue = self.fifo(resource);
        let runtime = self.clock.runtime();
        let waker = waker.clone(); // before the lock: that is the code of others
        let mut state = lock(&queue.state);
        if let Some(note) = queue.take_note(number) {
            return note.into();
        }
        let group = state.group(runtime);
        let Some(entry) = state.waiters.get_mut(number) else {
            return FifoPlace::Granted;
        };
        // Outside of any runtime the waiter stays with the timer that it has.
        if runtime.is_some() || entry.payload.is_none() {
            entry.group = group;
        }
        let (group, deadline) = (entry.group, entry.deadline);
        let outdated = entry.payload.replace(waker);
        let is_timed = state.is_timed(group, deadline);
        drop(state);
        drop(outdated); // after the lock, as above
        FifoPlace::Waiting { is_timed }
    }

    /// Takes a waiter out of a FIFO; if it was decided before, returns as what.
    #[cold]
    pub(super) fn cancel_in_fifo(&self, resource: u32, number: u64) -> Option<FifoPlace> {
        let queue = self.fifo(resource);
        let now = self.time();
        let mut state = lock(&queue.state);
        if let Some(note) = queue.take_note(number) {
            return Some(note.into());
        }
        let Some(waker) = state.waiters.cancel(number) else {
            return Some(FifoPlace::Granted);
        };
        // The next one may claim fewer units than a first one that has left.
        self.dispatch_fifo(resource, state, now);
        drop(waker); // after the lock: that is the code of others
        None
    }

    /// Has a timer look at a FIFO, at the deadline of a waiter or before; `false` if its runtime
    /// shuts down.
    #[cold]
    pub(super) fn watch_fifo(self: &Arc<Self>, resource: u32, number: u64) -> bool {
        let runtime = self.clock.runtime();
        let mut state = lock(&self.state);
        let mut fifo = lock(&self.fifo(resource).state);
        let Some(entry) = fifo.waiters.get(number) else {
            // Decided, or moved to the general queue, where every timer looks.
            let is_general = fifo.is_general;
            drop(fifo);
            let action = match is_general {
                true => state.timers.look_at(runtime, 0),
                false => TimerAction::None,
            };
            drop(state);
            return self.carry_out(action);
        };
        let (group, deadline) = (entry.group, entry.deadline);
        let action = state.timers.look_at(runtime, deadline);
        fifo.runtimes[group as usize].at = state.timers.next_look(runtime).unwrap_or(NEVER);
        if !fifo.is_listed {
            fifo.is_listed = true;
            state.fifos.push(resource);
        }
        drop(fifo);
        drop(state);
        self.carry_out(action)
    }

    /// When the timer of a runtime has to look at the FIFOs again; `None` if nothing waits there.
    pub(super) fn next_deadline_in_fifos(
        &self,
        state: &mut State,
        runtime: runtime::Id,
    ) -> Option<Nanos> {
        let mut next = None;
        state.fifos.retain(|&resource| {
            let mut fifo = lock(&self.fifo(resource).state);
            let mut watches = fifo.runtimes.iter();
            let group = watches.position(|watch| watch.runtime == Some(runtime));
            let is_only = fifo.runtimes.len() == 1;
            let deadline = group.and_then(|group| match is_only {
                true => fifo.waiters.next_deadline(),
                false => fifo.waiters.next_deadline_of(group as u32),
            });
            if let Some(group) = group {
                fifo.runtimes[group].at = deadline.unwrap_or(NEVER);
            }
            next = next.into_iter().chain(deadline).min();
            fifo.is_listed = !fifo.waiters.is_empty();
            if !fifo.is_listed {
                fifo.runtimes.clear(); // no timer looks here any more
            }
            fifo.is_listed
        });
        next
    }

    /// Returns a FIFO with a waiter past its deadline.
    pub(super) fn due_fifo(&self, state: &State, now: Nanos) -> Option<u32> {
        let mut listed = state.fifos.iter().copied();
        listed.find(|&resource| lock(&self.fifo(resource).state).waiters.is_due(now))
    }

    /// Carries out what has become possible in a FIFO.
    pub(super) fn look_at_fifo(&self, resource: u32, now: Nanos) {
        let state = lock(&self.fifo(resource).state);
        if !state.is_general {
            self.dispatch_fifo(resource, state, now);
        }
    }

    /// The limit of a resource was changed.
    pub(super) fn limit_changed(&self, state: &mut State, resource: u32, before: u32, limit: u32) {
        let mut fifo = lock(&self.fifo(resource).state);
        fifo.waiters.limit_changed(before, limit);
        if fifo.waiters.widest() > limit {
            drop(fifo);
            self.promote(state, resource); // where a claim above the limit stands aside
            state.queue.freed(resource);
        }
    }

    /// Moves the waiters of every FIFO to the general queue.
    pub(super) fn promote_all(&self, state: &mut State) {
        for resource in 0..self.fifos.len() as u32 {
            self.promote(state, resource);
        }
    }

    /// Moves the waiters of a FIFO to the general queue, which serves the resource from now on.
    pub(super) fn promote(&self, state: &mut State, resource: u32) {
        let queue = self.fifo(resource);
        if !queue.serves {
            return;
        }
        let mut fifo = lock(&queue.state);
        if fifo.is_general {
            return;
        }
        fifo.is_general = true;
        let FifoState {
            waiters, runtimes, ..
        } = &mut *fifo;
        for entry in waiters.take_all() {
            let cell = WaiterCell::pending();
            let registration = Registration {
                waker: entry.payload.unwrap_or(Waker::noop().clone()),
                cell: Arc::clone(&cell),
                runtime: runtimes[entry.group as usize].runtime,
            };
            let adopted = Adopted {
                claim: Demand::new(resource, entry.units),
                arrived: entry.arrived,
                deadline: entry.deadline,
            };
            let ledger = &mut self.ledger();
            let ticket = state.queue.adopt(adopted, registration, ledger);
            queue.note(entry.number, Note::Moved(cell, ticket));
        }
        state.queue.adopt_pace(resource, waiters);
        // Pairs with the load in `is_granted`; the notes were stored before.
        queue.head.store(waiters.head(), Ordering::Release);
    }
}
