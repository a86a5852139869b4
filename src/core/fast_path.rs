//! The whole cost of a request at resources for which nothing waits: an atomic operation each way.

use super::Gate;
use crate::{admission::Demand, resource::SharedUsage};

impl Gate {
    /// Acquires the whole set if it fits and nothing waits for any of it.
    #[inline]
    pub(crate) fn try_acquire(&self, demands: &[Demand]) -> bool {
        match demands {
            [only] => self.usage(*only).try_acquire(only.units),
            several => self.try_acquire_all(several),
        }
    }

    fn try_acquire_all(&self, demands: &[Demand]) -> bool {
        // A set that lacks one resource must not take units of the others, not even for a moment.
        let fits = |d: &Demand| self.usage(*d).load().barging(d.units).is_some();
        if !demands.iter().all(fits) {
            return false;
        }
        let acquired = demands
            .iter()
            .take_while(|d| self.usage(**d).try_acquire(d.units))
            .count();
        if acquired < demands.len() {
            // Others may have queued because of these units, so this is a release like any other.
            self.release(&demands[..acquired]);
        }
        acquired == demands.len()
    }

    /// Releases a set of which nothing was recorded.
    #[inline]
    pub(crate) fn release(&self, demands: &[Demand]) {
        match demands {
            [only] => self.release_one(*only, self.usage(*only)),
            several => self.release_all(several),
        }
    }

    /// Releases units of one resource; the caller has its usage at hand.
    #[inline]
    pub(crate) fn release_one(&self, claim: Demand, usage: &SharedUsage) {
        // While others wait, the units are handed over without being free in between.
        let is_held = usage.is_contended();
        if is_held || usage.release(claim.units) {
            self.hand_over(claim, is_held);
        }
    }

    /// All units are released before waiters are looked at: to them, a set becomes free at one
    /// instant.
    fn release_all(&self, demands: &[Demand]) {
        let is_contended = demands.iter().fold(false, |contended, demand| {
            self.usage(*demand).release(demand.units) | contended
        });
        if is_contended {
            self.hand_over_all(demands);
        }
    }

    #[inline]
    pub(super) fn usage(&self, demand: Demand) -> &SharedUsage {
        self.resources[demand.resource as usize].usage()
    }
}
