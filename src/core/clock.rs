//! The one place that reads a clock.

use std::time::Duration;

use crate::admission::Nanos;

#[cfg(not(all(test, tcl_loom)))]
pub(super) use tokio_clock::Clock;

#[cfg(all(test, tcl_loom))]
pub(super) use manual_clock::Clock;

/// What the clock of the code that runs on this thread shows.
pub(super) struct Reading {
    pub(super) time: Nanos,
    /// Whether that is the system's time, and not that of a runtime with paused time.
    pub(super) is_system: bool,
}

/// A span of time; 584 years if it is longer.
#[inline]
pub(super) fn nanos(duration: Duration) -> Nanos {
    let seconds = duration.as_secs().saturating_mul(1_000_000_000);
    seconds.saturating_add(Nanos::from(duration.subsec_nanos()))
}

#[cfg(not(all(test, tcl_loom)))]
mod tokio_clock {
    use std::time::Duration;

    use tokio::{
        runtime::{Handle, Id},
        time::Instant,
    };

    use super::{Nanos, Reading};

    /// Time since the limiter was built, on tokio's clock, so that tests can pause it. Each runtime
    /// that does so has a clock of its own.
    pub(in crate::core) struct Clock(Instant);

    impl Clock {
        pub(in crate::core) fn start() -> Self {
            Self(Instant::now())
        }

        pub(in crate::core) fn now(&self) -> Nanos {
            self.since_start(Instant::now())
        }

        fn since_start(&self, instant: Instant) -> Nanos {
            let elapsed = instant.saturating_duration_since(self.0);
            elapsed.as_secs() * 1_000_000_000 + Nanos::from(elapsed.subsec_nanos())
        }

        /// A look at the clock itself.
        pub(in crate::core) fn read(&self) -> Reading {
            let before = system_time();
            let now = Instant::now();
            Reading {
                time: self.since_start(now),
                is_system: (before..=system_time()).contains(&now),
            }
        }

        /// The instant that this clock calls `time`; about 30 years ahead if that is out of range.
        pub(in crate::core) fn instant(&self, time: Nanos) -> Instant {
            const FAR: Duration = Duration::from_secs(30 * 365 * 86_400);
            let far = self.0 + FAR;
            self.0
                .checked_add(Duration::from_nanos(time))
                .map_or(far, |instant| instant.min(far))
        }

        /// The runtime of the code that runs on this thread.
        #[inline]
        pub(in crate::core) fn runtime(&self) -> Option<Id> {
            Handle::try_current().ok().map(|runtime| runtime.id())
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "to find out whether the time of tokio's clock was paused"
    )]
    fn system_time() -> Instant {
        Instant::from_std(std::time::Instant::now())
    }
}

#[cfg(all(test, tcl_loom))]
mod manual_clock {
    use std::sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    };

    use tokio::runtime::Id;

    use super::{Nanos, Reading};
    use crate::{
        core::timers::Timer,
        sync::{Mutex, lock},
    };

    /// Time that stands still until a loom test moves it, and the runtime of a test that has one.
    pub(in crate::core) struct Clock {
        time: AtomicU64,
        runtime: OnceLock<Id>,
        tasks: Mutex<Tasks>,
    }

    /// The tasks of a runtime, as far as they matter here.
    #[derive(Default)]
    struct Tasks {
        timer: Option<Timer>,
        are_shut_down: bool,
    }

    impl Clock {
        pub(in crate::core) fn start() -> Self {
            Self {
                time: AtomicU64::new(0),
                runtime: OnceLock::new(),
                tasks: Mutex::new(Tasks::default()),
            }
        }

        pub(in crate::core) fn now(&self) -> Nanos {
            self.time.load(Ordering::Acquire)
        }

        pub(in crate::core) fn read(&self) -> Reading {
            Reading {
                time: self.now(),
                is_system: true,
            }
        }

        /// Never called: under loom the test is the timer.
        pub(in crate::core) fn instant(&self, _: Nanos) -> tokio::time::Instant {
            tokio::time::Instant::now()
        }

        pub(in crate::core) fn set(&self, time: Nanos) {
            self.time.store(time, Ordering::Release);
        }

        pub(in crate::core) fn runtime(&self) -> Option<Id> {
            self.runtime.get().copied()
        }

        pub(in crate::core) fn run_in(&self, runtime: Id) {
            self.runtime.set(runtime).expect("set once");
        }

        /// What tokio does: a task is dropped at once if the runtime has begun to shut down.
        pub(in crate::core) fn spawn(&self, timer: Timer) {
            let mut tasks = lock(&self.tasks);
            if tasks.are_shut_down {
                drop(tasks);
                drop(timer);
            } else {
                let outdated = tasks.timer.replace(timer);
                drop(tasks);
                drop(outdated);
            }
        }

        /// Drops the tasks of the runtime, now and from now on.
        pub(in crate::core) fn shut_down(&self) {
            let mut tasks = lock(&self.tasks);
            tasks.are_shut_down = true;
            let timer = tasks.timer.take();
            drop(tasks);
            drop(timer);
        }
    }
}
