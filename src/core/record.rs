//! What is recorded of a grant.

use std::time::Duration;

use super::{Gate, Leases, State, WaitOptions, adaptive::Ended};
use crate::{
    adaptive::Outcome,
    admission::{Attributes, Charge, Demand, Demands, Nanos},
    sync::{MutexGuard, lock},
};

/// What is recorded of a grant if its release takes more than its units: some of its resources have
/// lanes, reserves, rates or an adaptive limit, or are shared between processes.
#[derive(Debug)]
pub(crate) struct Record {
    /// In the lanes that the request was assigned.
    pub(super) demands: Demands,
    pub(super) claims: Attributes,
    pub(super) timeout: Duration,
    pub(super) max_waiting: Option<usize>,
    pub(super) at: Nanos,
    pub(super) dry_run: Option<DryRunCase>,
    charge: Charge,
    outcome: Outcome,
    /// Whether work has begun under it, so that what was spent stays spent.
    has_begun: bool,
    /// Of resources that are shared between processes, which are not among the demands.
    leases: Leases,
}

/// A request as the dry run knows it, while its work goes on.
#[derive(Clone, Copy, Debug)]
pub(super) struct DryRunCase(pub(super) u32);

impl Record {
    /// Of a set that was charged with this load.
    pub(crate) fn new(demands: Demands, load: u64, options: &WaitOptions, at: Nanos) -> Box<Self> {
        Box::new(Self {
            demands,
            claims: options.claims,
            timeout: options.timeout,
            max_waiting: options.max_waiting,
            at,
            dry_run: None,
            charge: Charge::new(load),
            outcome: Outcome::default(),
            has_begun: false,
            leases: Leases::default(),
        })
    }

    /// The same with the leases that were acquired for it.
    pub(crate) fn with_leases(mut self: Box<Self>, leases: Leases) -> Box<Self> {
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

    pub(super) fn begin_work(&mut self) {
        self.leases.begin_work();
        self.has_begun = true;
    }
}

impl Gate {
    /// Whether the grant of this set is recorded.
    pub(crate) fn records(&self, demands: &[Demand]) -> bool {
        let has_rules = |d: &Demand| !self.resources[d.resource as usize].rules().is_plain();
        self.has_rules && demands.iter().any(has_rules)
    }

    /// Releases a set of which this was recorded; if no work has begun under it, with all that was
    /// spent.
    #[cold]
    pub(super) fn release_recorded(&self, record: &Record) {
        self.end_dry_run(record, self.clock.now());
        if !self.records(&record.demands) {
            return self.release(&record.demands); // it has leases, and no more
        }
        match record.has_begun {
            true => self.release_worked(record),
            false => self.refund(record),
        }
    }

    fn release_worked(&self, record: &Record) {
        let read = self.clock.now();
        let mut state = lock(&self.state);
        let before = state.clocks.latest();
        let now = self.tick(&mut state, read);
        let is_first = now > before;
        self.put_back(&mut state, record);
        let mut dispatching = Dispatching {
            gate: self,
            state: Some(state),
            now,
        };
        if let Some(state) = &mut dispatching.state {
            self.update_adaptive(state, record, now, is_first);
        }
    }

    /// Moves the adaptive limits by a grant that was released, by the first at this instant or not.
    fn update_adaptive(&self, state: &mut State, record: &Record, now: Nanos, is_first: bool) {
        for demand in &*record.demands {
            let Some(adaptive) = &mut state.adaptive[demand.resource as usize] else {
                continue;
            };
            let usage = self.usage(*demand);
            let ended = Ended {
                acquired: record.at,
                units: demand.units,
                outcome: record.outcome,
                in_use: usage.load().in_use(),
                is_awaited: usage.waiting() > 0,
                is_first,
            };
            let limit = adaptive.ended(now, &ended);
            self.set_limit(state, demand.resource, limit, now);
        }
    }

    fn refund(&self, record: &Record) {
        let (mut state, now) = self.lock_now();
        let load = record.load();
        state
            .queue
            .settle_load(now, &record.demands, record.at, load, None);
        self.put_back(&mut state, record);
        self.dispatch(state, now);
    }

    fn put_back(&self, state: &mut State, record: &Record) {
        for demand in &*record.demands {
            let resource = &self.resources[demand.resource as usize];
            if resource.rules().is_dry {
                resource.usage().release_dry(demand.units);
            } else {
                // Its mark asks for a dispatch: the caller does that.
                let _ = resource.usage().release(demand.units);
            }
            if let Some(adaptive) = &mut state.adaptive[demand.resource as usize] {
                adaptive.released(record.at, demand.units);
            }
        }
        state
            .queue
            .returned(&record.demands, record.claims.priority);
    }

    /// Corrects the load of a grant.
    pub(crate) fn settle_load(&self, record: &mut Record, actual: u64) {
        let (mut state, now) = self.lock_now();
        let Record {
            demands,
            at,
            charge,
            ..
        } = record;
        state.queue.correct(now, demands, *at, charge, actual);
        if let (Some(DryRunCase(case)), Some(dry_run)) = (record.dry_run, &mut state.dry_run) {
            dry_run.settle_load(now, case, actual);
        }
        self.dispatch(state, now);
        record.leases.settle_load(actual);
    }
}

/// Dispatches whatever happens meanwhile: the algorithm of an adaptive limit may panic.
struct Dispatching<'a> {
    gate: &'a Gate,
    state: Option<MutexGuard<'a, State>>,
    now: Nanos,
}

impl Drop for Dispatching<'_> {
    fn drop(&mut self) {
        if let Some(state) = self.state.take() {
            self.gate.dispatch(state, self.now);
        }
    }
}
