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
            let verdict = ready!(waiter.poll(cx)).map_err(|(claimant, refused)| {
                let rejection = reject(&claimant, refused);
                (claimant, rejection)
            });
            if let (Ok(claimant), Self::Queued(waiter)) = (&verdict, mem::replace(self, Self::Over))
            {
                let set = claimant.set();
                observe::admitted(|| set.names(), || set.gate().since(waiter.arrived()));
            }
            return Poll::Ready(verdict);
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
