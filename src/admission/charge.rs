//! The load that a grant is charged with.

use smallvec::SmallVec;

use super::{Demands, Nanos, queue::Queue};

/// With what a grant was charged under load rates, and when.
#[derive(Debug)]
pub struct Charge {
    load: u64,
    /// What it is the sum of. Empty until the load is corrected.
    parts: SmallVec<[(Nanos, u64); 1]>,
}

/// How many parts can be refunded one by one. More corrections of one load are not made on purpose.
const PARTS: usize = 16;

impl Charge {
    pub fn new(load: u64) -> Self {
        Self {
            load,
            parts: SmallVec::new(),
        }
    }

    pub fn load(&self) -> u64 {
        self.load
    }
}

impl<T> Queue<T> {
    /// Returns the load that a request is charged with: at most what the largest of its load rates
    /// admits in a whole period, so that no request can close a rate for ever by the load that it
    /// declares.
    pub fn bounded_load(&self, demands: &Demands, load: u64) -> u64 {
        let lines = demands.iter().map(|d| &self.lines[d.resource as usize]);
        let most = lines.filter_map(|line| line.most_load()).max();
        most.map_or(load, |most| load.min(most))
    }

    /// Corrects the load of a grant that was made at `at`.
    pub fn correct(
        &mut self,
        now: Nanos,
        demands: &Demands,
        at: Nanos,
        charge: &mut Charge,
        actual: u64,
    ) {
        let actual = self.bounded_load(demands, actual);
        if charge.parts.is_empty() {
            charge.parts.push((at, charge.load));
        }
        let mut load = std::mem::replace(&mut charge.load, actual);
        if load < actual {
            self.settle_load(now, demands, now, load, Some(actual));
            charge.parts.truncate(PARTS - 1);
            charge.parts.push((now, actual - load));
        }
        // What was charged last is taken back first, each from the time at which it was charged.
        while load > actual {
            let Some((at, amount)) = charge.parts.pop() else {
                break;
            };
            let left = amount.saturating_sub(load - actual);
            self.settle_load(now, demands, at, amount, Some(left));
            load -= amount - left;
            if left > 0 {
                charge.parts.push((at, left));
            }
        }
    }
}
