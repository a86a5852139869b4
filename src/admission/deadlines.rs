//! When which waiter runs out of time.

use std::{cmp::Reverse, collections::BinaryHeap};

use super::{Nanos, waiters::Ticket};

/// A heap of deadlines. A waiter that leaves early stays in it as a stale entry until it surfaces or
/// until stale entries outnumber the live ones, so leaving costs nothing and memory stays in
/// proportion to the waiters. With one timeout for all, deadlines arrive in order and a push is O(1).
#[derive(Debug)]
pub(super) struct Deadlines {
    heap: BinaryHeap<Reverse<Entry>>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
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
        if self.heap.len() >= SWEEP_FROM.max(2 * live) {
            self.heap.retain(|Reverse(entry)| is_live(entry.ticket()));
        }
        self.heap.push(Reverse(Entry {
            deadline,
            seq: ticket.seq,
            key: ticket.key,
        }));
    }

    /// The earliest deadline of a live waiter.
    pub(super) fn next(&mut self, is_live: impl Fn(Ticket) -> bool) -> Option<(Nanos, Ticket)> {
        loop {
            let Reverse(entry) = self.heap.peek()?;
            if is_live(entry.ticket()) {
                return Some((entry.deadline, entry.ticket()));
            }
            self.heap.pop();
        }
    }

    #[cfg(all(test, not(tcl_loom)))]
    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }
}
