//! The future of a permit.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use super::{Arrived, ResourceSet};
use crate::{gate::Waiter, permit::Permit, rejection::Rejection};

/// The future of a [`Permit`]; see [`Limiter::acquire`](crate::Limiter::acquire).
///
/// # Cancel safety
///
/// Dropping it gives up the place in the queue, and returns the set if it was granted at that moment.
#[must_use = "futures do nothing unless polled"]
pub struct Acquire {
    set: ResourceSet,
    timeout: Duration,
    max_waiting: Option<usize>,
    state: State,
}

enum State {
    New,
    Queued(Waiter),
    Done,
}

impl Acquire {
    pub(super) fn new(set: ResourceSet, timeout: Duration, max_waiting: Option<usize>) -> Self {
        Self {
            set,
            timeout,
            max_waiting,
            state: State::New,
        }
    }

    fn arrive(&self) -> Arrived {
        match self.set.try_enter() {
            true => Arrived::Admitted,
            false => self.set.arrive(self.timeout, self.max_waiting),
        }
    }
}

impl Future for Acquire {
    type Output = Result<Permit, Rejection>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let State::New = this.state {
            match this.arrive() {
                Arrived::Queued(waiter) => this.state = State::Queued(waiter),
                Arrived::Admitted => {
                    this.state = State::Done;
                    return Poll::Ready(Ok(this.set.permit()));
                }
                Arrived::Rejected(rejection) => {
                    this.state = State::Done;
                    return Poll::Ready(Err(rejection));
                }
            }
        }
        match &mut this.state {
            State::Queued(waiter) => {
                let outcome = ready!(this.set.poll(waiter, cx));
                this.state = State::Done;
                Poll::Ready(outcome.map(|()| this.set.permit()))
            }
            _ => panic!("`Acquire` polled after it was ready"),
        }
    }
}

impl fmt::Debug for Acquire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquire")
            .field("resources", &self.set.names())
            .finish_non_exhaustive()
    }
}
