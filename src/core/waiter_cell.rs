//! Where a waiter of the general queue finds its result.

use std::{sync::Arc, task::Waker, time::Duration};

use tokio::runtime;

use super::clock::nanos;
use crate::{
    admission::{Nanos, Refusal},
    sync::{AtomicU64, Ordering},
};

/// What a waiter leaves with the general queue.
pub(super) struct Registration {
    pub(super) waker: Waker,
    pub(super) cell: Arc<WaiterCell>,
    /// Where the waiter was polled last.
    pub(super) runtime: Option<runtime::Id>,
}

/// The result of a wait. Written once, under the lock of the gate, and read without it.
pub(super) struct WaiterCell {
    result: AtomicU64,
    /// For a refusal: the nanoseconds after which to retry, plus 1; 0 if that is unknown. Stored
    /// before `result` and loaded after it: the `Release` store of the one and the `Acquire` load
    /// of it order both. A grant does not write it.
    retry_after: AtomicU64,
}

/// What a [`WaiterCell`] holds.
pub(super) enum WaitResult {
    /// At this time.
    Granted(Nanos),
    Refused(Refusal, Option<Duration>),
}

const PENDING: u64 = 0;

/// The lowest bits are the kind of result; above them is the time of a grant, or the index of the
/// resource that refused the request.
const KIND_BITS: u32 = 3;
const GRANTED: u64 = 1;
const TIMED_OUT: u64 = 2;
const TIMED_OUT_BY_RATE: u64 = 3;
const SHED: u64 = 4;
const CLOSED: u64 = 5;

impl WaiterCell {
    pub(super) fn pending() -> Arc<Self> {
        Arc::new(Self {
            result: AtomicU64::new(PENDING),
            retry_after: AtomicU64::new(0),
        })
    }

    pub(super) fn grant(&self, now: Nanos) {
        self.write(GRANTED | now << KIND_BITS);
    }

    /// Refuses a waiter, which the queue does for one of four reasons.
    pub(super) fn refuse(&self, refusal: Refusal, retry_after: Option<Duration>) {
        let at = |kind: u64, resource: u32| kind | u64::from(resource) << KIND_BITS;
        let result = match refusal {
            Refusal::Timeout { resource, by_rate } => match by_rate {
                false => at(TIMED_OUT, resource),
                true => at(TIMED_OUT_BY_RATE, resource),
            },
            Refusal::Shed { resource } => at(SHED, resource),
            _ => CLOSED,
        };
        if let Some(after) = retry_after {
            let after = nanos(after).saturating_add(1);
            self.retry_after.store(after, Ordering::Relaxed);
        }
        self.write(result);
    }

    fn write(&self, result: u64) {
        // Pairs with the loads in `is_pending` and `read`.
        self.result.store(result, Ordering::Release);
    }

    pub(super) fn is_pending(&self) -> bool {
        self.result.load(Ordering::Acquire) == PENDING // pairs with the store in `write`
    }

    pub(super) fn read(&self) -> Option<WaitResult> {
        let result = self.result.load(Ordering::Acquire); // pairs with the store in `write`
        let resource = (result >> KIND_BITS) as u32;
        let refusal = match result & ((1 << KIND_BITS) - 1) {
            PENDING => return None,
            GRANTED => return Some(WaitResult::Granted(result >> KIND_BITS)),
            SHED => Refusal::Shed { resource },
            CLOSED => Refusal::Closed,
            timed_out => Refusal::Timeout {
                resource,
                by_rate: timed_out == TIMED_OUT_BY_RATE,
            },
        };
        let after = self.retry_after.load(Ordering::Relaxed).checked_sub(1);
        Some(WaitResult::Refused(
            refusal,
            after.map(Duration::from_nanos),
        ))
    }
}
