//! The way of one request to its set.

use std::{
    mem,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use super::{HasSet, nested};
use crate::{
    admission::Nanos,
    gate::{Claimant, Entry, Gate, Refused, Wait, Waiter},
    observe,
    rejection::Rejection,
};

/// How a request waits.
#[derive(Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) timeout: Duration,
    /// Instead of each resource's own bound on the length of its queue.
    pub(crate) max_waiting: Option<usize>,
    /// When the request arrived, on the gate's clock, if that was before it was first polled.
    pub(crate) arrived: Option<Nanos>,
}

/// The way of one request to its set: it arrives, it may queue, it is admitted or rejected.
///
/// Whoever is admitted sees to the set's [`leave`](Gate::leave).
pub(crate) enum Turn<C: HasSet> {
    Arriving(C, Terms),
    Queued(Waiter<C>),
    Over,
}

impl<C: HasSet> Turn<C> {
    /// Gives the claimant back, admitted or with its rejection.
    ///
    /// # Panics
    ///
    /// If polled after it was ready.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<C, (C, Rejection)>> {
        if let Self::Queued(waiter) = self {
            let arrived = waiter.arrived();
            let verdict = ready!(waiter.poll(cx));
            *self = Self::Over;
            return Poll::Ready(match verdict {
                Ok(claimant) => {
                    let granted = Granted(Some(claimant));
                    granted.observe(arrived);
                    Ok(granted.into_inner())
                }
                Err((claimant, refused)) => {
                    let rejection = reject(&claimant, refused);
                    Err((claimant, rejection))
                }
            });
        }
        match mem::replace(self, Self::Over) {
            Self::Arriving(claimant, terms) => match arrive(claimant, terms, cx.waker()) {
                Entry::Granted(claimant) => Poll::Ready(Ok(claimant)),
                Entry::Refused(claimant, refused) => {
                    let rejection = reject(&claimant, refused);
                    Poll::Ready(Err((claimant, rejection)))
                }
                Entry::Queued(waiter) => {
                    nested::warn_if_held(waiter.claimant().set());
                    *self = Self::Queued(waiter);
                    Poll::Pending
                }
            },
            _ => panic!("polled after it was ready"),
        }
    }

    /// Whether it is in the queue.
    pub(crate) fn is_queued(&self) -> bool {
        matches!(self, Self::Queued(_))
    }
}

/// A claimant whose set is given back should somebody who listens to the logs panic.
struct Granted<C: HasSet>(Option<C>);

impl<C: HasSet> Granted<C> {
    fn observe(&self, arrived: Nanos) {
        if let Some(claimant) = &self.0 {
            observe::admitted(|| claimant.set().names(), || claimant.gate().since(arrived));
        }
    }

    fn into_inner(mut self) -> C {
        self.0.take().expect("taken once")
    }
}

impl<C: HasSet> Drop for Granted<C> {
    fn drop(&mut self) {
        if let Some(claimant) = &self.0 {
            claimant.set().leave();
        }
    }
}

/// Admits the claimant at once, or not at all.
pub(super) fn try_enter<C: HasSet>(
    claimant: C,
    max_waiting: Option<usize>,
) -> Result<C, Rejection> {
    let terms = Terms {
        timeout: Duration::ZERO,
        max_waiting,
        arrived: None,
    };
    match arrive(claimant, terms, Waker::noop()) {
        Entry::Granted(claimant) => Ok(claimant),
        Entry::Refused(claimant, refused) => Err(reject(&claimant, refused)),
        Entry::Queued(_) => unreachable!("a request without time is not queued"),
    }
}

fn arrive<C: HasSet>(claimant: C, terms: Terms, waker: &Waker) -> Entry<C> {
    // One that arrived before has tried.
    if terms.arrived.is_none() && claimant.set().try_enter() {
        return Entry::Granted(claimant);
    }
    let wait = Wait {
        arrived: terms.arrived.unwrap_or_else(|| claimant.gate().now()),
        timeout: terms.timeout,
        max_waiting: terms.max_waiting,
        waker,
    };
    Gate::enter(claimant, wait)
}

fn reject(claimant: &impl HasSet, refused: Refused) -> Rejection {
    claimant.set().limiter().rejection(refused)
}
