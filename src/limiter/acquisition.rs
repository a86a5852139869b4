//! The way of one request to its set.

use std::{
    mem,
    task::{Context, Poll, ready},
    time::Duration,
};

use super::{HasSet, nested, remote::RemoteAcquisition};
use crate::{
    admission::{Attributes, Refusal},
    core::{AcquireResult, Claimant, Gate, Granted, Refused, WaitOptions, Waiter},
    observe,
    rejection::Rejection,
};

/// The way of one request to its set: it arrives, it may queue, it is admitted or rejected.
pub(crate) enum Acquisition<C: HasSet> {
    New(C),
    Queued(Waiter<C>),
    /// Some of the set is shared between processes.
    Remote(Box<RemoteAcquisition<C>>),
    /// Refused before it was polled.
    Refused(C, Box<Refused>),
    Over,
}

impl<C: HasSet> Acquisition<C> {
    /// Admits a request at once, or begins to wait for its set without a waker.
    pub(crate) fn start(claimant: C, options: &WaitOptions) -> Result<Granted<C>, Self> {
        if claimant.set().try_acquire() {
            return Ok(Granted::new(claimant, None));
        }
        if claimant.set().is_shared() {
            // To ask another process takes a task to be woken.
            return RemoteAcquisition::try_acquire(claimant, options)
                .map_err(|(claimant, _)| Self::New(claimant));
        }
        match Gate::acquire(claimant, options, None) {
            AcquireResult::Granted(granted) => Ok(granted),
            AcquireResult::Queued(waiter) => Err(Self::Queued(waiter)),
            AcquireResult::Refused(claimant, refused) => {
                Err(Self::Refused(claimant, Box::new(refused)))
            }
        }
    }

    /// Waits for the set. The options count at the first poll.
    ///
    /// # Panics
    ///
    /// If polled after it was ready.
    #[inline]
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        options: impl FnOnce(&C) -> WaitOptions,
    ) -> Poll<Result<Granted<C>, Rejection>> {
        if let Self::Queued(waiter) = self {
            let waited = ready!(waiter.poll(cx));
            let arrived = waiter.arrived();
            *self = Self::Over;
            if let Ok(granted) = &waited {
                let claimant = granted.claimant();
                let waited = || claimant.gate().since(arrived);
                observe::admitted(|| claimant.set().names(), waited);
            }
            return Poll::Ready(waited.map_err(reject));
        }
        self.poll_first(cx, options)
    }

    /// Should anything panic here, the acquisition is over, and what it has is released.
    fn poll_first(
        &mut self,
        cx: &mut Context<'_>,
        options: impl FnOnce(&C) -> WaitOptions,
    ) -> Poll<Result<Granted<C>, Rejection>> {
        let mut remote = match mem::replace(self, Self::Over) {
            Self::New(claimant) => {
                let options = options(&claimant);
                // A request that arrived before has tried.
                if options.arrived.is_none() && claimant.set().try_acquire() {
                    return Poll::Ready(Ok(Granted::new(claimant, None)));
                }
                if !claimant.set().is_shared() {
                    return self.enter(Gate::acquire(claimant, &options, Some(cx.waker())));
                }
                Box::new(RemoteAcquisition::new(claimant, options))
            }
            Self::Remote(remote) => remote,
            Self::Refused(claimant, refused) => {
                return Poll::Ready(Err(reject((claimant, *refused))));
            }
            Self::Queued(_) | Self::Over => panic!("polled after it was ready"),
        };
        let Poll::Ready(local) = remote.poll(cx) else {
            *self = Self::Remote(remote);
            return Poll::Pending;
        };
        Poll::Ready(remote.conclude(local).map_err(reject))
    }

    #[inline]
    fn enter(&mut self, entry: AcquireResult<C>) -> Poll<Result<Granted<C>, Rejection>> {
        match entry {
            AcquireResult::Granted(granted) => Poll::Ready(Ok(granted)),
            AcquireResult::Refused(claimant, refused) => {
                Poll::Ready(Err(reject((claimant, refused))))
            }
            AcquireResult::Queued(waiter) => {
                nested::warn_if_held(waiter.claimant().set());
                *self = Self::Queued(waiter);
                Poll::Pending
            }
        }
    }

    /// Whether it was never polled.
    pub(super) fn is_new(&self) -> bool {
        matches!(self, Self::New(_))
    }

    /// Whether it is in a queue.
    pub(crate) fn is_queued(&self) -> bool {
        matches!(self, Self::Queued(_) | Self::Remote(_))
    }
}

/// Admits a request at once, or rejects it.
pub(crate) fn try_acquire<C: HasSet>(
    claimant: C,
    claims: Attributes,
    max_waiting: Option<usize>,
) -> Result<Granted<C>, Rejection> {
    let options = WaitOptions {
        claims,
        timeout: Duration::ZERO,
        max_waiting,
        arrived: None,
    };
    if claimant.set().try_acquire() {
        return Ok(Granted::new(claimant, None));
    }
    let waited = match claimant.set().is_shared() {
        true => RemoteAcquisition::try_acquire(claimant, &options),
        false => match Gate::acquire(claimant, &options, None) {
            AcquireResult::Granted(granted) => Ok(granted),
            AcquireResult::Refused(claimant, refused) => Err((claimant, refused)),
            AcquireResult::Queued(_) => unreachable!("a request without time is not queued"),
        },
    };
    waited.map_err(reject)
}

/// Rejects a request that was granted its set, and could not begin before its deadline.
#[cold]
pub(crate) fn reject_late<C: HasSet>(granted: Granted<C>, waited: Duration) -> Rejection {
    let claimant = granted.give_up();
    let refusal = Refusal::Timeout {
        resource: claimant.demands()[0].resource,
        by_rate: false,
    };
    let mut refused = Refused::at_once(refusal);
    refused.waited = waited;
    reject((claimant, refused))
}

fn reject<C: HasSet>((claimant, refused): (C, Refused)) -> Rejection {
    let first = claimant.demands()[0].resource;
    claimant.set().limiter().rejection(first, refused)
}
