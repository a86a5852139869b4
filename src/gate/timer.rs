//! One timer for all who wait at a gate.
//!
//! A sleep for each waiter would take the lock of tokio's timer at its first poll and again at its
//! drop. Instead one task sleeps until the earliest deadline. It starts with the first waiter and ends
//! when it wakes up and finds nobody waiting. Where every request has the same timeout, a new deadline
//! is never the earliest, and waiting does not touch the timer at all.
//!
//! The tasks of a current-thread runtime run only while somebody blocks on it, so nobody elsewhere may
//! depend on a timer there: each such runtime that waits here has its own. The timer of a
//! multi-thread runtime, which drives itself, serves everybody.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::{
    runtime::{Handle, Id, RuntimeFlavor},
    sync::Notify,
};

use super::Gate;
use crate::{admission::Nanos, sync::lock};

/// The timers that run for a gate.
pub(super) struct Alarms(Vec<Alarm>);

struct Alarm {
    runtime: Id,
    /// Whether its runtime drives itself.
    for_all: bool,
    /// When it will look again.
    at: Nanos,
    /// Makes it look now.
    bell: Arc<Notify>,
}

/// What a new deadline asks for.
pub(super) enum Rouse {
    Nobody,
    Ring(Arc<Notify>),
    Start,
}

impl Alarms {
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    /// Sees to it that a timer that the caller can depend on looks at `deadline` or before.
    #[inline]
    pub(super) fn rouse(&mut self, deadline: Nanos) -> Rouse {
        // Mostly there is one timer, and it looks earlier.
        match &*self.0 {
            [alarm] if alarm.for_all && alarm.at <= deadline => Rouse::Nobody,
            _ => self.rouse_one(deadline),
        }
    }

    #[cold]
    fn rouse_one(&mut self, deadline: Nanos) -> Rouse {
        let for_all = self.0.iter().position(|alarm| alarm.for_all);
        let alarm = for_all.or_else(|| {
            let runtime = Handle::try_current().ok()?.id();
            self.0.iter().position(|alarm| alarm.runtime == runtime)
        });
        match alarm.map(|position| &mut self.0[position]) {
            None => Rouse::Start,
            Some(alarm) if alarm.at <= deadline => Rouse::Nobody,
            Some(alarm) => {
                alarm.at = deadline;
                Rouse::Ring(Arc::clone(&alarm.bell))
            }
        }
    }

    /// Makes every timer look at `time` or before.
    pub(super) fn advance(&mut self, time: Nanos) {
        for alarm in self.0.iter_mut().filter(|alarm| alarm.at > time) {
            alarm.at = time;
            alarm.bell.notify_one();
        }
    }

    /// Makes every timer look now.
    pub(super) fn ring_all(&self) {
        for alarm in &self.0 {
            alarm.bell.notify_one();
        }
    }

    /// The timer of `runtime` will look again at `next`, or ends.
    pub(super) fn set(&mut self, runtime: Id, next: Option<Nanos>) {
        match next {
            None => self.0.retain(|alarm| alarm.runtime != runtime),
            Some(next) => {
                if let Some(alarm) = self.0.iter_mut().find(|alarm| alarm.runtime == runtime) {
                    alarm.at = next;
                }
            }
        }
    }
}

impl Gate {
    /// # Panics
    ///
    /// If a timer is to start outside a tokio runtime, or in one without a time driver.
    pub(super) fn carry_out(self: &Arc<Self>, rouse: Rouse) {
        match rouse {
            Rouse::Nobody => {}
            Rouse::Ring(bell) => bell.notify_one(),
            Rouse::Start => self.start_timer(),
        }
    }

    #[cold]
    fn start_timer(self: &Arc<Self>) {
        if cfg!(all(test, tcl_loom)) {
            return; // Under loom the test is the timer.
        }
        let Ok(runtime) = Handle::try_current() else {
            panic!(
                "waiting for a resource needs a tokio runtime, for its deadline; wait inside one, \
                 or use `try_acquire`, which does not wait"
            );
        };
        // Panics here, in the caller's hands, and not unseen in the task, if time is not enabled.
        drop(tokio::time::sleep(Duration::ZERO));
        let bell = Arc::new(Notify::new());
        let mut state = lock(&self.state);
        if matches!(state.alarms.rouse(Nanos::MAX), Rouse::Start) {
            state.alarms.0.push(Alarm {
                runtime: runtime.id(),
                for_all: runtime.runtime_flavor() != RuntimeFlavor::CurrentThread,
                at: 0,
                bell: Arc::clone(&bell),
            });
            drop(state);
            let timer = Timer {
                gate: Arc::downgrade(self),
                runtime: runtime.id(),
                bell,
            };
            runtime.spawn(timer.run());
        }
    }

    /// Starts a timer for a waiter that was looked at again, if the one it depended on was shut down
    /// with its runtime.
    pub(super) fn adopt(self: &Arc<Self>) {
        if Handle::try_current().is_ok() {
            let rouse = lock(&self.state).alarms.rouse(Nanos::MAX);
            self.carry_out(rouse);
        }
    }

    /// Sees to the deadline of a waiter that has moved to another task, and perhaps to this runtime:
    /// the one it came from need not be driven any more.
    #[cold]
    pub(super) fn follow(self: &Arc<Self>) {
        if Handle::try_current().is_ok() {
            let rouse = lock(&self.state).alarms.rouse(0);
            self.carry_out(rouse);
        }
    }
}

/// The task. It does not keep its gate alive: one that nobody uses any more has no waiters.
struct Timer {
    gate: Weak<Gate>,
    runtime: Id,
    bell: Arc<Notify>,
}

impl Timer {
    async fn run(mut self) {
        while let Some(gate) = self.gate.upgrade() {
            let Some(time) = gate.expire(Some(self.runtime)) else {
                self.gate = Weak::new();
                return;
            };
            let instant = gate.clock.instant(time);
            drop(gate);
            let _ = tokio::time::timeout_at(instant, self.bell.notified()).await;
        }
    }
}

impl Drop for Timer {
    /// Its runtime shuts down. Those who still wait, on other runtimes, have theirs look again.
    fn drop(&mut self) {
        let Some(gate) = self.gate.upgrade() else {
            return;
        };
        let mut state = lock(&gate.state);
        state.alarms.set(self.runtime, None);
        state.alarms.ring_all();
        let wakers = state.queue.payloads().map(|party| party.waker.clone());
        let orphans: Vec<_> = wakers.collect();
        drop(state);
        for waker in orphans {
            waker.wake();
        }
    }
}
