//! Wakers that were collected under the lock, to be called after it.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    task::Waker,
};

/// Enough to amortise the lock, few enough to let others have it.
const BATCH: usize = 32;

#[derive(Default)]
pub(super) struct WakeList(Vec<Waker>);

impl WakeList {
    /// Whether it is time to release the lock.
    pub(super) fn is_full(&self) -> bool {
        self.0.len() >= BATCH
    }

    pub(super) fn add(&mut self, waker: Waker) {
        self.0.push(waker);
    }

    pub(super) fn wake(self) {
        self.0.into_iter().for_each(wake);
    }
}

/// A panic of the waker ends here, after its message: it must not prevent others from being woken,
/// nor fail the request that happened to make room.
pub(super) fn wake(waker: Waker) {
    drop(catch_unwind(AssertUnwindSafe(|| waker.wake())));
}
