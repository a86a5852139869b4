//! The request's side of its place in the queue.

use std::{
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use super::Gate;
use crate::{
    admission::{Demands, Nanos, Ticket, Verdict},
    sync::{Mutex, lock},
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

/// Where the queue leaves its verdict for the waiter.
pub(super) struct Node(Mutex<Slot>);

enum Slot {
    Waiting(Option<Waker>),
    Decided(Verdict),
}

enum Polled {
    Decided(Verdict),
    Waiting,
    /// Waiting, in another task than before.
    Moved,
}

impl Node {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Slot::Waiting(None)))
    }

    /// Leaves the verdict and returns whom to wake.
    pub(super) fn resolve(&self, verdict: Verdict) -> Option<Waker> {
        match std::mem::replace(&mut *lock(&self.0), Slot::Decided(verdict)) {
            Slot::Waiting(waker) => waker,
            Slot::Decided(_) => None,
        }
    }

    /// The waker of a waiter without a verdict.
    pub(super) fn waker(&self) -> Option<Waker> {
        match &*lock(&self.0) {
            Slot::Waiting(waker) => waker.clone(),
            Slot::Decided(_) => None,
        }
    }

    fn poll(&self, waker: &Waker) -> Polled {
        let replaced = match &mut *lock(&self.0) {
            Slot::Decided(verdict) => return Polled::Decided(*verdict),
            Slot::Waiting(Some(current)) if current.will_wake(waker) => None,
            Slot::Waiting(current) => current.replace(waker.clone()),
        };
        // Dropped on return, after the lock: a waker's drop is somebody else's code.
        match replaced {
            None => Polled::Waiting,
            Some(_) => Polled::Moved,
        }
    }
}

/// A place in the queue. Dropping it gives the place up, and returns a grant that was not collected.
pub(crate) struct Waiter {
    gate: Arc<Gate>,
    node: Arc<Node>,
    demands: Demands,
    ticket: Ticket,
    arrived: Nanos,
    collected: bool,
}

impl Waiter {
    pub(super) fn new(
        gate: &Arc<Gate>,
        node: Arc<Node>,
        ticket: Ticket,
        demands: Demands,
        arrived: Nanos,
    ) -> Self {
        Self {
            gate: Arc::clone(gate),
            node,
            demands,
            ticket,
            arrived,
            collected: false,
        }
    }

    /// Waits for the verdict. After `Ok` the set belongs to the caller, who has to see to its
    /// [`leave`](Gate::leave). Not to be polled after it was ready.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Refused>> {
        let verdict = match self.node.poll(cx.waker()) {
            Polled::Decided(verdict) => verdict,
            Polled::Waiting => {
                self.gate.adopt();
                return Poll::Pending;
            }
            Polled::Moved => {
                self.gate.follow();
                return Poll::Pending;
            }
        };
        self.collected = true;
        Poll::Ready(match verdict {
            Verdict::Granted => Ok(()),
            Verdict::TimedOut { short } => Err(Refused {
                why: Why::Timeout { short },
                waited: self.waited(),
            }),
        })
    }

    /// How long ago the request arrived.
    pub(crate) fn waited(&self) -> Duration {
        Duration::from_nanos(self.gate.clock.now().saturating_sub(self.arrived))
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        if self.collected || self.gate.cancel(self.ticket) {
            return;
        }
        if matches!(&*lock(&self.node.0), Slot::Decided(Verdict::Granted)) {
            self.gate.leave(&self.demands);
        }
    }
}
