//! Real time and CPU time.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark measures real time, not tokio's"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The CPU time that this process has used so far, on all cores.
pub(crate) fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
