//! The order of arrival, and the order of deadlines.

use std::{cmp::Reverse, collections::BinaryHeap};

use super::{
    Nanos,
    waiters::{Among, List, Ticket, Waiters},
};

/// All waiters in order of arrival, and the deadlines that came out of order.
///
/// With one timeout for all, the first to arrive is the first to run out of time, and the list of
/// waiters is all it takes. A deadline before that of an earlier arrival goes to a heap besides. If
/// its waiter leaves early, the entry stays until it surfaces, or until there are twice as many
/// entries as waiters, so memory stays in proportion to the waiters.
#[derive(Debug)]
pub(super) struct Timeline {
    all: List,
    /// The first that has not aged.
    young: Option<u32>,
    /// The latest deadline since the list was empty.
    latest: Nanos,
    early: BinaryHeap<Reverse<Entry>>,
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

impl Timeline {
    pub(super) fn new() -> Self {
        Self {
            all: List::EMPTY,
            young: None,
            latest: 0,
            early: BinaryHeap::new(),
        }
    }

    /// A waiter has arrived.
    pub(super) fn push<T>(&mut self, waiters: &mut Waiters<T>, key: u32) {
        let waiter = &waiters[key];
        let (deadline, seq) = (waiter.deadline, waiter.seq);
        if self.all.head().is_none() || deadline >= self.latest {
            self.latest = deadline;
        } else {
            if self.early.len() >= SWEEP_FROM.max(2 * waiters.len()) {
                self.early
                    .retain(|Reverse(entry)| waiters.contains(entry.ticket()));
            }
            self.early.push(Reverse(Entry { deadline, seq, key }));
        }
        waiters.link_last(&mut self.all, Among::All, key);
        self.young.get_or_insert(key);
    }

    /// Deadlines have changed.
    pub(super) fn renew<T>(&mut self, waiters: &Waiters<T>) {
        self.early.clear();
        self.latest = 0;
        for key in self.keys(waiters) {
            let waiter = &waiters[key];
            let (deadline, seq) = (waiter.deadline, waiter.seq);
            match deadline >= self.latest {
                true => self.latest = deadline,
                false => self.early.push(Reverse(Entry { deadline, seq, key })),
            }
        }
    }

    /// All, in order of arrival.
    pub(super) fn keys<'a, T>(
        &self,
        waiters: &'a Waiters<T>,
    ) -> impl Iterator<Item = u32> + use<'a, T> {
        waiters.in_list(self.all, Among::All)
    }

    /// A waiter is about to leave.
    pub(super) fn forget<T>(&mut self, waiters: &mut Waiters<T>, key: u32) {
        if self.young == Some(key) {
            self.young = waiters.next(key, Among::All);
        }
        waiters.unlink(&mut self.all, Among::All, key);
    }

    /// Returns the next waiter that ages, of those that arrived at `time` or before.
    pub(super) fn age<T>(&mut self, waiters: &mut Waiters<T>, time: Nanos) -> Option<u32> {
        let key = self.young.filter(|&key| waiters[key].arrived <= time)?;
        waiters[key].aged = true;
        self.young = waiters.next(key, Among::All);
        Some(key)
    }

    /// When the next that ages arrived.
    pub(super) fn first_young<T>(&self, waiters: &Waiters<T>) -> Option<Nanos> {
        self.young.map(|key| waiters[key].arrived)
    }

    /// Returns the first to arrive.
    pub(super) fn first(&self) -> Option<u32> {
        self.all.head()
    }

    /// Returns the earliest deadline, and its waiter.
    pub(super) fn next_deadline<T>(&mut self, waiters: &Waiters<T>) -> Option<(Nanos, u32)> {
        // No deadline in order comes before the first one's, and every other one is in the heap.
        let first = self.all.head()?;
        while let Some(Reverse(early)) = self.early.peek() {
            if waiters.contains(early.ticket()) {
                let first = &waiters[first];
                if (early.deadline, early.seq) < (first.deadline, first.seq) {
                    return Some((early.deadline, early.key));
                }
                break;
            }
            self.early.pop();
        }
        Some((waiters[first].deadline, first))
    }

    #[cfg(all(test, not(tcl_loom)))]
    pub(super) fn kept_out_of_order(&self) -> usize {
        self.early.len()
    }
}
