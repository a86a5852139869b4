//! Wakers that were collected under the lock, to be called after it.

use std::task::Waker;

/// Enough to amortise the lock, few enough to let others have it.
const BATCH: usize = 32;

/// Mostly one; more than one are rare enough to be worth an allocation.
#[derive(Default)]
pub(super) struct Wakes {
    first: Option<Waker>,
    more: Vec<Waker>,
}

impl Wakes {
    /// Whether it is time to release the lock.
    pub(super) fn is_full(&self) -> bool {
        self.more.len() == BATCH
    }

    pub(super) fn add(&mut self, waker: Waker) {
        match self.first {
            None => self.first = Some(waker),
            Some(_) => self.more.push(waker),
        }
    }

    pub(super) fn wake(mut self) {
        self.wake_all();
    }

    fn wake_all(&mut self) {
        while let Some(waker) = self.first.take().or_else(|| self.more.pop()) {
            waker.wake();
        }
    }
}

impl Drop for Wakes {
    /// Should a waker panic, the others are woken all the same.
    fn drop(&mut self) {
        self.wake_all();
    }
}
