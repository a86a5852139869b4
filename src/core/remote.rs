//! Resources with limits that are shared between processes: the queue of this process does not have
//! them.
//!
//! Their words are marked as contended for good, so that the fast path never admits a request
//! there.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::time::Instant;

use super::{Gate, clock::nanos};
use crate::{
    admission::{Demand, Nanos},
    shared::SharedLimit,
};

/// By resource; empty if none is shared. Permits are `UnwindSafe`, and the implementation of a
/// limit is responsible for what a panic of its own code leaves behind.
pub(super) type RemoteLimits = Box<[Option<AssertUnwindSafe<Arc<dyn SharedLimit>>>]>;

/// A resource with a shared limit that cannot be opened, and why.
pub(crate) type NotOpened = (Arc<str>, String);

impl Gate {
    /// Opens the limits that are shared.
    pub(crate) fn open(
        &mut self,
        max_waiting: usize,
        credit: Option<Duration>,
    ) -> Result<(), NotOpened> {
        if !self.resources.iter().any(|resource| resource.is_shared()) {
            return Ok(());
        }
        let opened = self.resources.iter().map(|resource| {
            let opened = resource.open(max_waiting, credit).transpose();
            let opened = opened.map_err(|why| (Arc::clone(resource.shared_name()), why))?;
            Ok(opened.map(AssertUnwindSafe))
        });
        self.remote = opened.collect::<Result<_, _>>()?;
        Ok(())
    }

    /// The limit of a resource, if it is shared.
    pub(crate) fn remote(&self, resource: u32) -> Option<&Arc<dyn SharedLimit>> {
        let remote = self.remote.get(resource as usize)?;
        remote.as_ref().map(|remote| &remote.0)
    }

    /// Whether some of this set is shared.
    pub(crate) fn has_remote(&self, demands: &[Demand]) -> bool {
        !self.remote.is_empty() && demands.iter().any(|d| self.remote(d.resource).is_some())
    }

    /// Returns `true` if every request is refused.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    /// Refuses the requests for shared resources alone, those that wait and those that arrive.
    pub(super) fn close_remote(&self) {
        self.is_closed.store(true, Ordering::Release);
        for remote in self.remote.iter().flatten() {
            remote.close();
        }
    }

    /// Returns the deadline of a request that arrived at this time.
    pub(crate) fn deadline(&self, arrived: Nanos, timeout: Duration) -> Nanos {
        arrived.saturating_add(nanos(timeout))
    }

    /// The instant that the gate's clock calls `time`.
    pub(crate) fn instant(&self, time: Nanos) -> Instant {
        self.clock.instant(time)
    }
}
