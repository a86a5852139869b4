//! The waiting path of a resource while nothing but the order of arrival decides.
//!
//! Each resource with a limit and nothing else has a [`Fifo`] with a lock of its own. It serves
//! while every waiter claims that resource alone, with default attributes. A grant writes nothing
//! for the waiter: it raises `head`, the number below which all are decided. What was decided
//! otherwise leaves a note under the waiter's number.
//!
//! The first request that claims more, or declares more, moves the waiters to the general queue
//! ([`promote`](Gate::promote)). The general queue serves the resource until nothing waits there.
//!
//! Locks are taken in this order: the state of the gate, the state of a FIFO, its notes.

use std::{sync::Arc, task::Waker};

use smallvec::SmallVec;
use tokio::runtime;

use super::{
    Gate, State, WaitOptions,
    notes::{Note, Notes},
    timers::TimerAction,
    waiter_cell::{Registration, WaiterCell},
    wake_list::{WakeList, wake},
};
use crate::{
    admission::{Adopted, Decision, Demand, Drain, Fifo, Nanos, Refusal, Ticket},
    resource::SharedUsage,
    sync::{AtomicU64, Mutex, MutexGuard, Ordering, lock},
};

/// The waiters for one resource.
pub(super) struct FifoQueue {
    /// Every lower number is decided.
    head: AtomicU64,
    /// How many notes there are.
    noted: AtomicU64,
    state: Mutex<FifoState>,
    notes: Mutex<Notes>,
    /// Whether it ever serves: whether the resource has a limit and nothing else.
    serves: bool,
}

pub(super) struct FifoState {
    waiters: Fifo<Waker>,
    /// Whether the general queue serves the resource.
    is_general: bool,
    max_waiting: usize,
    /// The runtimes in which waiters were polled. An entry has its position as its group.
    runtimes: SmallVec<[Watch; 1]>,
    /// Whether the timers know that something waits here.
    is_listed: bool,
}

/// The timer of a runtime, as far as one FIFO is concerned.
struct Watch {
    runtime: Option<runtime::Id>,
    /// It looks at the FIFO at this time or before.
    at: Nanos,
}

/// No timer looks.
const NEVER: Nanos = Nanos::MAX;

/// What a request finds at a FIFO.
pub(super) enum Joined {
    Granted,
    /// Its place, and whether a timer looks before its deadline.
    Queued {
        number: u64,
        is_timed: bool,
    },
    /// With the time after which to retry.
    Refused(Refusal, Option<Nanos>),
    /// The general queue serves the resource, or has to serve this request.
    General,
}

/// What became of a place in a FIFO.
pub(super) enum FifoPlace {
    Waiting {
        is_timed: bool,
    },
    Granted,
    /// With the time after which to retry.
    TimedOut(Option<Nanos>),
    /// It is in the general queue.
    Moved(Arc<WaiterCell>, Ticket),
}

impl From<Note> for FifoPlace {
    fn from(note: Note) -> Self {
        match note {
            Note::TimedOut(retry_after) => Self::TimedOut(retry_after),
            Note::Moved(cell, ticket) => Self::Moved(cell, ticket),
        }
    }
}

/// A request that arrives.
struct Arrival {
    claim: Demand,
    now: Nanos,
    deadline: Nanos,
    has_timeout: bool,
    max_waiting: Option<usize>,
    runtime: Option<runtime::Id>,
    waker: Option<Waker>,
}

impl Arrival {
    fn no_time(&self) -> Refusal {
        let (resource, by_rate) = (self.claim.resource, false);
        match self.has_timeout {
            true => Refusal::Timeout { resource, by_rate },
            false => Refusal::NotNow { resource, by_rate },
        }
    }

    fn full(&self) -> Refusal {
        let (resource, by_rate) = (self.claim.resource, false);
        Refusal::QueueFull { resource, by_rate }
    }
}

impl FifoQueue {
    pub(super) fn new(max_waiting: usize, serves: bool) -> Self {
        Self {
            head: AtomicU64::new(0),
            noted: AtomicU64::new(0),
            state: Mutex::new(FifoState {
                waiters: Fifo::default(),
                is_general: !serves,
                max_waiting,
                runtimes: SmallVec::new(),
                is_listed: false,
            }),
            notes: Mutex::new(Notes::default()),
            serves,
        }
    }

    /// Whether a waiter is known to be granted its units. `false` says nothing.
    #[inline]
    pub(super) fn is_granted(&self, number: u64) -> bool {
        // Pairs with the store in `publish`. A waiter that was not granted was noted before that
        // store, and its note stays until it is taken, so that a load of `noted` after this one
        // sees it.
        self.head.load(Ordering::Acquire) > number && self.noted.load(Ordering::Relaxed) == 0
    }

    /// Publishes what has changed under the lock.
    #[inline]
    fn publish(&self, state: &FifoState, usage: &SharedUsage) {
        usage.set_waiting(state.waiters.len());
        if state.waiters.is_empty() {
            usage.clear_contended();
        }
        // Pairs with the load in `is_granted`.
        self.head.store(state.waiters.head(), Ordering::Release);
    }

    fn note(&self, number: u64, note: Note) {
        let mut notes = lock(&self.notes);
        notes.insert(number, note);
        // Ordered before the store of `head` that follows, which is a `Release`.
        self.noted.store(notes.len() as u64, Ordering::Relaxed);
    }

    fn take_note(&self, number: u64) -> Option<Note> {
        if self.noted.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let mut notes = lock(&self.notes);
        let note = notes.take(number);
        self.noted.store(notes.len() as u64, Ordering::Relaxed);
        note
    }

    /// Nothing waits in the general queue: this queue serves its resource again, if it ever does.
    pub(super) fn demote(&self, usage: &SharedUsage, pace: Drain) {
        let mut state = lock(&self.state);
        state.is_general = !self.serves;
        state.waiters.adopt_pace(pace);
        usage.clear_contended();
    }

    /// Postpones the deadlines of the waiters whose clock stands still.
    pub(super) fn postpone(&self, by: Nanos, stands_still: impl Fn(Option<runtime::Id>) -> bool) {
        let mut state = lock(&self.state);
        let FifoState {
            waiters, runtimes, ..
        } = &mut *state;
        let still: SmallVec<[bool; 4]> = runtimes.iter().map(|w| stands_still(w.runtime)).collect();
        for (watch, _) in runtimes.iter_mut().zip(&still).filter(|(_, still)| **still) {
            watch.at = watch.at.saturating_add(by);
        }
        waiters.postpone(by, |group| still[group as usize]);
    }

    /// Forgets the timer of a runtime; returns the wakers of those that wait there.
    pub(super) fn orphan(&self, runtime: runtime::Id, orphans: &mut Vec<Waker>) {
        let mut state = lock(&self.state);
        let mut watches = state.runtimes.iter_mut();
        let Some(group) = watches.position(|watch| watch.runtime == Some(runtime)) else {
            return;
        };
        state.runtimes[group].at = NEVER;
        let waiters = state.waiters.iter();
        let there = waiters.filter(|entry| entry.group == group as u32);
        orphans.extend(there.filter_map(|entry| entry.payload.clone()));
    }
}

impl FifoState {
    /// The group of a runtime.
    #[inline]
    fn group(&mut self, runtime: Option<runtime::Id>) -> u32 {
        if self.waiters.is_empty() && self.runtimes.len() > 1 {
            self.runtimes.clear(); // runtimes come and go
        }
        let mut watches = self.runtimes.iter();
        let group = watches.position(|watch| watch.runtime == runtime);
        let group = group.unwrap_or_else(|| {
            self.runtimes.push(Watch { runtime, at: NEVER });
            self.runtimes.len() - 1
        });
        group as u32
    }

    #[inline]
    fn is_timed(&self, group: u32, deadline: Nanos) -> bool {
        self.runtimes[group as usize].at <= deadline
    }
}

impl Gate {
    #[inline]
    pub(super) fn fifo(&self, resource: u32) -> &FifoQueue {
        &self.fifos[resource as usize]
    }

    /// The claim of a request that may wait in a FIFO.
    #[inline]
    pub(super) fn fifo_claim(&self, demands: &[Demand], options: &WaitOptions) -> Option<Demand> {
        match *demands {
            [only] if options.claims.are_default() => Some(only),
            _ => None,
        }
    }

    /// Admits a request at a FIFO, queues it or refuses it. Without a waker the request is queued
    /// all the same; it has to be polled before a timer looks at its deadline.
    #[inline]
    pub(super) fn join_fifo(
        &self,
        claim: Demand,
        options: &WaitOptions,
        arrived: Nanos,
        waker: Option<&Waker>,
    ) -> Joined {
        let Some((now, deadline)) = self.times(arrived, options.timeout) else {
            return Joined::General;
        };
        let mut arrival = Arrival {
            claim,
            now,
            deadline,
            has_timeout: !options.timeout.is_zero(),
            max_waiting: options.max_waiting,
            runtime: waker.and_then(|_| self.clock.runtime()),
            // Cloned before the lock: that is the code of others.
            waker: Some(waker.unwrap_or(Waker::noop()).clone()),
        };
        let queue = self.fifo(claim.resource);
        let mut state = lock(&queue.state);
        match self.try_join(&mut state, &mut arrival) {
            Ok(joined) => joined,
            Err(refusal) => self.join_again(queue, state, arrival, refusal),
        }
    }

    #[inline]
    fn try_join(&self, state: &mut FifoState, arrival: &mut Arrival) -> Result<Joined, Refusal> {
        let Arrival {
            claim,
            now,
            deadline,
            ..
        } = *arrival;
        if state.is_general {
            return Ok(Joined::General);
        }
        let usage = self.usage(claim);
        let has_time = deadline > now;
        if state.waiters.is_empty() {
            if !has_time {
                let is_late = deadline < now;
                return match !is_late && usage.try_acquire(claim.units) {
                    true => Ok(Joined::Granted),
                    false => Err(arrival.no_time()),
                };
            }
            // From here on no other request takes units, and every release looks here.
            usage.set_contended();
            if usage.load().fits(claim.units) {
                usage.acquire(claim.units);
                usage.clear_contended();
                return Ok(Joined::Granted);
            }
        } else if !has_time {
            return Err(arrival.no_time());
        }
        let bound = arrival.max_waiting.unwrap_or(state.max_waiting);
        let is_full = state.waiters.len() >= bound;
        let exceeds = claim.units > usage.load().limit();
        if is_full || exceeds {
            if state.waiters.is_empty() {
                usage.clear_contended();
            }
            return match exceeds {
                true => Ok(Joined::General), // where it stands aside
                false => Err(arrival.full()),
            };
        }
        let group = state.group(arrival.runtime);
        let waker = arrival.waker.take().unwrap_or(Waker::noop().clone());
        let number = state.waiters.push(now, deadline, claim.units, group, waker);
        usage.set_waiting(state.waiters.len());
        let is_timed = state.is_timed(group, deadline);
        Ok(Joined::Queued { number, is_timed })
    }

    /// A request is not refused because of waiters whose deadline has come.
    #[cold]
    fn join_again<'a>(
        &'a self,
        queue: &'a FifoQueue,
        mut state: MutexGuard<'a, FifoState>,
        mut arrival: Arrival,
        mut refusal: Refusal,
    ) -> Joined {
        // The first poll may have come late.
        let reading = self.clock.now();
        let now = self.readings.accept(reading).then_some(reading);
        arrival.now = now.unwrap_or(arrival.now);
        if state.waiters.is_due(arrival.now) {
            self.dispatch_fifo(arrival.claim.resource, state, arrival.now);
            state = lock(&queue.state);
            match self.try_join(&mut state, &mut arrival) {
                Ok(joined) => return joined,
                Err(still) => refusal = still,
            }
        }
        let limit = self.usage(arrival.claim).load().limit();
        let retry_after = state.waiters.retry_after(limit, arrival.now);
        drop(state);
        Joined::Refused(refusal, retry_after)
    }

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

    /// A FIFO with a waiter whose deadline has come.
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

    /// The limit of a resource was changed to this one.
    pub(super) fn limit_changed(&self, state: &mut State, resource: u32, limit: u32) {
        let mut fifo = lock(&self.fifo(resource).state);
        fifo.waiters.forget_pace();
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
