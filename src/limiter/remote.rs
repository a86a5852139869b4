//! The way of one request to a set of which some is shared between processes.

use std::{
    mem,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use super::{HasSet, leasing::Leasing, nested};
use crate::{
    admission::Demands,
    core::{AcquireResult, Claimant, Gate, Granted, Record, WaitOptions, Waited, Waiter},
    observe,
};

/// The way of one request to a set of which some is shared between processes: first that, then the
/// rest, all together. Nothing of the rest is held while it waits for what is shared; what is
/// shared is held while it waits for the rest.
pub(crate) struct RemoteAcquisition<C: HasSet> {
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

/// What is not shared, or why not. What is leased is still with the acquisition.
pub(crate) type Local<C> = Waited<Unshared<C>>;

impl<C: HasSet> RemoteAcquisition<C> {
    pub(crate) fn new(claimant: C, options: WaitOptions) -> Self {
        Self::with(claimant, options, true)
    }

    fn with(claimant: C, options: WaitOptions, may_ask: bool) -> Self {
        let gate = claimant.gate();
        let unshared = claimant.demands().iter();
        let unshared = unshared.filter(|d| gate.remote(d.resource).is_none());
        let leasing = Leasing::new(gate, claimant.demands(), options, may_ask);
        Self {
            leasing,
            rest: Rest::Ahead(Unshared {
                demands: Demands::collect(unshared.copied()),
                claimant,
            }),
            has_waited: false,
        }
    }

    /// Admits the claimant if no other process has to be asked or waited for, or returns it.
    #[cold]
    pub(crate) fn try_acquire(claimant: C, options: &WaitOptions) -> Waited<C> {
        let options = WaitOptions {
            timeout: Duration::ZERO,
            ..*options
        };
        let mut acquisition = Self::with(claimant, options, false);
        match acquisition.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(local) => acquisition.conclude(local),
            Poll::Pending => {
                unreachable!("it does not ask, and a request without time is not queued")
            }
        }
    }

    /// Waits for all of the set, which [`conclude`](Self::conclude) puts together.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Local<C>> {
        let local = self.poll_rest(cx);
        if local.is_pending() && !self.has_waited {
            self.has_waited = true;
            match &self.rest {
                Rest::Ahead(unshared) => nested::warn_if_held(unshared.claimant.set()),
                Rest::Queued(waiter) => nested::warn_if_held(waiter.claimant().claimant.set()),
                Rest::Over => {}
            }
        }
        local
    }

    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<Local<C>> {
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
        if demands.is_empty() || unshared.gate().try_acquire(demands) {
            return Poll::Ready(Ok(Granted::new(unshared, None)));
        }
        match Gate::acquire(unshared, &self.leasing.options(), Some(cx.waker())) {
            AcquireResult::Granted(granted) => Poll::Ready(Ok(granted)),
            AcquireResult::Refused(unshared, refused) => Poll::Ready(Err((unshared, refused))),
            AcquireResult::Queued(waiter) => {
                self.rest = Rest::Queued(waiter);
                Poll::Pending
            }
        }
    }

    /// Ends the acquisition: with what work can begin under, or with everything released.
    pub(crate) fn conclude(self, local: Local<C>) -> Waited<C> {
        let options = self.leasing.options();
        let arrived = self.leasing.arrived();
        match local {
            Ok(granted) => {
                if self.has_waited {
                    let claimant = granted.claimant();
                    let waited = || claimant.gate().since(arrived);
                    observe::admitted(|| claimant.claimant.set().names(), waited);
                }
                let leases = self.leasing.into_leases();
                let record = |unshared: &Unshared<C>| {
                    let load = options.claims.load;
                    Record::new(unshared.demands.clone(), load, &options, arrived)
                };
                let granted = granted.with_leases(leases, record);
                Ok(granted.map(|unshared| unshared.claimant))
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
