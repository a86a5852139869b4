//! The way of one request to its set.

use std::{
    mem,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use super::{HasSet, nested};
use crate::{
    admission::{Claims, Nanos},
    gate::{Claimant, Entry, Gate, Granted, Refused, Wait, Waiter},
    observe,
    rejection::Rejection,
};

/// How a request waits.
#[derive(Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) claims: Claims,
    pub(crate) timeout: Duration,
    /// Instead of each resource's own bound on the length of its queue.
    pub(crate) max_waiting: Option<usize>,
    /// When the request arrived, on the gate's clock, if that was before it was first polled.
    pub(crate) arrived: Option<Nanos>,
}

/// The way of one request to its set: it arrives, it may queue, it is admitted or rejected.
///
/// Whoever is admitted sees to the set's [`give_back`](super::ResourceSet::give_back).
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
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Granted<C>, (C, Rejection)>> {
        if let Self::Queued(waiter) = self {
            let arrived = waiter.arrived();
            let verdict = ready!(waiter.poll(cx));
            *self = Self::Over;
            return Poll::Ready(match verdict {
                Ok(granted) => {
                    let granted = Admitted(Some(granted));
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
                Entry::Granted(claimant, grant) => Poll::Ready(Ok((claimant, grant))),
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
struct Admitted<C: HasSet>(Option<Granted<C>>);

impl<C: HasSet> Admitted<C> {
    fn observe(&self, arrived: Nanos) {
        if let Some((claimant, _)) = &self.0 {
            observe::admitted(|| claimant.set().names(), || claimant.gate().since(arrived));
        }
    }

    fn into_inner(mut self) -> Granted<C> {
        self.0.take().expect("taken once")
    }
}

impl<C: HasSet> Drop for Admitted<C> {
    fn drop(&mut self) {
        if let Some((claimant, grant)) = &self.0 {
            claimant.set().give_back(grant.as_deref());
        }
    }
}

/// Admits the claimant at once, or not at all.
pub(crate) fn try_enter<C: HasSet>(
    claimant: C,
    claims: Claims,
    max_waiting: Option<usize>,
) -> Result<Granted<C>, Rejection> {
    match enter_now(claimant, claims, max_waiting) {
        Ok(granted) => Ok(granted),
        Err((claimant, refused)) => Err(reject(&claimant, refused)),
    }
}

/// Admits the claimant at once, or gives it back.
pub(crate) fn enter_now<C: HasSet>(
    claimant: C,
    claims: Claims,
    max_waiting: Option<usize>,
) -> Result<Granted<C>, (C, Refused)> {
    let terms = Terms {
        claims,
        timeout: Duration::ZERO,
        max_waiting,
        arrived: None,
    };
    match arrive(claimant, terms, Waker::noop()) {
        Entry::Granted(claimant, grant) => Ok((claimant, grant)),
        Entry::Refused(claimant, refused) => Err((claimant, refused)),
        Entry::Queued(_) => unreachable!("a request without time is not queued"),
    }
}

fn arrive<C: HasSet>(claimant: C, terms: Terms, waker: &Waker) -> Entry<C> {
    // One that arrived before has tried.
    if terms.arrived.is_none() && claimant.set().try_enter() {
        return Entry::Granted(claimant, None);
    }
    let wait = Wait {
        claims: terms.claims,
        arrived: terms.arrived.unwrap_or_else(|| claimant.gate().now()),
        timeout: terms.timeout,
        max_waiting: terms.max_waiting,
        waker,
    };
    Gate::enter(claimant, wait)
}

fn reject(claimant: &impl HasSet, refused: Refused) -> Rejection {
    let set = claimant.set();
    let first = claimant.demands()[0].resource;
    set.limiter().rejection(first, refused)
}
