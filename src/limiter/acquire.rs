//! The future of a permit.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use super::{ResourceSet, Terms, Turn};
use crate::{permit::Permit, rejection::Rejection};

/// The future of a [`Permit`]; see [`Limiter::acquire`](crate::Limiter::acquire).
///
/// # Cancel safety
///
/// Dropping it gives up the place in the queue, and returns the set if it was granted at that moment.
#[must_use = "futures do nothing unless polled"]
pub struct Acquire {
    turn: Turn<ResourceSet>,
    load: u64,
}

impl Acquire {
    pub(super) fn new(set: ResourceSet, terms: Terms) -> Self {
        Self {
            load: terms.claims.load,
            turn: Turn::Arriving(set, terms),
        }
    }
}

impl Future for Acquire {
    type Output = Result<Permit, Rejection>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { turn, load } = self.get_mut();
        Poll::Ready(match ready!(turn.poll(cx)) {
            Ok((set, grant)) => Ok(set.permit(*load, grant)),
            Err((_, rejection)) => Err(rejection),
        })
    }
}

impl fmt::Debug for Acquire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.turn {
            Turn::Arriving(..) => "arriving",
            Turn::Queued(_) | Turn::Shared(_) => "queued",
            Turn::Over => "over",
        };
        f.debug_tuple("Acquire").field(&state).finish()
    }
}
