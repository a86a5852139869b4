//! First in, first out: the queue of a resource at which waiters differ in nothing but their units
//! and deadlines.
//!
//! [`Queue`](super::Queue) orders sets, lanes and priorities. Where every waiter claims the same
//! resource alone, with default attributes, and the resource has a limit and nothing else, its
//! rules come down to the order of arrival, and this is all it takes. A property test drives both.
//!
//! Entries have ascending numbers. A waiter needs no more than its own number to find out whether
//! it was decided: every number below [`head`](Fifo::head) is.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
};

use super::{
    Nanos, Usage,
    drain::{Drain, is_other_pace},
    scatter::Scatter,
};

/// Waiters for units of one resource, in order of arrival.
#[derive(Debug)]
pub struct Fifo<T> {
    /// In order of their numbers. The first is never a gap.
    entries: VecDeque<FifoEntry<T>>,
    /// How many entries are not gaps.
    len: usize,
    next: u64,
    /// The most units that an entry has claimed since the queue was empty.
    widest: u32,
    /// The latest deadline since the queue was empty.
    latest: Nanos,
    /// Deadlines before that of an earlier entry, with their numbers.
    early: BinaryHeap<Reverse<(Nanos, u64)>>,
    drain: Drain,
    scatter: Scatter,
}

/// One waiter.
#[derive(Debug)]
pub struct FifoEntry<T> {
    pub number: u64,
    pub arrived: Nanos,
    pub deadline: Nanos,
    pub units: u32,
    /// The caller's, by which it finds the deadlines of some waiters.
    pub group: u32,
    /// `None` after the waiter was cancelled: a gap.
    pub payload: Option<T>,
}

/// A waiter that left the queue.
#[derive(Debug, PartialEq, Eq)]
pub enum Decision<T> {
    /// The caller takes the units.
    Granted {
        payload: T,
        units: u32,
    },
    TimedOut {
        number: u64,
        payload: T,
    },
}

/// Compaction costs a pass over all entries: with at most this many gaps, and no more than two for
/// each waiter, it is put off.
const GAPS: usize = 64;

/// An empty queue gives the memory of more entries than this back to the allocator.
const SPARE: usize = 4_096;

impl<T> Default for Fifo<T> {
    fn default() -> Self {
        Self {
            entries: VecDeque::new(),
            len: 0,
            next: 0,
            widest: 0,
            latest: 0,
            early: BinaryHeap::new(),
            drain: Drain::UNKNOWN,
            scatter: Scatter::default(),
        }
    }
}

impl<T> Fifo<T> {
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Every lower number is decided.
    #[inline]
    pub fn head(&self) -> u64 {
        self.entries.front().map_or(self.next, |first| first.number)
    }

    /// The most units that a waiter may claim.
    pub fn widest(&self) -> u32 {
        self.widest
    }

    /// Appends a waiter that arrives now; returns its number.
    #[inline]
    pub fn push(&mut self, now: Nanos, deadline: Nanos, units: u32, group: u32, payload: T) -> u64 {
        if self.len == 0 {
            self.drain.start(now);
        }
        let number = self.next;
        self.next += 1;
        self.len += 1;
        self.widest = self.widest.max(units);
        if deadline >= self.latest {
            self.latest = deadline;
        } else {
            self.push_early(deadline, number);
        }
        self.entries.push_back(FifoEntry {
            number,
            arrived: now,
            deadline,
            units,
            group,
            payload: Some(payload),
        });
        number
    }

    /// Grants the units of a release to the first waiter if it claims just as many, so that the
    /// usage of the resource does not change.
    #[inline]
    pub fn hand_over(&mut self, now: Nanos, units: u32) -> Option<T> {
        let first = self.entries.front()?;
        if first.units != units || first.deadline < now {
            return None;
        }
        self.drain.count(now, Nanos::MAX);
        self.pop()
    }

    /// Decides the first waiter: grants its units if they fit, or times it out if its deadline has
    /// passed.
    pub fn next_decision(&mut self, now: Nanos, usage: Usage) -> Option<Decision<T>> {
        let &FifoEntry {
            number,
            units,
            deadline,
            ..
        } = self.entries.front()?;
        if deadline < now {
            let payload = self.pop()?;
            return Some(Decision::TimedOut { number, payload });
        }
        if !usage.fits(units) {
            return None;
        }
        self.drain.count(now, Nanos::MAX);
        let payload = self.pop()?;
        Some(Decision::Granted { payload, units })
    }

    /// Times out a waiter at its deadline.
    pub fn next_expired(&mut self, now: Nanos) -> Option<Decision<T>> {
        let first = self.entries.front()?;
        if first.deadline <= now {
            let number = first.number;
            let payload = self.pop()?;
            return Some(Decision::TimedOut { number, payload });
        }
        let number = self.early_deadline().filter(|&(at, _)| at <= now)?.1;
        let payload = self.cancel(number)?;
        Some(Decision::TimedOut { number, payload })
    }

    /// Whether the deadline of a waiter has come.
    pub fn is_due(&mut self, now: Nanos) -> bool {
        self.next_deadline().is_some_and(|at| at <= now)
    }

    /// The earliest deadline.
    pub fn next_deadline(&mut self) -> Option<Nanos> {
        // No deadline in order comes before the first one's, and every other one is in the heap.
        let first = self.entries.front()?.deadline;
        let early = self.early_deadline().map_or(first, |(at, _)| at);
        Some(first.min(early))
    }

    /// The earliest deadline in a group.
    pub fn next_deadline_of(&self, group: u32) -> Option<Nanos> {
        let waiting = self.entries.iter().filter(|entry| entry.payload.is_some());
        let group = waiting.filter(|entry| entry.group == group);
        group.map(|entry| entry.deadline).min()
    }

    #[cold]
    fn push_early(&mut self, deadline: Nanos, number: u64) {
        if self.early.len() > GAPS + 2 * self.len {
            self.sweep();
        }
        self.early.push(Reverse((deadline, number)));
    }

    /// Forgets the early deadlines of waiters that have left.
    fn sweep(&mut self) {
        let mut early = std::mem::take(&mut self.early);
        early.retain(|&Reverse((_, number))| self.get(number).is_some());
        self.early = early;
    }

    fn early_deadline(&mut self) -> Option<(Nanos, u64)> {
        while let Some(&Reverse((deadline, number))) = self.early.peek() {
            if self.get(number).is_some() {
                return Some((deadline, number));
            }
            self.early.pop();
        }
        None
    }

    /// Takes a waiter out; `None` if it was decided.
    pub fn cancel(&mut self, number: u64) -> Option<T> {
        let position = self.position(number)?;
        let payload = self.entries[position].payload.take()?;
        self.len -= 1;
        if self.entries.len() > GAPS + 2 * self.len {
            self.entries.retain(|entry| entry.payload.is_some());
            self.sweep();
        }
        self.trim();
        Some(payload)
    }

    /// The waiter under this number; `None` if it was decided or cancelled.
    pub fn get(&self, number: u64) -> Option<&FifoEntry<T>> {
        let entry = &self.entries[self.position(number)?];
        entry.payload.is_some().then_some(entry)
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, number: u64) -> Option<&mut FifoEntry<T>> {
        let position = self.position(number)?;
        let entry = &mut self.entries[position];
        entry.payload.is_some().then_some(entry)
    }

    /// All waiters, in order of arrival.
    pub fn iter(&self) -> impl Iterator<Item = &FifoEntry<T>> {
        self.entries.iter().filter(|entry| entry.payload.is_some())
    }

    /// Takes all waiters out, in order of arrival.
    pub fn take_all(&mut self) -> impl Iterator<Item = FifoEntry<T>> + use<T> {
        self.len = 0;
        let entries = std::mem::take(&mut self.entries);
        self.reset();
        entries.into_iter().filter(|entry| entry.payload.is_some())
    }

    /// Puts the deadlines of some groups off.
    pub fn postpone(&mut self, by: Nanos, stands_still: impl Fn(u32) -> bool) {
        self.early.clear();
        self.latest = 0;
        for entry in &mut self.entries {
            if stands_still(entry.group) {
                entry.deadline = entry.deadline.saturating_add(by);
            }
            match entry.deadline >= self.latest {
                true => self.latest = entry.deadline,
                false => self.early.push(Reverse((entry.deadline, entry.number))),
            }
        }
    }

    /// When a request that was refused should come back: once the queue has drained, at the pace at
    /// which it does. `None` while the pace is unknown.
    pub fn retry_after(&mut self, limit: u32, now: Nanos) -> Option<Nanos> {
        self.drain.hint(self.len, limit, now, &mut self.scatter)
    }

    /// The pace at which the queue drains.
    pub(super) fn drain(&self) -> Drain {
        self.drain
    }

    /// Goes on at the pace of a queue that served the resource before.
    pub fn adopt_pace(&mut self, pace: Drain) {
        if pace.is_later_than(&self.drain) {
            self.drain = pace;
        }
    }

    /// The limit of the resource was changed.
    pub fn limit_changed(&mut self, before: u32, limit: u32) {
        if is_other_pace(before, limit) {
            self.drain.forget();
        }
    }

    /// How many entries there are, gaps included.
    #[cfg(all(test, not(tcl_loom)))]
    pub(super) fn entries(&self) -> usize {
        self.entries.len()
    }

    fn pop(&mut self) -> Option<T> {
        let first = self.entries.pop_front()?;
        self.len -= 1;
        self.trim();
        first.payload
    }

    /// Drops the gaps in front.
    #[inline]
    fn trim(&mut self) {
        while self.entries.front().is_some_and(|e| e.payload.is_none()) {
            self.entries.pop_front();
        }
        if self.len == 0 {
            self.reset();
        }
    }

    fn reset(&mut self) {
        self.entries.clear();
        if self.entries.capacity() > SPARE {
            self.entries = VecDeque::new();
        }
        self.early.clear();
        (self.widest, self.latest) = (0, 0);
    }

    fn position(&self, number: u64) -> Option<usize> {
        let guess = number.checked_sub(self.entries.front()?.number)? as usize;
        match self.entries.get(guess) {
            // Without gaps that were compacted, numbers and positions run in step.
            Some(entry) if entry.number == number => Some(guess),
            _ => self
                .entries
                .binary_search_by_key(&number, |e| e.number)
                .ok(),
        }
    }
}
