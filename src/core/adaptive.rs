//! State beside an adaptive limit: which units are held by lasting work, and for how long requests
//! have been blocked.

use std::{mem, time::Duration};

use super::{Gate, State};
use crate::{
    adaptive::{AdaptiveLimit, Outcome, Sample},
    admission::{Demand, Nanos},
    resource::Resource,
};

/// Work is lasting once it is held for this many times the usual time.
const LASTING: Nanos = 8;

/// And once this many times the units that were in use beside lasting work have come and gone.
/// While a resource does not respond, everything is held for long, but nothing comes and goes.
const TURNOVERS: u64 = 4;

/// Requests are not taken for locked out before no permit has ended for this many times the usual
/// time,
const PATIENCE: Nanos = 4;

/// nor before this, however short the usual time.
const LEAST_PATIENCE: Nanos = 1_000_000_000;

/// The same before any work has succeeded, so that nothing is known to be usual.
const FIRST_PATIENCE: Nanos = 5_000_000_000;

/// An adaptive limit under a gate.
pub(super) struct AdaptiveResource {
    limit: Box<dyn AdaptiveLimit>,
    floor: u32,
    ceiling: u32,
    /// How long work that succeeds holds its units, on average.
    usual: Option<Nanos>,
    /// Held for so long that it must not block other work.
    lasting: Cohort,
    /// The next to become lasting, if they are still held by then.
    next: Cohort,
    /// How many units were acquired after `next` and returned with success.
    turnover: u64,
    kept: Option<Kept>,
    /// A limit that lets some units in beside work that does not end.
    relief: u32,
}

/// The units in use at one instant, as far as they are still held.
#[derive(Default)]
struct Cohort {
    since: Nanos,
    held: u32,
    /// How many there were beside lasting ones.
    size: u32,
}

impl Cohort {
    fn new(since: Nanos, held: u32, lasting: u32) -> Self {
        Self {
            since,
            held,
            size: held.saturating_sub(lasting),
        }
    }

    fn released(&mut self, acquired: Nanos, units: u32) {
        if acquired < self.since {
            self.held = self.held.saturating_sub(units);
        }
    }
}

/// Requests are blocked, and no permit has ended since.
struct Kept {
    since: Nanos,
    /// How often it was looked at whether they are locked out.
    looks: u32,
}

/// A permit that has ended, as one resource sees it.
pub(super) struct Ended {
    pub(super) acquired: Nanos,
    pub(super) units: u32,
    pub(super) outcome: Outcome,
    /// What is in use without it.
    pub(super) in_use: u32,
    /// Whether requests wait.
    pub(super) is_awaited: bool,
    /// Whether nothing can have been acquired at this instant, so that all that is in use was
    /// before.
    pub(super) is_first: bool,
}

impl AdaptiveResource {
    pub(super) fn new(limit: Box<dyn AdaptiveLimit>, floor: u32) -> Self {
        let ceiling = limit.ceiling().min(Resource::MAX_LIMIT) as u32;
        Self {
            limit,
            floor,
            ceiling,
            usual: None,
            lasting: Cohort::default(),
            next: Cohort::default(),
            turnover: 0,
            kept: None,
            relief: 0,
        }
    }

    pub(super) fn into_inner(self) -> Box<dyn AdaptiveLimit> {
        self.limit
    }

    /// What is to be in force where the user asks for `limit`.
    pub(super) fn by_hand(&self, limit: u32) -> u32 {
        match limit {
            0 => 0,
            limit => limit.max(self.floor),
        }
    }

    /// The limit in force: what the algorithm allows, on top of lasting work.
    pub(super) fn in_force(&self) -> u32 {
        self.on_top_of_lasting(self.limit.limit())
    }

    fn on_top_of_lasting(&self, limit: usize) -> u32 {
        let own = self.own(limit);
        let more = own.saturating_add(self.lasting.held).max(self.relief);
        own.max(more.min(self.ceiling))
    }

    /// A limit that moves by itself may return anything. From below the floor a wide claim could
    /// not raise it again.
    fn own(&self, limit: usize) -> u32 {
        limit.clamp(self.floor as usize, Resource::MAX_LIMIT) as u32
    }

    /// Units were returned, whether or not there was work under them.
    pub(super) fn released(&mut self, acquired: Nanos, units: u32) {
        self.lasting.released(acquired, units);
        self.next.released(acquired, units);
        self.kept = None;
    }

    /// Work under units that were [`released`](Self::released) has ended. Returns the limit in
    /// force.
    pub(super) fn ended(&mut self, now: Nanos, ended: &Ended) -> u32 {
        let held = now.saturating_sub(ended.acquired);
        if ended.outcome == Outcome::Success {
            self.came_and_went(held, ended);
            if ended.is_first && self.has_turned_over(now) {
                self.lasting = mem::take(&mut self.next);
                self.begin_cohort(now, ended.in_use);
                self.relief = 0;
            }
        }
        if ended.is_awaited {
            self.kept_since(now);
        }
        let in_use = ended.in_use.saturating_add(ended.units);
        let in_use = in_use.saturating_sub(self.lasting.held) as usize;
        let sample = Sample::new(Duration::from_nanos(held), in_use, ended.outcome);
        let limit = self.limit.update(&sample.with_units(ended.units as usize));
        self.on_top_of_lasting(limit)
    }

    fn came_and_went(&mut self, held: Nanos, ended: &Ended) {
        self.usual = Some(match self.usual {
            None => held,
            // One long piece of work counts as a slow one; many of them are usual soon.
            Some(usual) => {
                let held = held.min(usual.saturating_mul(4).saturating_add(1_000_000));
                usual - usual / 16 + held / 16
            }
        });
        if ended.acquired >= self.next.since {
            self.turnover += u64::from(ended.units);
        }
    }

    fn has_turned_over(&self, now: Nanos) -> bool {
        let age = now.saturating_sub(self.next.since);
        age >= self.usual_times(LASTING) && self.turnover >= TURNOVERS * u64::from(self.next.size)
    }

    fn begin_cohort(&mut self, now: Nanos, in_use: u32) {
        self.next = Cohort::new(now, in_use, self.lasting.held);
        self.turnover = 0;
    }

    fn usual_times(&self, factor: Nanos) -> Nanos {
        self.usual.unwrap_or_default().saturating_mul(factor)
    }

    fn kept_since(&mut self, now: Nanos) -> &mut Kept {
        self.kept.get_or_insert(Kept {
            since: now,
            looks: 0,
        })
    }

    /// When blocked requests need relief.
    pub(super) fn relief_at(&self) -> Option<Nanos> {
        let kept = self.kept.as_ref()?;
        let patience = match self.usual {
            None => FIRST_PATIENCE,
            Some(_) => self.usual_times(PATIENCE).max(LEAST_PATIENCE),
        };
        // Twice as long each time: where the resource does not respond, more only makes it worse.
        let factor = 1_u64.checked_shl(kept.looks).unwrap_or(u64::MAX);
        Some(kept.since.saturating_add(patience.saturating_mul(factor)))
    }

    /// A request does not fit, or waits. Once no permit has ended for long, returns the limit that
    /// is in force from now on.
    pub(super) fn kept_out(&mut self, now: Nanos, in_use: u32) -> Option<u32> {
        self.kept_since(now);
        if self.relief_at().is_none_or(|at| now < at) {
            return None;
        }
        let kept = self.kept_since(now);
        kept.looks += 1; // first, as what follows may panic
        let is_first = kept.looks == 1;
        let quiet = Duration::from_nanos(now - kept.since);
        let limit = self.limit.stalled(quiet);
        // From here on a turnover shows that the resource responds, and what is held is lasting.
        self.begin_cohort(now, in_use);
        let wanted = in_use.saturating_add(self.floor);
        // A probe that is given up may be enough.
        if !is_first && self.on_top_of_lasting(limit) < wanted {
            // The floor is what a resource has in any case, and it fits every claim.
            self.relief = wanted;
        }
        Some(self.on_top_of_lasting(limit))
    }
}

impl Gate {
    /// What moves the limit of a resource that is registered from now on.
    pub(super) fn adaptive(resource: &Resource) -> Option<AdaptiveResource> {
        let adaptive = AdaptiveResource::new(resource.take_adaptive()?, resource.floor()?);
        resource.usage().set_limit(adaptive.in_force());
        Some(adaptive)
    }

    /// Sees to it that a request for this set is not locked out by work that does not end.
    pub(super) fn relieve(&self, state: &mut State, demands: &[Demand], now: Nanos) {
        for demand in demands {
            let usage = self.usage(*demand).load();
            let is_over = usage.in_use().saturating_add(demand.units) > usage.limit();
            if is_over || self.usage(*demand).waiting() > 0 {
                self.relieve_one(state, demand.resource, now);
            }
        }
    }

    /// The same for waiters.
    pub(super) fn relieve_waiting(&self, state: &mut State, now: Nanos) {
        for &resource in &self.adaptive {
            if self.resources[resource as usize].usage().waiting() > 0 {
                self.relieve_one(state, resource, now);
            }
        }
    }

    fn relieve_one(&self, state: &mut State, resource: u32, now: Nanos) {
        if !self.is_enforced(resource) {
            return;
        }
        let Some(adaptive) = &mut state.adaptive[resource as usize] else {
            return;
        };
        let in_use = self.resources[resource as usize].usage().load().in_use();
        if let Some(limit) = adaptive.kept_out(now, in_use) {
            self.set_limit(state, resource, limit, now);
        }
    }

    /// When the first of the waiters needs relief.
    pub(super) fn next_relief(&self, state: &State) -> Option<Nanos> {
        let kept = self.adaptive.iter().filter_map(|&resource| {
            let at = state.adaptive[resource as usize].as_ref()?.relief_at()?;
            let is_awaited = self.resources[resource as usize].usage().waiting() > 0;
            (is_awaited && self.is_enforced(resource)).then_some(at)
        });
        kept.min()
    }

    /// Returns `true` if a limit blocks requests, and was not paused by hand.
    fn is_enforced(&self, resource: u32) -> bool {
        let resource = &self.resources[resource as usize];
        !resource.rules().is_dry && resource.usage().load().limit() > 0
    }
}
