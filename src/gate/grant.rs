//! What is remembered of a grant.

use super::{Gate, Leases, State, Wait, adaptive::Ended, dry::DryCase};
use crate::{
    adaptive::Outcome,
    admission::{Charge, Claims, Demands, Nanos},
    sync::{MutexGuard, lock},
};

/// A granted set of which more has to be known, when it is returned, than how much it was: some of its
/// resources have lanes, reserves, rates or an adaptive limit, or are shared between processes.
#[derive(Debug)]
pub(crate) struct Grant {
    /// In the lanes that it got.
    pub(super) demands: Demands,
    pub(super) claims: Claims,
    pub(super) at: Nanos,
    pub(super) dry: DryCase,
    charge: Charge,
    outcome: Outcome,
    /// Of what is shared, and not among the demands.
    leases: Leases,
}

impl Grant {
    /// Of a set for which it was charged with this load.
    pub(crate) fn new(demands: Demands, load: u64, wait: &Wait<'_>, at: Nanos) -> Box<Self> {
        Box::new(Self {
            demands,
            claims: wait.claims,
            at,
            dry: DryCase::Not(wait.timeout, wait.max_waiting),
            charge: Charge::new(load),
            outcome: Outcome::default(),
            leases: Leases::default(),
        })
    }

    /// With what work begins under, too.
    pub(crate) fn with(mut self: Box<Self>, mut leases: Leases) -> Box<Self> {
        leases.begin();
        self.leases = leases;
        self
    }

    pub(crate) fn leases(&self) -> &Leases {
        &self.leases
    }

    pub(crate) fn set_outcome(&mut self, outcome: Outcome) {
        self.outcome = outcome;
    }

    /// The load that it was charged with.
    pub(crate) fn load(&self) -> u64 {
        self.charge.load()
    }
}

impl Gate {
    /// Returns a set after work under it.
    pub(crate) fn give_back(&self, grant: &Grant) {
        if !self.remembers(&grant.demands) {
            return self.leave(&grant.demands); // there is more to its leases alone
        }
        self.end(grant, self.clock.now());
        let read = self.clock.now();
        let mut state = lock(&self.state);
        let before = state.clocks.latest();
        let now = self.tick(&mut state, read);
        let is_first = now > before;
        self.put_back(&mut state, grant);
        let mut settling = Settling {
            gate: self,
            state: Some(state),
            now,
        };
        if let Some(state) = &mut settling.state {
            self.learn(state, grant, now, is_first);
        }
    }

    /// Moves the adaptive limits by a grant that was returned, by the first at this instant or not.
    fn learn(&self, state: &mut State, grant: &Grant, now: Nanos, is_first: bool) {
        for demand in &*grant.demands {
            let Some(adaptive) = &mut state.adaptive[demand.resource as usize] else {
                continue;
            };
            let usage = self.usage(*demand);
            let ended = Ended {
                acquired: grant.at,
                units: demand.units,
                outcome: grant.outcome,
                in_use: usage.load().in_use(),
                is_awaited: usage.waiting() > 0,
                is_first,
            };
            let limit = adaptive.ended(now, &ended);
            self.limit(state, demand.resource, limit, now);
        }
    }

    /// Returns a granted set under which no work has begun.
    pub(crate) fn decline(&self, demands: &Demands, grant: Option<Box<Grant>>) {
        match grant {
            None => self.leave(demands),
            Some(mut grant) => {
                grant.leases.refund_on_drop();
                self.end(&grant, self.clock.now());
                self.refund(&grant);
            }
        }
    }

    /// Returns a set that nobody has worked under: nothing was spent.
    pub(super) fn refund(&self, grant: &Grant) {
        let (mut state, now) = self.lock_now();
        let load = grant.load();
        state
            .queue
            .settle_load(now, &grant.demands, grant.at, load, None);
        self.put_back(&mut state, grant);
        self.settle(state, now);
    }

    fn put_back(&self, state: &mut State, grant: &Grant) {
        for demand in &*grant.demands {
            let resource = &self.resources[demand.resource as usize];
            if resource.rules().is_dry {
                resource.usage().give_back_dry(demand.units);
            } else {
                // Its mark says that somebody looks: that is done here.
                let _ = resource.usage().give_back(demand.units);
            }
            if let Some(adaptive) = &mut state.adaptive[demand.resource as usize] {
                adaptive.released(grant.at, demand.units);
            }
        }
        state.queue.returned(&grant.demands, grant.claims.priority);
    }

    /// The load of a grant was another than was said.
    pub(crate) fn settle_load(&self, grant: &mut Grant, actual: u64) {
        let (mut state, now) = self.lock_now();
        let Grant {
            demands,
            at,
            charge,
            ..
        } = grant;
        state.queue.correct(now, demands, *at, charge, actual);
        if let (DryCase::Open(case), Some(shadow)) = (grant.dry, &mut state.shadow) {
            shadow.settle_load(now, case, actual);
        }
        self.settle(state, now);
        grant.leases.settle_load(actual);
    }
}

/// Sees to those who wait whatever happens meanwhile: what moves an adaptive limit may panic.
struct Settling<'a> {
    gate: &'a Gate,
    state: Option<MutexGuard<'a, State>>,
    now: Nanos,
}

impl Drop for Settling<'_> {
    fn drop(&mut self) {
        if let Some(state) = self.state.take() {
            self.gate.settle(state, self.now);
        }
    }
}
