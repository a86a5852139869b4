//! What is remembered of a grant.

use super::{Gate, State, Wait, dry::DryCase};
use crate::{
    adaptive::{Outcome, Sample},
    admission::{Claims, Demands, Nanos},
    sync::lock,
};

/// A granted set of which more has to be known, when it is returned, than how much it was: some of its
/// resources have lanes, reserves, rates or an adaptive limit.
#[derive(Debug)]
pub(crate) struct Grant {
    /// In the lanes that it got.
    pub(super) demands: Demands,
    pub(super) claims: Claims,
    pub(super) at: Nanos,
    pub(super) dry: DryCase,
    outcome: Outcome,
}

impl Grant {
    pub(super) fn new(demands: Demands, wait: &Wait<'_>) -> Box<Self> {
        Box::new(Self {
            demands,
            claims: wait.claims,
            at: wait.arrived,
            dry: DryCase::Not(wait.timeout, wait.max_waiting),
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
        let now = self.clock.now();
        self.end(grant, now);
        let mut state = lock(&self.state);
        for demand in &*grant.demands {
            if let Some(limit) = &mut state.adaptive[demand.resource as usize] {
                let held = std::time::Duration::from_nanos(now.saturating_sub(grant.at));
                let in_use = self.usage(*demand).load().in_use() as usize;
                let units = limit.update(&Sample::new(held, in_use, grant.outcome));
                let units = u32::try_from(units.max(1)).unwrap_or(u32::MAX);
                self.limit(&mut state, demand.resource, units, now);
            }
        }
        self.put_back(&mut state, grant);
        self.settle(state, now);
    }

    /// Returns a set that nobody has worked under: nothing was spent.
    pub(crate) fn refund(&self, grant: &Grant) {
        let now = self.clock.now();
        let mut state = lock(&self.state);
        let load = grant.claims.load;
        state
            .queue
            .settle_load(now, &grant.demands, grant.at, load, None);
        self.put_back(&mut state, grant);
        self.settle(state, now);
    }

    fn put_back(&self, state: &mut State, grant: &Grant) {
        for demand in &*grant.demands {
            // Its mark says that somebody looks: that is done here.
            let _ = self.usage(*demand).give_back(demand.units);
        }
        state.queue.returned(&grant.demands, grant.claims.priority);
    }

    /// The load of a grant was another than was said.
    pub(crate) fn settle_load(&self, grant: &mut Grant, actual: u64) {
        let now = self.clock.now();
        let mut state = lock(&self.state);
        let load = std::mem::replace(&mut grant.claims.load, actual);
        state
            .queue
            .settle_load(now, &grant.demands, grant.at, load, Some(actual));
        if let (DryCase::Open(case), Some(shadow)) = (grant.dry, &mut state.shadow) {
            shadow.settle_load(now, case, actual);
        }
        self.settle(state, now);
    }
}
