//! The deadline of the wait for an inner service that is not ready.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    runtime::{Handle, Id},
    time::{Instant, Sleep, sleep_until},
};

/// The time until which an admitted request waits for its inner service.
pub(super) struct Deadline {
    at: Instant,
    sleep: Option<Pin<Box<Sleep>>>,
    /// The runtime of the sleep, which does not fire in another one.
    runtime: Option<Id>,
}

impl Deadline {
    pub(super) fn new(at: Instant) -> Self {
        Self {
            at,
            sleep: None,
            runtime: None,
        }
    }

    /// Ready once the deadline has passed. Outside of a runtime nothing wakes the task at that
    /// time.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Ok(runtime) = Handle::try_current() else {
            return match Instant::now() >= self.at {
                true => Poll::Ready(()),
                false => Poll::Pending,
            };
        };
        if self.runtime != Some(runtime.id()) {
            self.sleep = None;
            self.runtime = Some(runtime.id());
        }
        let new = || Box::pin(sleep_until(self.at));
        self.sleep.get_or_insert_with(new).as_mut().poll(cx)
    }

    pub(super) fn is_past(&self) -> bool {
        Instant::now() > self.at
    }
}
