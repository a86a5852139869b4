//! The request's side of its place in the queue.

use std::{
    mem,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use super::Gate;
use crate::{
    admission::{Demands, Nanos, Ticket, Verdict},
    sync::{AtomicU64, Ordering, lock},
};

/// Why a request was not let in. The resources are indices in canonical order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    Timeout { short: u32 },
    Full { resource: u32 },
}

/// A refusal, and how long the request had waited for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refused {
    pub(crate) why: Why,
    pub(crate) waited: Duration,
}

/// On whose behalf a set is claimed.
pub(crate) trait Claimant {
    fn gate(&self) -> &Arc<Gate>;
    fn demands(&self) -> &Demands;
}

/// What a waiter leaves with the queue.
pub(super) struct Party {
    pub(super) waker: Waker,
    pub(super) slip: Arc<Slip>,
}

/// Where a waiter finds its verdict. Written once, under the gate's lock, and read without it.
pub(super) struct Slip(AtomicU64);

const BLANK: u64 = 0;
const GRANTED: u64 = 1;
const TIMED_OUT: u64 = 2;

impl Slip {
    pub(super) fn blank() -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(BLANK)))
    }

    pub(super) fn write(&self, verdict: Verdict) {
        let word = match verdict {
            Verdict::Granted => GRANTED,
            Verdict::TimedOut { short } => TIMED_OUT | u64::from(short) << 32,
        };
        self.0.store(word, Ordering::Release);
    }

    fn read(&self) -> Option<Verdict> {
        match self.0.load(Ordering::Acquire) {
            BLANK => None,
            GRANTED => Some(Verdict::Granted),
            timed_out => Some(Verdict::TimedOut {
                short: (timed_out >> 32) as u32,
            }),
        }
    }
}

/// A place in the queue. Dropping it gives the place up, and returns a grant that was not collected.
pub(crate) struct Waiter<C: Claimant> {
    /// `None` once the verdict is collected.
    claimant: Option<C>,
    slip: Arc<Slip>,
    ticket: Ticket,
    arrived: Nanos,
}

impl<C: Claimant> Waiter<C> {
    pub(super) fn new(claimant: C, slip: Arc<Slip>, ticket: Ticket, arrived: Nanos) -> Self {
        Self {
            claimant: Some(claimant),
            slip,
            ticket,
            arrived,
        }
    }

    /// Waits for the verdict, and gives the claimant back with it. After `Ok` the set is the
    /// caller's, who has to see to its [`leave`](Gate::leave).
    ///
    /// # Panics
    ///
    /// If polled after it was ready.
    #[inline]
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<C, (C, Refused)>> {
        let Some(verdict) = self.slip.read().or_else(|| self.keep_waiting(cx.waker())) else {
            return Poll::Pending;
        };
        let claimant = self.claimant.take().expect("present until collected");
        Poll::Ready(match verdict {
            Verdict::Granted => Ok(claimant),
            Verdict::TimedOut { short } => {
                let refused = Refused {
                    why: Why::Timeout { short },
                    waited: claimant.gate().since(self.arrived),
                };
                Err((claimant, refused))
            }
        })
    }

    /// Polled without a verdict: by another task than before, perhaps, or because a timer is gone.
    #[cold]
    fn keep_waiting(&self, waker: &Waker) -> Option<Verdict> {
        let gate = self.claimant().gate();
        let mut state = lock(&gate.state);
        let Some(party) = state.queue.payload_mut(self.ticket) else {
            return self.slip.read();
        };
        if party.waker.will_wake(waker) {
            drop(state);
            gate.adopt();
            return None;
        }
        let outdated = mem::replace(&mut party.waker, waker.clone());
        drop(state);
        drop(outdated); // after the lock: dropping a waker is somebody else's code
        gate.follow();
        None
    }

    /// On whose behalf it waits.
    ///
    /// # Panics
    ///
    /// Once the verdict is collected.
    pub(crate) fn claimant(&self) -> &C {
        self.claimant.as_ref().expect("present until collected")
    }

    /// When the request arrived, on the gate's clock.
    pub(crate) fn arrived(&self) -> Nanos {
        self.arrived
    }
}

impl<C: Claimant> Drop for Waiter<C> {
    fn drop(&mut self) {
        if let Some(claimant) = &self.claimant {
            let gate = claimant.gate();
            let waits = self.slip.read().is_none() && gate.give_up(self.ticket);
            if !waits && self.slip.read() == Some(Verdict::Granted) {
                gate.leave(claimant.demands());
            }
        }
    }
}
