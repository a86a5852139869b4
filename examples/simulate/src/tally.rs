//! What became of the requests of one run.

use tower_concurrency_limiter::admission::Nanos;

use crate::traffic::{Class, Request};

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// While its client was still there.
    InTime,
    /// Served for nobody.
    Late,
    /// The queue was full.
    Refused,
    TimedOut,
    Shed,
}

impl End {
    pub(crate) const ALL: [Self; 5] = [
        Self::InTime,
        Self::Late,
        Self::Refused,
        Self::TimedOut,
        Self::Shed,
    ];
}

/// Counts by tenant, and waits by class.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tally {
    pub(crate) arrived: Vec<u64>,
    pub(crate) in_time: Vec<u64>,
    ends: [u64; End::ALL.len()],
    waits: [Waits; Class::ALL.len()],
}

impl Tally {
    pub(crate) fn new(tenants: u32) -> Self {
        Self {
            arrived: vec![0; tenants as usize],
            in_time: vec![0; tenants as usize],
            ends: Default::default(),
            waits: Default::default(),
        }
    }

    pub(crate) fn arrived(&mut self, request: &Request) {
        self.arrived[request.tenant as usize] += 1;
    }

    /// It was let in after this wait.
    pub(crate) fn started(&mut self, request: &Request, wait: Nanos) {
        self.waits[request.class as usize].add(wait);
    }

    pub(crate) fn ended(&mut self, request: &Request, end: End) {
        self.ends[end as usize] += 1;
        if end == End::InTime {
            self.in_time[request.tenant as usize] += 1;
        }
    }

    pub(crate) fn count(&self, end: End) -> u64 {
        self.ends[end as usize]
    }

    pub(crate) fn waits(&mut self, class: Class) -> &mut Waits {
        &mut self.waits[class as usize]
    }
}

/// All of them, in microseconds: 40 MB for ten million, and exact.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Waits(Vec<u32>);

impl Waits {
    fn add(&mut self, wait: Nanos) {
        self.0.push(u32::try_from(wait / 1_000).unwrap_or(u32::MAX));
    }

    /// The smallest wait, in seconds, that a share of them does not exceed (nearest rank).
    pub(crate) fn percentile(&mut self, share: f64) -> Option<f64> {
        let rank = (share * self.0.len() as f64).ceil() as usize;
        let index = rank.saturating_sub(1);
        if index >= self.0.len() {
            return None;
        }
        let (_, wait, _) = self.0.select_nth_unstable(index);
        Some(f64::from(*wait) / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_waits_that_were_measured() {
        let mut waits = Waits::default();
        assert_eq!(waits.percentile(0.5), None);
        for second in (1..=100).rev() {
            waits.add(second * 1_000_000_000);
        }
        assert_eq!(waits.percentile(0.99), Some(99.0));
        assert_eq!(waits.percentile(0.5), Some(50.0));
        assert_eq!(waits.percentile(0.0), Some(1.0));
        assert_eq!(waits.percentile(1.0), Some(100.0));
    }
}
