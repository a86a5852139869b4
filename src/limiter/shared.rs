//! The way of one request to a set of which some is shared between processes.

use std::{
    mem,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};

use super::{HasSet, Terms, leasing::Leasing, nested, turn::Unused};
use crate::{
    admission::Demands,
    gate::{Claimant, Entry, Gate, Grant, Granted, Refused, Wait, Waiter},
};

/// The way of one request to a set of which some is shared between processes: first that, then the rest, all
/// together. Nothing of the rest is held while it waits for what is shared; what is shared is held while it
/// waits for the rest.
pub(crate) struct SharedTurn<C: HasSet> {
    // Dropped before what is leased.
    rest: Rest<C>,
    leasing: Leasing,
    has_waited: bool,
}

/// How far it is with what is not shared.
enum Rest<C: HasSet> {
    Ahead(Unshared<C>),
    Queued(Waiter<Unshared<C>>),
    Over,
}

/// A claimant with what is not shared of its set: perhaps nothing.
pub(crate) struct Unshared<C> {
    claimant: C,
    demands: Demands,
}

impl<C: HasSet> Claimant for Unshared<C> {
    fn gate(&self) -> &Arc<Gate> {
        self.claimant.gate()
    }

    fn demands(&self) -> &Demands {
        &self.demands
    }
}

/// What is not shared, or why not. What is leased is still with the turn.
pub(crate) type Verdict<C> = Result<Granted<Unshared<C>>, (Unshared<C>, Refused)>;

impl<C: HasSet> SharedTurn<C> {
    pub(crate) fn new(claimant: C, terms: Terms) -> Self {
        Self::with(claimant, terms, true)
    }

    fn with(claimant: C, terms: Terms, may_ask: bool) -> Self {
        let gate = claimant.gate();
        let unshared = claimant.demands().iter();
        let unshared = unshared.filter(|d| gate.shared(d.resource).is_none());
        Self {
            leasing: Leasing::new(gate, claimant.demands(), terms, may_ask),
            rest: Rest::Ahead(Unshared {
                demands: Demands::collect(unshared.copied()),
                claimant,
            }),
            has_waited: false,
        }
    }

    /// Admits the claimant if nobody has to be asked or waited for, or gives it back.
    #[cold]
    pub(crate) fn enter_now(claimant: C, terms: Terms) -> Result<Granted<C>, (C, Refused)> {
        let mut turn = Self::with(claimant, terms, false);
        match turn.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(verdict) => turn.conclude(verdict),
            Poll::Pending => {
                unreachable!("it does not ask, and a request without time is not queued")
            }
        }
    }

    /// Waits for the verdict, which [`conclude`](Self::conclude) turns into a grant.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Verdict<C>> {
        let verdict = self.poll_rest(cx);
        if verdict.is_pending() && !self.has_waited {
            self.has_waited = true;
            match &self.rest {
                Rest::Ahead(unshared) => nested::warn_if_held(unshared.claimant.set()),
                Rest::Queued(waiter) => nested::warn_if_held(waiter.claimant().claimant.set()),
                Rest::Over => {}
            }
        }
        verdict
    }

    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<Verdict<C>> {
        if let Rest::Queued(waiter) = &mut self.rest {
            return waiter.poll(cx);
        }
        let leased = ready!(self.leasing.poll(cx));
        let Rest::Ahead(unshared) = mem::replace(&mut self.rest, Rest::Over) else {
            panic!("polled after it was ready");
        };
        let may_go = leased.and_then(|()| match unshared.demands.first() {
            Some(first) => self.leasing.check_time(first.resource),
            None => self.leasing.check_open(),
        });
        if let Err(refused) = may_go {
            return Poll::Ready(Err((unshared, refused)));
        }
        let demands = &unshared.demands;
        if demands.is_empty() || unshared.gate().try_enter(demands) {
            return Poll::Ready(Ok((unshared, None)));
        }
        match Gate::enter(unshared, self.wait(cx.waker())) {
            Entry::Granted(unshared, grant) => Poll::Ready(Ok((unshared, grant))),
            Entry::Refused(unshared, refused) => Poll::Ready(Err((unshared, refused))),
            Entry::Queued(waiter) => {
                self.rest = Rest::Queued(waiter);
                Poll::Pending
            }
        }
    }

    fn wait<'a>(&self, waker: &'a Waker) -> Wait<'a> {
        self.leasing.terms().wait(self.leasing.arrived(), waker)
    }

    /// Ends the turn: with what work can begin under, or with everything returned.
    pub(crate) fn conclude(self, verdict: Verdict<C>) -> Result<Granted<C>, (C, Refused)> {
        let arrived = self.leasing.arrived();
        match verdict {
            Ok(granted) => {
                let admitted = Unused::new(granted);
                if self.has_waited {
                    admitted.observe(|unshared| unshared.claimant.set().names(), arrived);
                }
                let wait = self.wait(Waker::noop());
                let (Unshared { claimant, demands }, grant) = admitted.into_inner();
                let load = wait.claims.load;
                let grant = grant.unwrap_or_else(|| Grant::new(demands, load, &wait, arrived));
                Ok((claimant, Some(grant.with(self.leasing.into_leases()))))
            }
            Err((Unshared { claimant, .. }, mut refused)) => {
                if self.has_waited {
                    refused.waited = claimant.gate().since(arrived);
                }
                Err((claimant, refused))
            }
        }
    }
}
