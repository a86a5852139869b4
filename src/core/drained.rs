//! Waiting until nothing is in use.

use std::{
    future::poll_fn,
    mem,
    task::{Context, Poll, Waker},
};

use super::{Gate, State, wake_list::WakeList};
use crate::sync::lock;

impl Gate {
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

    /// Wakes the callers of `drained` if nothing is in use.
    pub(super) fn drained_now(&self, state: &mut State, wakers: &mut WakeList) {
        if !state.drains.is_empty() && self.is_idle() {
            let waiting = state.drains.waiting.drain(..);
            waiting.for_each(|(_, waker)| wakers.add(waker));
            state.queue.watch(false, &mut self.ledger());
        }
    }
}

/// The callers that wait until nothing is in use, by number.
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

/// One of them. If it is no longer listed, its wait is over.
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
        let mut wakers = WakeList::default();
        let Some(id) = self.id else {
            // From here on every release takes the lock, and looks.
            gate.promote_all(state);
            state.queue.watch(true, &mut gate.ledger());
            state.drains.numbers += 1;
            let id = state.drains.numbers;
            state.drains.waiting.push((id, waker));
            self.id = Some(id);
            gate.drained_now(state, &mut wakers);
            let is_over = state.drains.is_empty();
            drop(guard);
            wakers.wake();
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
        drop(outdated); // after the lock: dropping a waker is the code of others
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
