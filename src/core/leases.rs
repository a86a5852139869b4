//! What is held of shared limits.

use std::{fmt, panic::AssertUnwindSafe, pin::Pin, sync::Arc};

use super::Gate;
use crate::{
    admission::Demand,
    shared::{FencingToken, Lease},
};

/// What is held of shared limits. Dropping it returns it all; unspent, unless work has begun under
/// it.
#[derive(Default)]
pub(crate) struct Leases {
    held: Vec<Leased>,
    /// The gate of the leases, if there are any.
    gate: Option<Arc<Gate>>,
    has_begun: bool,
}

struct Leased {
    demand: Demand,
    /// Permits are `UnwindSafe`; a lease is as safe as its shared limit.
    lease: AssertUnwindSafe<Box<dyn Lease>>,
}

impl Leases {
    pub(crate) fn add(&mut self, gate: &Arc<Gate>, demand: Demand, lease: Box<dyn Lease>) {
        gate.usage(demand).acquire(demand.units);
        self.gate.get_or_insert_with(|| Arc::clone(gate));
        let lease = AssertUnwindSafe(lease);
        self.held.push(Leased { demand, lease });
    }

    /// Work begins under them.
    pub(super) fn begin_work(&mut self) {
        self.has_begun = true;
    }

    fn iter(&self) -> impl Iterator<Item = &dyn Lease> {
        self.held.iter().map(|leased| &**leased.lease)
    }

    /// Whether none of them is known to be lost.
    pub(crate) fn are_valid(&self) -> bool {
        self.iter().all(Lease::is_valid)
    }

    /// One for each, which ends when it is lost.
    pub(crate) fn lost(&self) -> Vec<Pin<Box<dyn Future<Output = ()> + Send>>> {
        self.iter().map(Lease::lost).collect()
    }

    pub(crate) fn token(&self, resource: u32) -> Option<FencingToken> {
        let mut held = self.held.iter();
        let leased = held.find(|leased| leased.demand.resource == resource)?;
        leased.lease.token()
    }

    /// Corrects the load.
    pub(crate) fn settle_load(&mut self, actual: u64) {
        for leased in &mut self.held {
            leased.lease.settle_load(actual);
        }
    }
}

impl Drop for Leases {
    fn drop(&mut self) {
        let Some(gate) = self.gate.take() else {
            return;
        };
        for Leased { demand, lease } in self.held.drain(..) {
            match self.has_begun {
                true => drop(lease),
                false => lease.0.refund(),
            }
            // A caller of `drained` must find the lease returned.
            let _ = gate.usage(demand).release(demand.units);
        }
        let (state, now) = gate.lock_now();
        gate.dispatch(state, now);
    }
}

impl fmt::Debug for Leases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
