//! The request's side of its place in the queue.

use std::{
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use super::Gate;
use crate::{
    admission::{Demands, Nanos, Ticket, Verdict},
    sync::lock,
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

/// Where a waiter waits for the verdict, and finds it.
pub(super) enum Place {
    Waiting(Waker),
    Decided(Verdict),
}

impl Place {
    /// Whom to wake, while there is no verdict.
    pub(super) fn waker(&self) -> Option<&Waker> {
        match self {
            Self::Waiting(waker) => Some(waker),
            Self::Decided(_) => None,
        }
    }
}

/// What a waiter finds.
enum Found {
    Verdict(Verdict),
    Nothing,
    /// No verdict, and it was another task that looked the last time.
    Moved,
}

/// A place in the queue. Dropping it gives the place up, and returns a grant that was not collected.
pub(crate) struct Waiter<C: Claimant> {
    /// `None` once the verdict is collected.
    claimant: Option<C>,
    place: u32,
    ticket: Ticket,
    arrived: Nanos,
}

impl<C: Claimant> Waiter<C> {
    pub(super) fn new(claimant: C, place: u32, ticket: Ticket, arrived: Nanos) -> Self {
        Self {
            claimant: Some(claimant),
            place,
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
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<C, (C, Refused)>> {
        let gate = self.claimant().gate();
        let verdict = match self.look(gate, cx.waker()) {
            Found::Verdict(verdict) => verdict,
            Found::Nothing => {
                gate.adopt();
                return Poll::Pending;
            }
            Found::Moved => {
                gate.follow();
                return Poll::Pending;
            }
        };
        let refused = match verdict {
            Verdict::Granted => None,
            Verdict::TimedOut { short } => Some(Refused {
                why: Why::Timeout { short },
                waited: gate.since(self.arrived),
            }),
        };
        let claimant = self.claimant.take().expect("present until now");
        Poll::Ready(match refused {
            None => Ok(claimant),
            Some(refused) => Err((claimant, refused)),
        })
    }

    fn look(&self, gate: &Gate, waker: &Waker) -> Found {
        let mut state = lock(&gate.state);
        let place = &mut state.places[self.place as usize];
        let outdated = match place {
            Place::Decided(verdict) => {
                let verdict = *verdict;
                state.places.remove(self.place as usize);
                return Found::Verdict(verdict);
            }
            Place::Waiting(current) if current.will_wake(waker) => return Found::Nothing,
            Place::Waiting(_) => std::mem::replace(place, Place::Waiting(waker.clone())),
        };
        drop(state);
        drop(outdated); // after the lock: dropping a waker is somebody else's code
        Found::Moved
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
            let verdict = claimant.gate().give_up(self.place, self.ticket);
            if verdict == Some(Verdict::Granted) {
                claimant.gate().leave(claimant.demands());
            }
        }
    }
}
