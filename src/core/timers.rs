//! One timer for all that wait at a gate in one runtime.
//!
//! A sleep for each waiter would take the lock of tokio's timer at its first poll and again at its
//! drop. Instead one task in each runtime that has waiters sleeps until the earliest deadline. It
//! starts with the first waiter and ends when it wakes up and finds none. Where every request has
//! the same timeout, a new deadline is never the earliest, and waiting does not touch the timer at
//! all.
//!
//! A deadline depends on the waiter's own runtime alone: another one may be busy, paused, or not
//! driven any more. A timer that wakes up still looks at all deadlines: what is due is due, and the
//! work is done under the lock, once.
//!
//! A runtime that shuts down drops its timer, and every new one as soon as it is spawned. Futures
//! that are still polled there, by `block_on` in a blocking thread, could wait for ever: they are
//! refused. A future that is polled in another runtime later goes on waiting there.

use std::sync::{Arc, Weak};

use tokio::{runtime::Id, sync::Notify};

use super::{Gate, wake_list::wake};
use crate::{admission::Nanos, sync::lock};

/// The timers that run for a gate, one for each runtime.
pub(super) struct Timers(Vec<RuntimeTimer>);

/// The timer of one runtime.
struct RuntimeTimer {
    runtime: Id,
    /// When it looks again.
    at: Nanos,
    /// Makes it look now.
    notify: Arc<Notify>,
}

/// What has to be done for a new deadline, after the lock.
pub(super) enum TimerAction {
    None,
    Notify(Arc<Notify>),
    Start,
}

impl Timers {
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    /// Makes the timer of `runtime` look at `deadline` or before.
    #[inline]
    pub(super) fn look_at(&mut self, runtime: Option<Id>, deadline: Nanos) -> TimerAction {
        let mut timers = self.0.iter_mut();
        match timers.find(|timer| Some(timer.runtime) == runtime) {
            None => TimerAction::Start,
            Some(timer) if timer.at <= deadline => TimerAction::None,
            Some(timer) => {
                timer.at = deadline;
                TimerAction::Notify(Arc::clone(&timer.notify))
            }
        }
    }

    /// When the timer of `runtime` looks again.
    pub(super) fn next_look(&self, runtime: Option<Id>) -> Option<Nanos> {
        let mut timers = self.0.iter();
        let timer = timers.find(|timer| Some(timer.runtime) == runtime);
        timer.map(|timer| timer.at)
    }

    fn has(&self, runtime: Id) -> bool {
        self.0.iter().any(|timer| timer.runtime == runtime)
    }

    #[cfg(all(test, not(tcl_loom)))]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are timers, and all look later. The deadlines of all that wait come later,
    /// too.
    #[inline]
    pub(super) fn all_look_after(&self, time: Nanos) -> bool {
        !self.0.is_empty() && self.0.iter().all(|timer| timer.at > time)
    }

    /// Makes every timer look at `time` or before.
    pub(super) fn advance(&mut self, time: Nanos) {
        for timer in self.0.iter_mut().filter(|timer| timer.at > time) {
            timer.at = time;
            timer.notify.notify_one();
        }
    }

    /// Makes every timer look now.
    pub(super) fn ring_all(&self) {
        for timer in &self.0 {
            timer.notify.notify_one();
        }
    }

    /// The timer of `runtime` will look again at `next`, or ends.
    pub(super) fn set(&mut self, runtime: Id, next: Option<Nanos>) {
        match next {
            None => self.0.retain(|timer| timer.runtime != runtime),
            Some(next) => {
                if let Some(timer) = self.0.iter_mut().find(|timer| timer.runtime == runtime) {
                    timer.at = next;
                }
            }
        }
    }

    /// The time of some runtimes stands still while the gate's goes on by so much.
    pub(super) fn postpone(&mut self, by: Nanos, stands_still: impl Fn(Option<Id>) -> bool) {
        let timers = self.0.iter_mut();
        for timer in timers.filter(|timer| stands_still(Some(timer.runtime))) {
            timer.at = timer.at.saturating_add(by);
        }
    }
}

impl Gate {
    /// `false` if the timer cannot be started, because the runtime shuts down.
    ///
    /// # Panics
    ///
    /// If a timer is to start outside a tokio runtime, or in one without a time driver.
    pub(super) fn carry_out(self: &Arc<Self>, action: TimerAction) -> bool {
        match action {
            TimerAction::None => true,
            TimerAction::Notify(notify) => {
                notify.notify_one();
                true
            }
            TimerAction::Start => self.start_timer(),
        }
    }

    #[cfg(not(all(test, tcl_loom)))]
    #[cold]
    fn start_timer(self: &Arc<Self>) -> bool {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            panic!(
                "waiting for a resource needs a tokio runtime, for its deadline; wait inside one, \
                 or use `try_acquire`, which does not wait"
            );
        };
        // Panics here, in the caller's hands, and not unseen in the task, if time is not enabled.
        drop(tokio::time::sleep(std::time::Duration::ZERO));
        self.spawn_timer(runtime.id(), |timer| drop(runtime.spawn(timer.run())))
    }

    /// The test is the runtime.
    #[cfg(all(test, tcl_loom))]
    fn start_timer(self: &Arc<Self>) -> bool {
        let runtime = self.clock.runtime();
        runtime.is_none_or(|runtime| self.spawn_timer(runtime, |timer| self.clock.spawn(timer)))
    }

    /// Starts the timer of a runtime in which something waits, unless there is one; `false` if it
    /// is lost at once, because the runtime shuts down.
    pub(super) fn spawn_timer(self: &Arc<Self>, runtime: Id, spawn: impl FnOnce(Timer)) -> bool {
        let mut state = lock(&self.state);
        self.look(&mut state); // the clock of this runtime may be another than was seen before
        if state.timers.has(runtime) {
            return true;
        }
        let notify = Arc::new(Notify::new());
        state.timers.0.push(RuntimeTimer {
            runtime,
            at: 0,
            notify: Arc::clone(&notify),
        });
        drop(state);
        spawn(Timer {
            gate: Arc::downgrade(self),
            runtime,
            notify,
        });
        // It does not end by itself while something waits in its runtime.
        lock(&self.state).timers.has(runtime)
    }
}

/// The task. It does not own its gate: an unused gate has no waiters.
pub(super) struct Timer {
    gate: Weak<Gate>,
    runtime: Id,
    notify: Arc<Notify>,
}

impl Timer {
    #[cfg(not(all(test, tcl_loom)))]
    async fn run(mut self) {
        while let Some(gate) = self.gate.upgrade() {
            let Some(time) = gate.expire(Some(self.runtime)) else {
                self.gate = Weak::new();
                return;
            };
            let instant = gate.clock.instant(time);
            drop(gate);
            let _ = tokio::time::timeout_at(instant, self.notify.notified()).await;
        }
    }
}

impl Drop for Timer {
    /// Its runtime shuts down. Whatever still waits there is polled, and refused.
    fn drop(&mut self) {
        let Some(gate) = self.gate.upgrade() else {
            return;
        };
        let mut state = lock(&gate.state);
        state.timers.set(self.runtime, None);
        state.timers.advance(0); // what waits on, and is not polled, is seen to by the others
        let waiting = state.queue.payloads();
        let here = waiting.filter(|waiting| waiting.runtime == Some(self.runtime));
        let mut orphans: Vec<_> = here.map(|waiting| waiting.waker.clone()).collect();
        for &resource in &state.fifos {
            gate.fifo(resource).orphan(self.runtime, &mut orphans);
        }
        drop(state);
        orphans.into_iter().for_each(wake);
    }
}
