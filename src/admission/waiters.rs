//! The queued requests, and first-in-first-out lists of them.

use slab::Slab;

use super::{Demands, Nanos};

/// Names one waiter for its whole life; never matches a later one that reuses its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(super) key: u32,
    pub(super) seq: u64,
}

/// One queued request.
#[derive(Debug)]
pub(super) struct Waiter<T> {
    pub(super) payload: T,
    pub(super) demands: Demands,
    /// The order of arrival.
    pub(super) seq: u64,
    pub(super) deadline: Nanos,
    /// The class it queues in: those with the same resources.
    pub(super) class: u32,
    /// How often it was overtaken by turns.
    pub(super) turns: u32,
    /// What it lacked whenever it was overtaken in this turn.
    lacked: u64,
    prev: u32,
    next: u32,
}

const NONE: u32 = u32::MAX;

impl<T> Waiter<T> {
    /// A later request is granted a resource that this one waits for, while it lacks others.
    pub(super) fn overtake(&mut self, lacked: u64) {
        self.lacked &= lacked;
        if self.lacked == 0 {
            self.lacked = lacked;
            self.turns = self.turns.saturating_add(1);
        }
    }
}

/// Arrival-ordered waiters; removal from anywhere in O(1). The links are indices into [`Waiters`].
#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    head: u32,
    tail: u32,
}

impl List {
    pub(super) const EMPTY: Self = Self {
        head: NONE,
        tail: NONE,
    };

    pub(super) fn head(self) -> Option<u32> {
        (self.head != NONE).then_some(self.head)
    }
}

/// All waiters of one queue, by key.
#[derive(Debug)]
pub(super) struct Waiters<T>(Slab<Waiter<T>>);

impl<T> Waiters<T> {
    pub(super) fn new() -> Self {
        Self(Slab::new())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn contains(&self, ticket: Ticket) -> bool {
        self.0
            .get(ticket.key as usize)
            .is_some_and(|w| w.seq == ticket.seq)
    }

    pub(super) fn get(&self, key: u32) -> &Waiter<T> {
        &self.0[key as usize]
    }

    pub(super) fn get_mut(&mut self, key: u32) -> &mut Waiter<T> {
        &mut self.0[key as usize]
    }

    pub(super) fn push_back(
        &mut self,
        list: &mut List,
        payload: T,
        demands: Demands,
        seq: u64,
        deadline: Nanos,
        class: u32,
    ) -> Ticket {
        let key = self.0.insert(Waiter {
            payload,
            demands,
            seq,
            deadline,
            class,
            turns: 0,
            lacked: u64::MAX,
            prev: list.tail,
            next: NONE,
        }) as u32;
        match list.tail {
            NONE => list.head = key,
            tail => self.get_mut(tail).next = key,
        }
        list.tail = key;
        Ticket { key, seq }
    }

    pub(super) fn remove(&mut self, list: &mut List, key: u32) -> Waiter<T> {
        let waiter = self.0.remove(key as usize);
        match waiter.prev {
            NONE => list.head = waiter.next,
            prev => self.get_mut(prev).next = waiter.next,
        }
        match waiter.next {
            NONE => list.tail = waiter.prev,
            next => self.get_mut(next).prev = waiter.prev,
        }
        waiter
    }
}
