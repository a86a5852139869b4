//! Threads and memory of a process, where the system tells (`/proc` of Linux).

use std::{convert::Infallible, time::Duration};

/// The most that was seen. `None` where nothing can be seen.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Usage {
    pub(crate) threads: Option<f64>,
    pub(crate) peak_rss_mb: Option<f64>,
}

impl Usage {
    /// Keeps looking, until it is dropped.
    pub(crate) async fn watch(&mut self, process: u32) -> Infallible {
        let mut ticks = tokio::time::interval(Duration::from_millis(250));
        loop {
            ticks.tick().await;
            if let Ok(status) = std::fs::read_to_string(format!("/proc/{process}/status")) {
                self.see(&status);
            }
        }
    }

    fn see(&mut self, status: &str) {
        let number = |name: &str| -> Option<f64> {
            let rest = status.lines().find_map(|line| line.strip_prefix(name))?;
            rest.split_whitespace().next()?.parse().ok()
        };
        // `f64::max` of an option: nothing is less than anything.
        let most = |seen: Option<f64>, now: Option<f64>| if now > seen { now } else { seen };
        self.threads = most(self.threads, number("Threads:"));
        // The kernel keeps the high-water mark of the memory itself.
        self.peak_rss_mb = most(
            self.peak_rss_mb,
            number("VmHWM:").map(|kib| kib * 1024.0 / 1e6),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_threads_and_memory_are_kept() {
        let mut usage = Usage::default();
        usage.see("Name:\toverload\nVmHWM:\t  1000000 kB\nThreads:\t7\n");
        usage.see("Name:\toverload\nVmHWM:\t  1000000 kB\nThreads:\t3\n");
        assert_eq!(
            usage,
            Usage {
                threads: Some(7.0),
                peak_rss_mb: Some(1024.0)
            }
        );
    }

    #[test]
    fn unknown_stays_unknown() {
        let mut usage = Usage::default();
        usage.see("Name:\toverload\n");
        assert_eq!(usage, Usage::default());
    }
}
