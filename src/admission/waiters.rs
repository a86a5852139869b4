//! The queued requests, and lists of them in order of arrival.

use std::ops::{Index, IndexMut};

use slab::Slab;

use super::{Demands, Nanos};

/// Names one waiter for its whole life; never matches a later one that reuses its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
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
    pub(super) arrived: Nanos,
    pub(super) deadline: Nanos,
    pub(super) load: u64,
    pub(super) priority: u8,
    /// It cannot be overtaken by priority any more.
    pub(super) aged: bool,
    /// It claims more than it can have, and does not contend until that changes.
    pub(super) is_aside: bool,
    pub(super) flow: u32,
    /// How often it was overtaken by turns.
    pub(super) turns: u32,
    /// What it lacked whenever it was overtaken in this turn.
    pub(super) lacked: u64,
    pub(super) links: [Links; 2],
}

/// Which list.
#[derive(Clone, Copy, Debug)]
pub(super) enum Among {
    /// Those of its flow and priority.
    Level,
    /// All.
    All,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Links {
    prev: u32,
    next: u32,
}

const NONE: u32 = u32::MAX;

impl Links {
    pub(super) const NONE: Self = Self {
        prev: NONE,
        next: NONE,
    };
}

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

/// Waiters in order of arrival; removal from anywhere in O(1). The links are indices into
/// [`Waiters`].
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

    pub(super) fn tail(self) -> Option<u32> {
        (self.tail != NONE).then_some(self.tail)
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

    pub(super) fn iter(&self) -> impl Iterator<Item = &Waiter<T>> {
        self.0.iter().map(|(_, waiter)| waiter)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Waiter<T>> {
        self.0.iter_mut().map(|(_, waiter)| waiter)
    }

    /// Still here under this ticket?
    pub(super) fn find(&mut self, ticket: Ticket) -> Option<&mut Waiter<T>> {
        let waiter = self.0.get_mut(ticket.key as usize)?;
        (waiter.seq == ticket.seq).then_some(waiter)
    }

    pub(super) fn contains(&self, ticket: Ticket) -> bool {
        let waiter = self.0.get(ticket.key as usize);
        waiter.is_some_and(|waiter| waiter.seq == ticket.seq)
    }

    /// Whether it is still here under this ticket, and does not stand aside.
    pub(super) fn contends(&self, ticket: Ticket) -> bool {
        self.contains(ticket) && !self[ticket.key].is_aside
    }

    pub(super) fn insert(&mut self, waiter: Waiter<T>) -> Ticket {
        let seq = waiter.seq;
        let key = self.0.insert(waiter) as u32;
        Ticket { key, seq }
    }

    /// Takes out a waiter that is in no list any more.
    pub(super) fn remove(&mut self, key: u32) -> Waiter<T> {
        self.0.remove(key as usize)
    }

    pub(super) fn link_last(&mut self, list: &mut List, among: Among, key: u32) {
        *self.links(key, among) = Links {
            prev: list.tail,
            next: NONE,
        };
        match list.tail {
            NONE => list.head = key,
            tail => self.links(tail, among).next = key,
        }
        list.tail = key;
    }

    pub(super) fn unlink(&mut self, list: &mut List, among: Among, key: u32) {
        let Links { prev, next } = *self.links(key, among);
        match prev {
            NONE => list.head = next,
            prev => self.links(prev, among).next = next,
        }
        match next {
            NONE => list.tail = prev,
            next => self.links(next, among).prev = prev,
        }
    }

    /// Returns the next one behind it.
    pub(super) fn next(&self, key: u32, among: Among) -> Option<u32> {
        let next = self[key].links[among as usize].next;
        (next != NONE).then_some(next)
    }

    /// Those in a list, from its head.
    pub(super) fn in_list(&self, list: List, among: Among) -> impl Iterator<Item = u32> {
        std::iter::successors(list.head(), move |&key| self.next(key, among))
    }

    fn links(&mut self, key: u32, among: Among) -> &mut Links {
        &mut self[key].links[among as usize]
    }
}

impl<T> Index<u32> for Waiters<T> {
    type Output = Waiter<T>;

    fn index(&self, key: u32) -> &Waiter<T> {
        &self.0[key as usize]
    }
}

impl<T> IndexMut<u32> for Waiters<T> {
    fn index_mut(&mut self, key: u32) -> &mut Waiter<T> {
        &mut self.0[key as usize]
    }
}
