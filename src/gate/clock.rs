//! The one place that reads a clock.

use crate::admission::Nanos;

#[cfg(not(all(test, tcl_loom)))]
pub(super) use tokio_clock::Clock;

#[cfg(all(test, tcl_loom))]
pub(super) use manual_clock::Clock;

#[cfg(not(all(test, tcl_loom)))]
mod tokio_clock {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::Nanos;

    /// Time since the limiter was built, on tokio's clock, so that tests can pause it.
    pub(in crate::gate) struct Clock(Instant);

    impl Clock {
        pub(in crate::gate) fn start() -> Self {
            Self(Instant::now())
        }

        pub(in crate::gate) fn now(&self) -> Nanos {
            let elapsed = Instant::now().saturating_duration_since(self.0);
            elapsed.as_secs() * 1_000_000_000 + Nanos::from(elapsed.subsec_nanos())
        }

        /// The instant that this clock calls `time`; about 30 years ahead if that is out of range.
        pub(in crate::gate) fn instant(&self, time: Nanos) -> Instant {
            const FAR: Duration = Duration::from_secs(30 * 365 * 86_400);
            let far = self.0 + FAR;
            self.0
                .checked_add(Duration::from_nanos(time))
                .map_or(far, |instant| instant.min(far))
        }
    }
}

#[cfg(all(test, tcl_loom))]
mod manual_clock {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::Nanos;

    /// Time that stands still until a loom test moves it.
    pub(in crate::gate) struct Clock(AtomicU64);

    impl Clock {
        pub(in crate::gate) fn start() -> Self {
            Self(AtomicU64::new(0))
        }

        pub(in crate::gate) fn now(&self) -> Nanos {
            self.0.load(Ordering::Acquire)
        }

        /// Never called: under loom the test is the timer.
        pub(in crate::gate) fn instant(&self, _: Nanos) -> tokio::time::Instant {
            tokio::time::Instant::now()
        }

        pub(in crate::gate) fn set(&self, time: Nanos) {
            self.0.store(time, Ordering::Release);
        }
    }
}
