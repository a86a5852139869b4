//! The end of a wait for the inner service.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    runtime::{Handle, Id},
    time::{Instant, Sleep, sleep_until},
};

/// Until when a request may be called that was let in while its inner service was not ready.
pub(super) struct Deadline {
    at: Instant,
    sleep: Option<Pin<Box<Sleep>>>,
    /// Where the sleep was made. It does not outlive that.
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

    /// Ready once it has come. Outside of a runtime nothing wakes the task for that.
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
