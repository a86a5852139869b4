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
    Gate, WaitOptions,
    notes::{Note, Notes},
    waiter_cell::WaiterCell,
};
use crate::{
    admission::{Demand, Drain, Fifo, Nanos, Refusal, Ticket},
    resource::SharedUsage,
    sync::{AtomicU64, Mutex, MutexGuard, Ordering, lock},
};

/// The waiters for one resource.
pub(super) struct FifoQueue {
    /// Every lower number is decided.
    pub(super) head: AtomicU64,
    /// How many notes there are.
    pub(super) noted: AtomicU64,
    pub(super) state: Mutex<FifoState>,
    pub(super) notes: Mutex<Notes>,
    /// Whether it ever serves: whether the resource has a limit and nothing else.
    pub(super) serves: bool,
}

pub(super) struct FifoState {
    pub(super) waiters: Fifo<Waker>,
    /// Whether the general queue serves the resource.
    pub(super) is_general: bool,
    pub(super) max_waiting: usize,
    /// The runtimes in which waiters were polled. An entry has its position as its group.
    pub(super) runtimes: SmallVec<[Watch; 1]>,
    /// Whether the timers know that something waits here.
    pub(super) is_listed: bool,
}

/// The timer of a runtime, as far as one FIFO is concerned.
pub(super) struct Watch {
    pub(super) runtime: Option<runtime::Id>,
    /// It looks at the FIFO at this time or before.
    pub(super) at: Nanos,
}

/// No timer looks.
pub(super) const NEVER: Nanos = Nanos::MAX;

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
struct FifoArrival {
    claim: Demand,
    now: Nanos,
    deadline: Nanos,
    has_timeout: bool,
    max_waiting: Option<usize>,
    runtime: Option<runtime::Id>,
    waker: Option<Waker>,
}

impl FifoArrival {
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

    /// Returns `true` if a waiter is known to be granted its units. `false` means nothing.
    #[inline]
    pub(super) fn is_granted(&self, number: u64) -> bool {
        // Pairs with the store in `publish`. A waiter that was not granted was noted before that
        // store, and its note stays until it is taken, so that a load of `noted` after this one
        // sees it.
        self.head.load(Ordering::Acquire) > number && self.noted.load(Ordering::Relaxed) == 0
    }

    /// Publishes what has changed under the lock.
    #[inline]
    pub(super) fn publish(&self, state: &FifoState, usage: &SharedUsage) {
        usage.set_waiting(state.waiters.len());
        if state.waiters.is_empty() {
            usage.clear_contended();
        }
        // Pairs with the load in `is_granted`.
        self.head.store(state.waiters.head(), Ordering::Release);
    }

    pub(super) fn note(&self, number: u64, note: Note) {
        let mut notes = lock(&self.notes);
        notes.insert(number, note);
        // Ordered before the store of `head` that follows, which is a `Release`.
        self.noted.store(notes.len() as u64, Ordering::Relaxed);
    }

    pub(super) fn take_note(&self, number: u64) -> Option<Note> {
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

    /// Postpones the deadlines of waiters with a clock that stands still.
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
    pub(super) fn group(&mut self, runtime: Option<runtime::Id>) -> u32 {
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
    pub(super) fn is_timed(&self, group: u32, deadline: Nanos) -> bool {
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
        let mut arrival = FifoArrival {
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
    fn try_join(
        &self,
        state: &mut FifoState,
        arrival: &mut FifoArrival,
    ) -> Result<Joined, Refusal> {
        let FifoArrival {
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

    /// A request is not refused because of waiters past their deadline.
    #[cold]
    fn join_again<'a>(
        &'a self,
        queue: &'a FifoQueue,
        mut state: MutexGuard<'a, FifoState>,
        mut arrival: FifoArrival,
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
                Ok(joined) => {
                    drop(state); // before the waker of the arrival
                    return joined;
                }
                Err(still) => refusal = still,
            }
        }
        let limit = self.usage(arrival.claim).load().limit();
        let retry_after = state.waiters.retry_after(limit, arrival.now);
        drop(state);
        Joined::Refused(refusal, retry_after)
    }
}
