//! The words of the resources as the ledger of the general queue.

use super::Gate;
use crate::{
    admission::{Drain, Ledger, Usage},
    resource::SharedUsage,
};

pub(super) struct UsageLedger<'a>(&'a Gate);

impl Gate {
    pub(super) fn ledger(&self) -> UsageLedger<'_> {
        UsageLedger(self)
    }
}

impl UsageLedger<'_> {
    fn of(&self, resource: u32) -> &SharedUsage {
        self.0.resources[resource as usize].usage()
    }
}

impl Ledger for UsageLedger<'_> {
    fn usage(&self, resource: u32) -> Usage {
        self.of(resource).load()
    }

    fn take(&mut self, resource: u32, units: u32) {
        match self.0.resources[resource as usize].rules().is_dry {
            false => self.of(resource).acquire(units),
            true => self.of(resource).acquire_dry(units),
        }
    }

    fn contend(&mut self, resource: u32) {
        self.of(resource).set_contended();
    }

    /// Nothing waits in the general queue: the FIFO serves the resource again.
    fn calm(&mut self, resource: u32, pace: Drain) {
        if !self.0.resources[resource as usize].is_shared() {
            self.0.fifo(resource).demote(self.of(resource), pace);
        }
    }

    fn set_limit(&mut self, resource: u32, limit: u32) {
        self.of(resource).set_limit(limit);
    }

    fn waiting(&mut self, resource: u32, waiters: usize) {
        self.of(resource).set_waiting(waiters);
    }
}
