//! What happens, and when.

use std::time::Duration;

/// Processes are numbered from 1.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) processes: u32,
    /// Units in use at once, in all processes together.
    pub(crate) limit: u32,
    /// How long a request works with its permit.
    pub(crate) work: Duration,
    /// Longest wait for a permit.
    pub(crate) wait: Duration,
    /// Requests per second for each process.
    pub(crate) rate: u32,
    /// How long a client waits for an answer.
    pub(crate) client_timeout: Duration,
    pub(crate) heartbeat: Duration,
    pub(crate) lease: Duration,
    /// When one process is killed, and when another is paused and goes on.
    pub(crate) kill_at: Duration,
    pub(crate) pause_at: Duration,
    pub(crate) resume_at: Duration,
    pub(crate) end_at: Duration,
}

/// The process that is killed.
pub(crate) const KILLED: u32 = 2;
/// The process that is paused.
pub(crate) const PAUSED: u32 = 3;

pub(crate) const FULL: Plan = Plan {
    processes: 4,
    limit: 10,
    work: Duration::from_millis(50),
    wait: Duration::from_millis(300),
    // Ten at a time, for 50 ms each, are 200 per second: two processes alone bring more.
    rate: 120,
    client_timeout: Duration::from_secs(1),
    heartbeat: Duration::from_millis(500),
    lease: Duration::from_secs(5),
    kill_at: Duration::from_secs(15),
    pause_at: Duration::from_secs(25),
    resume_at: Duration::from_secs(37),
    end_at: Duration::from_secs(50),
};

pub(crate) const QUICK: Plan = Plan {
    heartbeat: Duration::from_millis(200),
    lease: Duration::from_secs(2),
    kill_at: Duration::from_secs(4),
    pause_at: Duration::from_secs(7),
    resume_at: Duration::from_secs(11),
    end_at: Duration::from_secs(14),
    ..FULL
};

impl Plan {
    /// How long what a process holds is valid after it was last heard of: it gives up earlier than
    /// others are let in.
    pub(crate) fn validity(&self) -> Duration {
        self.lease.mul_f64(0.9)
    }

    /// The parts of the run, each until the next begins.
    pub(crate) fn phases(&self) -> [(&'static str, Duration, Duration); 4] {
        [
            ("all are there", Duration::ZERO, self.kill_at),
            ("one was killed", self.kill_at, self.pause_at),
            ("one more stands still", self.pause_at, self.resume_at),
            ("it goes on", self.resume_at, self.end_at),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_processes_alone_want_more_than_the_limit_lets_through() {
        for plan in [FULL, QUICK] {
            let capacity = f64::from(plan.limit) / plan.work.as_secs_f64();
            assert!(2.0 * f64::from(plan.rate) > 1.1 * capacity);
        }
    }

    #[test]
    fn the_pause_is_longer_than_the_lease_and_each_part_long_enough_to_see_what_follows() {
        for plan in [FULL, QUICK] {
            assert!(plan.resume_at - plan.pause_at > plan.lease + Duration::from_secs(1));
            assert!(plan.lease >= 6 * plan.heartbeat);
            for (name, from, to) in plan.phases() {
                assert!(to - from >= Duration::from_secs(3), "{name}");
            }
        }
    }

    #[test]
    fn the_quick_run_takes_15_seconds() {
        assert!(QUICK.end_at + QUICK.client_timeout <= Duration::from_secs(15));
    }
}
