//! For how long a process may believe that what it holds is its own.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::Notify;

use super::clock::BootTime;

/// A time during which a session is certain to hold what it was granted. Every answer of the server
/// extends it; once it is over, it is over for good, whatever the server says later: others may
/// have been granted the same units in between.
///
/// It counts from when the question was asked and is shorter than the lease, so it ends here before
/// it ends at the server, as long as the clocks of the two differ by less than 5 %.
#[derive(Debug)]
pub(super) struct Term {
    /// In nanoseconds; 0 when it is over.
    until: AtomicU64,
    over: Notify,
}

impl Term {
    pub(super) fn until(until: BootTime) -> Arc<Self> {
        Arc::new(Self {
            until: AtomicU64::new(until.nanos()),
            over: Notify::new(),
        })
    }

    /// One that ends when it is [ended](Self::end).
    pub(super) fn endless() -> Arc<Self> {
        Self::until(BootTime::from_nanos(u64::MAX))
    }

    pub(super) fn is_valid(&self) -> bool {
        match self.until.load(Ordering::Acquire) {
            0 => false,
            u64::MAX => true,
            until => BootTime::now() < BootTime::from_nanos(until),
        }
    }

    /// How much is left of it.
    pub(super) fn left(&self) -> std::time::Duration {
        let until = BootTime::from_nanos(self.until.load(Ordering::Acquire));
        BootTime::now().until(until)
    }

    /// `false` if it is over.
    pub(super) fn extend(&self, until: BootTime) -> bool {
        if !self.is_valid() {
            self.end();
            return false;
        }
        self.until.fetch_max(until.nanos(), Ordering::AcqRel);
        true
    }

    /// Ends it; `false` if it had been ended.
    pub(super) fn end(&self) -> bool {
        let was = self.until.swap(0, Ordering::AcqRel);
        self.over.notify_waiters();
        was != 0
    }

    /// Ends when it is over and that was [noticed](Self::end).
    pub(super) async fn over(self: Arc<Self>) {
        loop {
            let mut over = pin!(self.over.notified());
            over.as_mut().enable();
            if !self.is_valid() {
                return;
            }
            over.await;
        }
    }
}
