//! The future of a permit.

use std::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::task::coop;

use super::{Acquisition, ResourceSet};
use crate::{
    core::{GateSet, Granted, WaitOptions},
    permit::Permit,
    rejection::Rejection,
};

/// The future of a [`Permit`]; see [`Limiter::acquire`](crate::Limiter::acquire).
///
/// # Cancel safety
///
/// Dropping it gives up the place in the queue, and returns the set if it was granted at that
/// moment.
#[must_use = "futures do nothing unless polled"]
pub struct Acquire {
    state: AcquireState,
    options: WaitOptions,
}

enum AcquireState {
    Acquiring(Acquisition<ResourceSet>),
    /// There is an outcome, but the task has to let others run first.
    Yielding(Acquired),
}

type Acquired = Result<Granted<ResourceSet>, Rejection>;

impl Acquire {
    pub(super) fn new(set: ResourceSet, options: WaitOptions) -> Self {
        Self {
            state: AcquireState::Acquiring(Acquisition::New(set)),
            options,
        }
    }
}

impl AcquireState {
    const OVER: Self = Self::Acquiring(Acquisition::Over);

    /// A request that does not wait takes part in tokio's cooperative budget, or a loop of such
    /// requests would never let another task run. It arrives all the same, and joins the queue. A
    /// request that had to wait has let others run.
    fn poll(&mut self, cx: &mut Context<'_>, options: &WaitOptions) -> Poll<Acquired> {
        let outcome = match self {
            Self::Acquiring(acquisition) => {
                let is_first = acquisition.is_new();
                let outcome = ready!(acquisition.poll(cx, |_| *options));
                if !is_first {
                    return Poll::Ready(outcome);
                }
                outcome
            }
            Self::Yielding(_) => match mem::replace(self, Self::OVER) {
                Self::Yielding(outcome) => outcome,
                Self::Acquiring(_) => unreachable!("it yields"),
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
        let Self { state, options } = self.get_mut();
        let outcome = ready!(state.poll(cx, options));
        let load = options.claims.load;
        Poll::Ready(outcome.map(|granted| Permit::new(granted.map(GateSet::from), load)))
    }
}

impl fmt::Debug for Acquire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            AcquireState::Acquiring(Acquisition::New(_)) => "arriving",
            AcquireState::Acquiring(Acquisition::Over) => "over",
            AcquireState::Acquiring(_) => "queued",
            AcquireState::Yielding(_) => "yielding",
        };
        f.debug_tuple("Acquire").field(&state).finish()
    }
}
