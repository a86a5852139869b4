//! Wakers that were collected under the lock, to be called after it.

use std::task::Waker;

/// Enough to amortise the lock, few enough to let others have it.
const BATCH: usize = 32;

/// Mostly one; more than one are rare enough to be worth an allocation.
#[derive(Default)]
pub(super) struct Wakes {
    verdicts: usize,
    first: Option<Waker>,
    more: Vec<Waker>,
}

impl Wakes {
    /// Whether it is time to release the lock.
    pub(super) fn is_full(&self) -> bool {
        self.verdicts == BATCH
    }

    /// Adds the waker of a waiter that has its verdict; one that was never polled has none.
    pub(super) fn add(&mut self, waker: Option<Waker>) {
        self.verdicts += 1;
        match self.first {
            None => self.first = waker,
            Some(_) => self.more.extend(waker),
        }
    }

    pub(super) fn wake(self) {
        if let Some(waker) = self.first {
            waker.wake();
        }
        for waker in self.more {
            waker.wake();
        }
    }
}
