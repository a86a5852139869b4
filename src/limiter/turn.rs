//! The way of one request to its set.

use std::{
    mem,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use super::{HasSet, nested, shared::SharedTurn};
use crate::{
    admission::{Claims, Nanos},
    gate::{Claimant, Entry, Gate, Granted, Refused, Wait, Waiter, Why},
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

impl Terms {
    /// The same for the gate, of a request that arrived at this time.
    pub(super) fn wait<'a>(&self, arrived: Nanos, waker: &'a Waker) -> Wait<'a> {
        Wait {
            claims: self.claims,
            arrived,
            timeout: self.timeout,
            max_waiting: self.max_waiting,
            waker,
        }
    }
}

/// The way of one request to its set: it arrives, it may queue, it is admitted or rejected.
///
/// Whoever is admitted sees to the set's [`give_back`](super::ResourceSet::give_back).
pub(crate) enum Turn<C: HasSet> {
    Arriving(C, Terms),
    Queued(Waiter<C>),
    /// Some of the set is shared between processes.
    Shared(Box<SharedTurn<C>>),
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
                    let granted = Unused::new(granted);
                    granted.observe(|claimant| claimant.set().names(), arrived);
                    Ok(granted.into_inner())
                }
                Err((claimant, refused)) => {
                    let rejection = reject(&claimant, refused);
                    Err((claimant, rejection))
                }
            });
        }
        match mem::replace(self, Self::Over) {
            Self::Arriving(claimant, terms) => {
                // One that arrived before has tried.
                if terms.arrived.is_none() && claimant.set().try_enter() {
                    return Poll::Ready(Ok((claimant, None)));
                }
                if claimant.set().is_shared() {
                    return self.poll_shared(Box::new(SharedTurn::new(claimant, terms)), cx);
                }
                match arrive(claimant, terms, cx.waker()) {
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
                }
            }
            Self::Shared(turn) => self.poll_shared(turn, cx),
            _ => panic!("polled after it was ready"),
        }
    }

    /// Should anything panic here, the turn is over, and what it has is returned.
    #[cold]
    fn poll_shared(
        &mut self,
        mut turn: Box<SharedTurn<C>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Granted<C>, (C, Rejection)>> {
        let Poll::Ready(verdict) = turn.poll(cx) else {
            *self = Self::Shared(turn);
            return Poll::Pending;
        };
        Poll::Ready(turn.conclude(verdict).map_err(|(claimant, refused)| {
            let rejection = reject(&claimant, refused);
            (claimant, rejection)
        }))
    }

    /// Whether it was never polled.
    pub(super) fn is_arriving(&self) -> bool {
        matches!(self, Self::Arriving(..))
    }

    /// Whether it is in a queue.
    pub(crate) fn is_queued(&self) -> bool {
        matches!(self, Self::Queued(_) | Self::Shared(_))
    }
}

/// A claimant that was let in. Dropping it returns its set, with all that was spent: no work has begun.
pub(crate) struct Unused<C: Claimant>(Option<Granted<C>>);

impl<C: Claimant> Unused<C> {
    pub(crate) fn new(granted: Granted<C>) -> Self {
        Self(Some(granted))
    }

    pub(super) fn observe(&self, names: impl FnOnce(&C) -> String, arrived: Nanos) {
        if let Some((claimant, _)) = &self.0 {
            observe::admitted(|| names(claimant), || claimant.gate().since(arrived));
        }
    }

    /// On whose behalf it is.
    pub(crate) fn claimant(&self) -> &C {
        &self.0.as_ref().expect("taken once").0
    }

    pub(crate) fn into_inner(mut self) -> Granted<C> {
        self.0.take().expect("taken once")
    }
}

impl<C: HasSet> Unused<C> {
    /// Rejects a request that arrived at this time, and could not begin before its deadline.
    #[cold]
    pub(crate) fn reject(self, arrived: Nanos) -> Rejection {
        let (claimant, grant) = self.into_inner();
        claimant.gate().decline(claimant.demands(), grant);
        let refused = Refused {
            why: Why::Timeout {
                short: claimant.demands()[0].resource,
                by_rate: false,
            },
            waited: claimant.gate().since(arrived),
            retry_after: None,
        };
        reject(&claimant, refused)
    }
}

impl<C: Claimant> Drop for Unused<C> {
    fn drop(&mut self) {
        if let Some((claimant, grant)) = self.0.take() {
            claimant.gate().decline(claimant.demands(), grant);
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
    if claimant.set().try_enter() {
        return Ok((claimant, None));
    }
    if claimant.set().is_shared() {
        return SharedTurn::enter_now(claimant, terms);
    }
    match arrive(claimant, terms, Waker::noop()) {
        Entry::Granted(claimant, grant) => Ok((claimant, grant)),
        Entry::Refused(claimant, refused) => Err((claimant, refused)),
        Entry::Queued(_) => unreachable!("a request without time is not queued"),
    }
}

/// Asks the queue, after what can be had at first sight was tried.
fn arrive<C: HasSet>(claimant: C, terms: Terms, waker: &Waker) -> Entry<C> {
    let arrived = terms.arrived.unwrap_or_else(|| claimant.gate().now());
    Gate::enter(claimant, terms.wait(arrived, waker))
}

fn reject(claimant: &impl HasSet, refused: Refused) -> Rejection {
    let set = claimant.set();
    let first = claimant.demands()[0].resource;
    set.limiter().rejection(first, refused)
}
