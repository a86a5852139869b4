//! One time for readers with different clocks.
//!
//! Outside tests every clock is the system's, and so is the gate's time. A runtime with paused time
//! has a clock of its own, which may stand still, jump ahead, or lag behind: in tests that share a
//! limiter in a `static`, one after the other or side by side. Then the gate's time advances by as
//! much as any clock does, and never decreases. The difference is added to the clocks that stand
//! still meanwhile, and to the deadlines of waiters in their runtimes. So a wait lasts for its
//! timeout on the waiter's own clock.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::runtime::Id;

use super::{Gate, State, clock::nanos};
use crate::admission::Nanos;

/// The gate's time, and how far each clock is from it.
pub(super) struct Clocks {
    /// When the lock was last held.
    latest: Nanos,
    /// A reading further ahead than this is looked into.
    step: Nanos,
    /// What to add, modulo 2^64, to a reading of the clock that was read last.
    ahead: Nanos,
    /// The same for the system's clock.
    system: Nanos,
    /// The same for the clocks of runtimes that have paused their time, the last to come first.
    paused: Vec<(Id, Nanos)>,
    /// Whether more than one clock was read since one differed.
    are_several: bool,
}

/// Short beside any timeout, and long beside the time between two requests where it matters what
/// they cost.
const STEP: Nanos = 10_000_000;

/// A reading may have been taken so long before the lock. It is also what tokio's timers resolve.
const TOLERANCE: Nanos = 1_000_000;

/// So many are remembered.
const MOST: usize = 64;

impl Clocks {
    pub(super) fn new() -> Self {
        Self {
            latest: 0,
            step: STEP,
            ahead: 0,
            system: 0,
            paused: Vec::new(),
            are_several: false,
        }
    }

    /// The gate's time for a reading of the clock that was read last.
    #[inline]
    pub(super) fn at(&self, reading: Nanos) -> Nanos {
        match self.ahead {
            0 => reading,
            ahead => shifted(reading, ahead),
        }
    }

    /// When the lock was last held.
    pub(super) fn latest(&self) -> Nanos {
        self.latest
    }

    /// What the clock that was read last will show at this time.
    pub(super) fn reading_at(&self, time: Nanos) -> Nanos {
        shifted(time, self.ahead.wrapping_neg())
    }

    /// Whether the clocks have ever differed.
    pub(super) fn differ(&self) -> bool {
        self.step == 0
    }
}

/// Neither before the start nor past the end of time.
fn shifted(time: Nanos, by: Nanos) -> Nanos {
    time.saturating_add_signed(by as i64)
}

/// Which readings are the gate's time as they are, without a look under the lock.
pub(super) struct Readings {
    /// A recent one. A hint: the lock decides.
    latest: AtomicU64,
    /// How far readings may be from that; 0 once the clocks differ.
    step: AtomicU64,
}

impl Readings {
    pub(super) fn new() -> Self {
        Self {
            latest: AtomicU64::new(0),
            step: AtomicU64::new(TOLERANCE + STEP),
        }
    }

    /// Whether a reading is neither before the latest one, nor far after it.
    #[inline]
    pub(super) fn accept(&self, reading: Nanos) -> bool {
        let latest = self.latest.load(Ordering::Relaxed);
        let ahead = reading.wrapping_add(TOLERANCE).wrapping_sub(latest);
        let is_accepted = ahead < self.step.load(Ordering::Relaxed);
        if is_accepted && ahead > 2 * TOLERANCE {
            // Not each time: the word is shared by all threads.
            self.latest.store(reading, Ordering::Relaxed);
        }
        is_accepted
    }
}

impl Gate {
    /// The gate's time.
    #[inline]
    pub(super) fn time(&self) -> Nanos {
        let reading = self.clock.now();
        match self.readings.accept(reading) {
            true => reading,
            false => self.time_under_lock(|_| ()).0,
        }
    }

    /// The gate's time, and the deadline of a request that arrived at a reading of this thread's
    /// clock; without a timeout both are the same. `None` where both may change before they are
    /// used, because there are several clocks.
    #[inline]
    pub(super) fn times(&self, arrived: Nanos, timeout: Duration) -> Option<(Nanos, Nanos)> {
        let deadline = arrived.saturating_add(nanos(timeout));
        match self.readings.accept(arrived) {
            true => Some((arrived, deadline)),
            false => self.times_of_late_poll(deadline, timeout.is_zero()),
        }
    }

    #[cold]
    fn times_of_late_poll(&self, deadline: Nanos, has_no_timeout: bool) -> Option<(Nanos, Nanos)> {
        let reading = self.clock.now();
        let (now, deadline) = match self.readings.accept(reading) {
            true => (reading, Some(deadline)),
            false => self.time_under_lock(|state| {
                let clocks = &state.clocks;
                (!clocks.are_several).then(|| clocks.at(deadline))
            }),
        };
        deadline.map(|deadline| (now, if has_no_timeout { now } else { deadline }))
    }

    #[cold]
    fn time_under_lock<T>(&self, read: impl FnOnce(&State) -> T) -> (Nanos, T) {
        let (state, now) = self.lock_now();
        self.readings.latest.store(now, Ordering::Relaxed);
        let more = read(&state);
        (now, more)
    }

    /// The gate's time: what was read before the lock, unless another was here with a later one
    /// meanwhile.
    #[inline]
    pub(super) fn tick(&self, state: &mut State, reading: Nanos) -> Nanos {
        let clocks = &mut state.clocks;
        let seen = self.readings.latest.load(Ordering::Relaxed);
        clocks.latest = clocks.latest.max(seen);
        if reading.wrapping_sub(clocks.latest) < clocks.step {
            clocks.latest = reading;
            return reading;
        }
        let behind = clocks.latest.saturating_sub(reading);
        match !clocks.differ() && (1..TOLERANCE).contains(&behind) {
            true => clocks.latest,
            false => self.look(state),
        }
    }

    /// Reads the clock of this thread's runtime, and finds out whether it is another than the
    /// system's.
    #[cold]
    pub(super) fn look(&self, state: &mut State) -> Nanos {
        let State {
            clocks,
            queue,
            timers,
            fifos,
            ..
        } = state;
        let reading = self.clock.read();
        if !clocks.differ() && reading.is_system && reading.time >= clocks.latest {
            clocks.latest = reading.time;
            return reading.time;
        }
        clocks.step = 0;
        self.readings.step.store(0, Ordering::Relaxed);
        let runtime = self.clock.runtime();
        let known = |clocks: &Clocks| {
            let mut paused = clocks.paused.iter();
            paused.position(|&(of, _)| Some(of) == runtime)
        };
        if let (None, false, Some(runtime)) = (known(clocks), reading.is_system, runtime) {
            clocks.paused.insert(0, (runtime, clocks.system));
            clocks.paused.truncate(MOST);
        }
        let own = known(clocks);
        let are_several = own.is_none() && !clocks.paused.is_empty() || clocks.paused.len() > 1;
        if are_several && !clocks.are_several {
            clocks.are_several = true;
            // Between a reading and the lock of a FIFO its clock may be put off.
            self.promote_all(state);
            return self.look(state);
        }
        let before = own.map_or(clocks.system, |own| clocks.paused[own].1);
        let passed = reading
            .time
            .wrapping_add(before)
            .wrapping_sub(clocks.latest) as i64;
        if let Ok(passed @ 1..) = Nanos::try_from(passed) {
            clocks.latest += passed;
            clocks.system = clocks.system.wrapping_add(passed);
            clocks
                .paused
                .iter_mut()
                .for_each(|(_, ahead)| *ahead = ahead.wrapping_add(passed));
            let by_own = |runtime: Option<Id>| {
                let mut paused = clocks.paused.iter();
                paused.position(|&(of, _)| Some(of) == runtime) == own
            };
            timers.postpone(passed, |runtime| !by_own(runtime));
            // Some may be queued before their timer has started.
            queue.postpone(passed, |waiting| !by_own(waiting.runtime));
            for &resource in &*fifos {
                let fifo = self.fifo(resource);
                fifo.postpone(passed, |runtime| !by_own(runtime));
            }
        }
        // It has gone on with the gate's time, or has to catch up with it.
        clocks.ahead = clocks.latest.wrapping_sub(reading.time);
        match own {
            Some(own) => clocks.paused[own].1 = clocks.ahead,
            None => clocks.system = clocks.ahead,
        }
        clocks.latest
    }
}
