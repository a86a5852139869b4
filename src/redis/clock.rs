//! The time by which leases end.

use std::time::Duration;

/// Time since the machine was started, with the time in which it slept: a lease goes on ending
/// then, at the server. Where there is no such clock, it stands still while the machine sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct BootTime(u64);

impl BootTime {
    pub(super) const ZERO: Self = Self(0);

    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(super) fn now() -> Self {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Self(now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64)
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(super) fn now() -> Self {
        use std::{sync::OnceLock, time::Instant};
        static START: OnceLock<Instant> = OnceLock::new();
        // Never 0, which is before everything.
        Self(START.get_or_init(Instant::now).elapsed().as_nanos() as u64 + 1)
    }

    pub(super) fn after(self, time: Duration) -> Self {
        Self(self.0.saturating_add(time.as_nanos() as u64))
    }

    pub(super) fn until(self, later: Self) -> Duration {
        Duration::from_nanos(later.0.saturating_sub(self.0))
    }

    pub(super) fn nanos(self) -> u64 {
        self.0
    }

    pub(super) fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }
}
