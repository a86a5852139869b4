//! The queue against models that are written for clarity, and the promises of its rules.

mod bars;
mod fifo;
mod hints;
mod plain;
mod rules;

use proptest::prelude::ProptestConfig;

use super::queue::PATIENCE;
use super::{
    Admission, Adopted, Arrival, Attributes, Beneficiary, By, Decision, Demand, Demands, Drain,
    Fifo, LaneId, LaneRule, LaneRules, Ledger, Nanos, NewRule, OverloadRule, Queue, RateRule,
    ReserveRule, ResourceRules, ResourceSpec, Shape, Sharing, Ticket, Usage, Verdict,
};

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig::with_cases(cases)
}

/// A queue for resources that have a limit and nothing else.
fn queue<T>(limits: &[u32], max_waiting: usize) -> Queue<T> {
    let specs = limits.iter().map(|&limit| ResourceSpec {
        max_waiting,
        limit,
        rules: ResourceRules::default(),
    });
    Queue::new(specs, Some(1_000))
}

/// A ledger of plain values.
#[derive(Clone, Debug)]
struct Plain {
    usages: Vec<Usage>,
    waiting: Vec<usize>,
}

impl Ledger for Plain {
    fn usage(&self, resource: u32) -> Usage {
        self.usages[resource as usize]
    }

    fn take(&mut self, resource: u32, units: u32) {
        let usage = &mut self.usages[resource as usize];
        assert!(
            usage.fits(units),
            "granted over the limit: {usage:?} + {units}"
        );
        *usage = usage.taking(units);
    }

    fn set_limit(&mut self, resource: u32, limit: u32) {
        let usage = &mut self.usages[resource as usize];
        *usage = usage.with_limit(limit);
    }

    fn contend(&mut self, _: u32) {}

    fn calm(&mut self, _: u32, _: Drain) {}

    fn waiting(&mut self, resource: u32, waiters: usize) {
        self.waiting[resource as usize] = waiters;
    }
}

impl Plain {
    fn new(limits: &[u32]) -> Self {
        Self {
            usages: limits.iter().map(|&limit| Usage::new(limit)).collect(),
            waiting: vec![0; limits.len()],
        }
    }

    fn release(&mut self, demands: &[Demand]) {
        for demand in demands {
            let usage = &mut self.usages[demand.resource as usize];
            *usage = Usage::from_bits(usage.bits() - u64::from(demand.units));
        }
    }

    fn in_use(&self) -> u32 {
        self.usages.iter().map(|usage| usage.in_use()).sum()
    }
}
