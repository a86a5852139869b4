//! A granted set.

use std::sync::Arc;

use super::{Gate, Leases, Record};
use crate::admission::{Demands, Nanos};

/// The owner of a request for a set.
pub(crate) trait Claimant {
    fn gate(&self) -> &Arc<Gate>;

    fn demands(&self) -> &Demands;

    /// Releases a set of which nothing was recorded.
    #[inline]
    fn release(&self) {
        self.gate().release(self.demands());
    }
}

/// A set of resources of a gate.
#[derive(Clone)]
pub(crate) struct GateSet {
    pub(crate) gate: Arc<Gate>,
    pub(crate) demands: Demands,
}

impl Claimant for GateSet {
    #[inline]
    fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    #[inline]
    fn demands(&self) -> &Demands {
        &self.demands
    }
}

/// A granted set. Dropping it releases the set; if no [work has begun](Self::begin_work) under it,
/// with all that was spent.
pub(crate) struct Granted<C: Claimant> {
    /// `None` once it was moved out.
    claimant: Option<C>,
    record: Option<Box<Record>>,
}

impl<C: Claimant> Granted<C> {
    /// A set that the gate has granted to the claimant.
    #[inline]
    pub(crate) fn new(claimant: C, record: Option<Box<Record>>) -> Self {
        Self {
            claimant: Some(claimant),
            record,
        }
    }

    #[inline]
    pub(crate) fn claimant(&self) -> &C {
        self.claimant.as_ref().expect("moved out with the grant")
    }

    #[inline]
    pub(crate) fn record(&self) -> Option<&Record> {
        self.record.as_deref()
    }

    #[inline]
    pub(crate) fn record_mut(&mut self) -> Option<&mut Record> {
        self.record.as_deref_mut()
    }

    /// Work begins under the set: what was spent stays spent.
    #[inline]
    pub(crate) fn begin_work(&mut self) {
        if let Some(record) = &mut self.record {
            record.begin_work();
        }
    }

    /// Corrects the load, where it is recorded.
    pub(crate) fn settle_load(&mut self, actual: u64) {
        if let (Some(claimant), Some(record)) = (&self.claimant, &mut self.record) {
            claimant.gate().settle_load(record, actual);
        }
    }

    /// Granted at this time.
    pub(super) fn at(mut self, at: Nanos) -> Self {
        if let Some(record) = &mut self.record {
            record.at = at;
        }
        self
    }

    /// Granted at this time, and collected.
    pub(super) fn collected(mut self, at: Nanos) -> Self {
        self = self.at(at);
        if let (Some(claimant), Some(record)) = (&self.claimant, &mut self.record) {
            claimant.gate().begin_dry_run(record);
        }
        self
    }

    /// Adds what is leased to the record, or to a new one.
    pub(crate) fn with_leases(
        mut self,
        leases: Leases,
        record: impl FnOnce(&C) -> Box<Record>,
    ) -> Self {
        if let Some(claimant) = &self.claimant {
            let record = self.record.take().unwrap_or_else(|| record(claimant));
            self.record = Some(record.with_leases(leases));
        }
        self
    }

    /// Hands the grant to another claimant.
    #[inline]
    pub(crate) fn map<D: Claimant>(mut self, claimant: impl FnOnce(C) -> D) -> Granted<D> {
        let before = self.claimant.take().expect("moved out with the grant");
        Granted::new(claimant(before), self.record.take())
    }

    /// Returns the claimant without the set, which is released.
    pub(crate) fn give_up(mut self) -> C {
        self.release();
        self.claimant.take().expect("moved out with the grant")
    }

    #[inline(always)]
    fn release(&mut self) {
        let Some(claimant) = &self.claimant else {
            return;
        };
        if self.record.is_none() {
            return claimant.release();
        }
        if let Some(record) = self.record.take() {
            claimant.gate().release_recorded(&record);
        }
    }
}

impl<C: Claimant> Drop for Granted<C> {
    #[inline]
    fn drop(&mut self) {
        self.release();
    }
}
