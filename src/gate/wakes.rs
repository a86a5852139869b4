//! Wakers that were collected under the lock, to be called after it.

use std::task::Waker;

/// Enough to amortise the lock, few enough to live on the stack.
const CAPACITY: usize = 16;

pub(super) struct Wakes {
    wakers: [Option<Waker>; CAPACITY],
    len: usize,
}

impl Wakes {
    pub(super) fn new() -> Self {
        Self {
            wakers: [const { None }; CAPACITY],
            len: 0,
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.len == CAPACITY
    }

    /// Adds a waker; there must be room.
    pub(super) fn add(&mut self, waker: Option<Waker>) {
        self.wakers[self.len] = waker;
        self.len += 1;
    }

    pub(super) fn wake(self) {
        for waker in self.wakers.into_iter().take(self.len).flatten() {
            waker.wake();
        }
    }
}
