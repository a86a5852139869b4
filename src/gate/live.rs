//! What can be changed while requests come and go.

use std::{
    future::poll_fn,
    mem,
    sync::{Arc, Weak},
    task::{Context, Poll, Waker},
};

use super::{Gate, State, wakes::Wakes};
use crate::{
    admission::{Nanos, Usage},
    resource::{Change, Registrar},
    shared::Health,
    sync::lock,
};

impl Registrar for Gate {
    fn change(&self, resource: u32, change: Change) -> bool {
        if let (Some(shared), &Change::Limit(limit)) = (self.shared(resource), &change) {
            self.resources[resource as usize].usage().set_limit(limit);
            shared.set_limit(limit);
            return true;
        }
        let (mut state, now) = self.lock_now();
        let is_known = match change {
            Change::Limit(limit) => {
                let adaptive = state.adaptive[resource as usize].as_ref();
                let limit = adaptive.map_or(limit, |adaptive| adaptive.by_hand(limit));
                self.limit(&mut state, resource, limit, now);
                true
            }
            Change::Rule(rule) => {
                let shadow = state.shadow.as_mut();
                let foretold = shadow.is_some_and(|shadow| shadow.set_rule(now, resource, rule));
                let ledger = self.ledger();
                state.queue.set_rule(now, resource, rule, &ledger) || foretold
            }
        };
        self.settle(state, now);
        is_known
    }

    fn health(&self, resource: u32) -> Option<Health> {
        Some(self.shared(resource)?.health())
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
        let queue = &mut state.queue;
        queue.set_limit(now, resource, limit, &mut self.ledger());
        if let Some(shadow) = &mut state.shadow {
            shadow.set_limit(now, resource, limit);
        }
    }

    /// Turns everybody away, those who wait and those who come.
    pub(crate) fn close(&self) {
        let mut state = lock(&self.state);
        state.queue.close(&mut self.ledger());
        self.settle(state, self.clock.now());
        self.close_shared();
    }

    /// Waits until nothing is in use.
    pub(crate) async fn drained(&self) {
        let mut drained = Drained {
            gate: self,
            id: None,
        };
        poll_fn(|cx| drained.poll(cx)).await;
    }

    fn is_idle(&self) -> bool {
        let mut resources = self.resources.iter();
        resources.all(|resource| resource.usage().load().in_use() == 0)
    }

    /// Lets those go on who wait for nothing to be in use, if that is so.
    pub(super) fn drained_now(&self, state: &mut State, wakes: &mut Wakes) {
        if !state.drains.is_empty() && self.is_idle() {
            let waiting = state.drains.waiting.drain(..);
            waiting.for_each(|(_, waker)| wakes.add(waker));
            state.queue.watch(false, &mut self.ledger());
        }
    }
}

/// Those who wait for nothing to be in use, by number.
#[derive(Default)]
pub(super) struct Drains {
    waiting: Vec<(u64, Waker)>,
    numbers: u64,
}

impl Drains {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

/// One of them. Whoever is not there any more has got what it waited for.
struct Drained<'a> {
    gate: &'a Gate,
    id: Option<u64>,
}

impl Drained<'_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let waker = cx.waker().clone();
        let gate = self.gate;
        let mut guard = lock(&gate.state);
        let state = &mut *guard;
        let mut wakes = Wakes::default();
        let Some(id) = self.id else {
            // From here on whoever returns something takes the lock, and looks.
            state.queue.watch(true, &mut gate.ledger());
            state.drains.numbers += 1;
            let id = state.drains.numbers;
            state.drains.waiting.push((id, waker));
            self.id = Some(id);
            gate.drained_now(state, &mut wakes);
            let is_over = state.drains.is_empty();
            drop(guard);
            wakes.wake();
            return if is_over {
                Poll::Ready(())
            } else {
                Poll::Pending
            };
        };
        let waiting = &mut state.drains.waiting;
        let Some((_, known)) = waiting.iter_mut().find(|(other, _)| *other == id) else {
            return Poll::Ready(());
        };
        let outdated = mem::replace(known, waker);
        drop(guard);
        drop(outdated); // after the lock: dropping a waker is somebody else's code
        Poll::Pending
    }
}

impl Drop for Drained<'_> {
    fn drop(&mut self) {
        let Some(id) = self.id else {
            return;
        };
        let mut guard = lock(&self.gate.state);
        let state = &mut *guard;
        let mut waiting = state.drains.waiting.iter();
        let Some(position) = waiting.position(|(other, _)| *other == id) else {
            return;
        };
        let (_, waker) = state.drains.waiting.remove(position);
        if state.drains.is_empty() {
            state.queue.watch(false, &mut self.gate.ledger());
        }
        drop(guard);
        drop(waker); // after the lock, as above
    }
}
