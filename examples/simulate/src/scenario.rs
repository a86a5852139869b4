//! What is simulated.

use std::fmt;

use tower_concurrency_limiter::admission::Nanos;

use crate::traffic::Service;

pub(crate) const SECOND: Nanos = 1_000_000_000;
pub(crate) const MILLISECOND: Nanos = 1_000_000;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scenario {
    /// In each run.
    pub(crate) requests: u64,
    /// In multiples of what the resource can do, from low to high.
    pub(crate) loads: Vec<f64>,
    pub(crate) tenants: u32,
    /// The share of one of them.
    pub(crate) noisy: f64,
    /// How unequal the others are.
    pub(crate) zipf: f64,
    pub(crate) limit: u32,
    pub(crate) max_waiting: usize,
    pub(crate) service: Service,
    pub(crate) service_mean: Nanos,
    /// After how long a client is gone.
    pub(crate) patience: Nanos,
    /// After how long a request leaves the queue: the default of the crate, and what suits the
    /// clients.
    pub(crate) deadlines: Vec<Nanos>,
    /// For how long a waiter can be overtaken by priority, if not until its deadline.
    pub(crate) credit: Option<Nanos>,
    pub(crate) seed: u64,
}

impl Scenario {
    /// Requests per second that the resource can do.
    pub(crate) fn capacity(&self) -> f64 {
        f64::from(self.limit) * SECOND as f64 / self.service_mean as f64
    }

    /// So many requests at the start do not count: the queues have to fill first.
    pub(crate) fn warm_up(&self) -> u64 {
        self.requests / 5
    }

    #[cfg(test)]
    pub(crate) fn quick() -> Self {
        use clap::Parser as _;
        crate::args::Args::parse_from(["simulate", "--quick"]).scenario()
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let service = match self.service {
            Service::Exponential => "exponential",
            Service::Lognormal => "lognormal",
        };
        write!(
            f,
            "{} requests in each run, from {} tenants: {:.0} % from a noisy one, the rest by Zipf ({}). \
             {} at once, {} ms each ({service}): {:.0}/s. At most {} wait. Clients wait for {} s.",
            self.requests,
            self.tenants,
            100.0 * self.noisy,
            self.zipf,
            self.limit,
            self.service_mean / MILLISECOND,
            self.capacity(),
            self.max_waiting,
            seconds(self.patience),
        )
    }
}

pub(crate) fn seconds(time: Nanos) -> f64 {
    time as f64 / SECOND as f64
}
