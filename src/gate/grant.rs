//! What is remembered of a grant.

use super::Gate;
use crate::{
    adaptive::{Outcome, Sample},
    admission::{Claims, Demands, Nanos},
};

/// A granted set of which more has to be known, when it is returned, than how much it was: some of its
/// resources have lanes, reserves, rates or an adaptive limit.
#[derive(Debug)]
pub(crate) struct Grant {
    /// In the lanes that it got.
    pub(super) demands: Demands,
    pub(super) claims: Claims,
    pub(super) at: Nanos,
    outcome: Outcome,
}

impl Grant {
    pub(super) fn new(demands: Demands, claims: Claims, at: Nanos) -> Box<Self> {
        Box::new(Self {
            demands,
            claims,
            at,
            outcome: Outcome::default(),
        })
    }

    pub(crate) fn set_outcome(&mut self, outcome: Outcome) {
        self.outcome = outcome;
    }

    /// The load that it was charged with.
    pub(crate) fn load(&self) -> u64 {
        self.claims.load
    }
}

impl Gate {
    /// Returns a set after work under it.
    pub(crate) fn give_back(&self, grant: &Grant) {
        let (mut state, now) = self.lock_now();
        for demand in &*grant.demands {
            if let Some(limit) = &mut state.adaptive[demand.resource as usize] {
                let held = std::time::Duration::from_nanos(now.saturating_sub(grant.at));
                let in_use = self.usage(*demand).load().in_use() as usize;
                let units = limit.update(&Sample::new(held, in_use, grant.outcome));
                let units = u32::try_from(units).unwrap_or(u32::MAX);
                state
                    .queue
                    .set_limit(demand.resource, units, &mut self.ledger());
            }
        }
        self.put_back(&mut state, grant);
        self.settle(state, now);
    }

    /// Returns a set that nobody has worked under: nothing was spent.
    pub(crate) fn refund(&self, grant: &Grant) {
        let (mut state, now) = self.lock_now();
        let load = grant.claims.load;
        state
            .queue
            .settle_load(now, &grant.demands, grant.at, load, None);
        self.put_back(&mut state, grant);
        self.settle(state, now);
    }

    fn put_back(&self, state: &mut super::State, grant: &Grant) {
        for demand in &*grant.demands {
            // Its mark says that somebody looks: that is done here.
            let _ = self.usage(*demand).give_back(demand.units);
        }
        state.queue.returned(&grant.demands, grant.claims.priority);
    }

    /// The load of a grant was another than was said.
    pub(crate) fn settle_load(&self, grant: &mut Grant, actual: u64) {
        let (mut state, now) = self.lock_now();
        let load = std::mem::replace(&mut grant.claims.load, actual);
        state
            .queue
            .settle_load(now, &grant.demands, grant.at, load, Some(actual));
        self.settle(state, now);
    }
}
