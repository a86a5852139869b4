//! What can be changed while requests come and go.

use std::{
    future::poll_fn,
    sync::{Arc, Weak},
    task::Poll,
};

use super::{Gate, State, wakes::Wakes};
use crate::{
    admission::{Nanos, Usage},
    resource::{Change, Registrar},
    sync::lock,
};

impl Registrar for Gate {
    fn change(&self, resource: u32, change: Change) -> bool {
        let now = self.clock.now();
        let mut state = lock(&self.state);
        let is_known = match change {
            Change::Limit(limit) => {
                self.limit(&mut state, resource, limit, now);
                true
            }
            Change::Rule(rule) => {
                let shadow = state.shadow.as_mut();
                let foretold = shadow.is_some_and(|shadow| shadow.set_rule(now, resource, rule));
                state.queue.set_rule(now, resource, rule) || foretold
            }
        };
        self.settle(state, now);
        is_known
    }
}

impl Gate {
    /// Has the resources tell this gate about changes.
    pub(crate) fn attach(self: &Arc<Self>) {
        for resource in &self.resources {
            let registrar: Weak<Self> = Arc::downgrade(self);
            resource.attach(registrar);
        }
    }

    pub(super) fn limit(&self, state: &mut State, resource: u32, limit: u32, now: Nanos) {
        // A limit that moves by itself may say anything.
        let limit = limit.min(Usage::MAX_LIMIT);
        state.queue.set_limit(resource, limit, &mut self.ledger());
        if let Some(shadow) = &mut state.shadow {
            shadow.set_limit(now, resource, limit);
        }
    }

    /// Turns everybody away, those who wait and those who come.
    pub(crate) fn close(&self) {
        let mut state = lock(&self.state);
        state.queue.close(&mut self.ledger());
        self.settle(state, self.clock.now());
    }

    /// Waits until nothing is in use.
    pub(crate) async fn drained(self: &Arc<Self>) {
        poll_fn(|cx| {
            let mut state = lock(&self.state);
            // From here on whoever returns something takes the lock, and looks.
            state.queue.watch(true, &mut self.ledger());
            if self.is_idle() {
                state.queue.watch(false, &mut self.ledger());
                return Poll::Ready(());
            }
            let drains = &mut state.drains;
            if !drains.iter().any(|waker| waker.will_wake(cx.waker())) {
                drains.push(cx.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }

    fn is_idle(&self) -> bool {
        let mut resources = self.resources.iter();
        resources.all(|resource| resource.usage().load().in_use() == 0)
    }

    /// Wakes those who wait for nothing to be in use, if that is so.
    pub(super) fn drained_now(&self, state: &mut State, wakes: &mut Wakes) {
        if !state.drains.is_empty() && self.is_idle() {
            state.drains.drain(..).for_each(|waker| wakes.add(waker));
        }
    }
}
