//! The future of a permit.

use std::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::task::coop;

use super::{ResourceSet, Terms, Turn, Unused};
use crate::{permit::Permit, rejection::Rejection};

/// The future of a [`Permit`]; see [`Limiter::acquire`](crate::Limiter::acquire).
///
/// # Cancel safety
///
/// Dropping it gives up the place in the queue, and returns the set if it was granted at that moment.
#[must_use = "futures do nothing unless polled"]
pub struct Acquire {
    state: State,
    load: u64,
}

enum State {
    Turn(Turn<ResourceSet>),
    /// There is an outcome, but the task has to let others run first.
    Yielding(Outcome),
}

type Outcome = Result<Unused<ResourceSet>, Rejection>;

impl Acquire {
    pub(super) fn new(set: ResourceSet, terms: Terms) -> Self {
        Self {
            load: terms.claims.load,
            state: State::Turn(Turn::Arriving(set, terms)),
        }
    }
}

impl State {
    const OVER: Self = Self::Turn(Turn::Over);

    /// A request that is not kept takes part in tokio's cooperative budget, or a loop of such requests
    /// would never let another task run. It arrives all the same, and takes its place in the queue. One that
    /// had to wait has let others run.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        let outcome = match self {
            Self::Turn(turn) => {
                let is_first = turn.is_arriving();
                let outcome = ready!(turn.poll(cx));
                let outcome = outcome.map(Unused::new).map_err(|(_, rejection)| rejection);
                if !is_first {
                    return Poll::Ready(outcome);
                }
                outcome
            }
            Self::Yielding(_) => match mem::replace(self, Self::OVER) {
                Self::Yielding(outcome) => outcome,
                Self::Turn(_) => unreachable!("it yields"),
            },
        };
        let Poll::Ready(budget) = coop::poll_proceed(cx) else {
            *self = Self::Yielding(outcome);
            return Poll::Pending;
        };
        budget.made_progress();
        Poll::Ready(outcome)
    }
}

impl Future for Acquire {
    type Output = Result<Permit, Rejection>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { state, load } = self.get_mut();
        let outcome = ready!(state.poll(cx));
        Poll::Ready(outcome.map(|unused| {
            let (set, grant) = unused.into_inner();
            set.permit(*load, grant)
        }))
    }
}

impl fmt::Debug for Acquire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Turn(Turn::Arriving(..)) => "arriving",
            State::Turn(Turn::Queued(_) | Turn::Shared(_)) => "queued",
            State::Turn(Turn::Over) => "over",
            State::Yielding(_) => "yielding",
        };
        f.debug_tuple("Acquire").field(&state).finish()
    }
}
