//! When which waiter runs out of time.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
};

use super::{Nanos, waiters::Ticket};

/// The deadlines of the waiters.
///
/// With one timeout for all, deadlines arrive in order, and a line of them is enough. Those that come
/// before the end of the line go to a heap. A waiter that leaves early stays as a stale entry until it
/// surfaces or until stale entries outnumber the live ones, so leaving costs nothing and memory stays
/// in proportion to the waiters.
#[derive(Debug)]
pub(super) struct Deadlines {
    line: VecDeque<Entry>,
    heap: BinaryHeap<Reverse<Entry>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    deadline: Nanos,
    seq: u64,
    key: u32,
}

impl Entry {
    fn ticket(&self) -> Ticket {
        Ticket {
            key: self.key,
            seq: self.seq,
        }
    }
}

/// Below this size sweeping would cost more than it frees.
const SWEEP_FROM: usize = 64;

impl Deadlines {
    pub(super) fn new() -> Self {
        Self {
            line: VecDeque::new(),
            heap: BinaryHeap::new(),
        }
    }

    /// Adds a deadline. `live` counts the waiters, `is_live` tells them from those that have left.
    pub(super) fn push(
        &mut self,
        deadline: Nanos,
        ticket: Ticket,
        live: usize,
        is_live: impl Fn(Ticket) -> bool,
    ) {
        if self.len() >= SWEEP_FROM.max(2 * live) {
            self.line.retain(|entry| is_live(entry.ticket()));
            self.heap.retain(|Reverse(entry)| is_live(entry.ticket()));
        }
        let entry = Entry {
            deadline,
            seq: ticket.seq,
            key: ticket.key,
        };
        match self.line.back() {
            Some(last) if *last > entry => self.heap.push(Reverse(entry)),
            _ => self.line.push_back(entry),
        }
    }

    /// The earliest deadline of a live waiter.
    pub(super) fn next(&mut self, is_live: impl Fn(Ticket) -> bool) -> Option<(Nanos, Ticket)> {
        while self.line.front().is_some_and(|e| !is_live(e.ticket())) {
            self.line.pop_front();
        }
        while self
            .heap
            .peek()
            .is_some_and(|Reverse(e)| !is_live(e.ticket()))
        {
            self.heap.pop();
        }
        let in_line = self.line.front();
        let in_heap = self.heap.peek().map(|Reverse(entry)| entry);
        let next = in_line.into_iter().chain(in_heap).min()?;
        Some((next.deadline, next.ticket()))
    }

    pub(super) fn len(&self) -> usize {
        self.line.len() + self.heap.len()
    }
}
