//! The usage of a resource, shared by all of its handles.

use std::sync::atomic::{AtomicBool, AtomicUsize};

use crate::{
    admission::Usage,
    sync::{AtomicU64, Ordering},
};

/// A [`Usage`] that changes atomically, and the place of its resource in a limiter.
///
/// While no request waits, an acquire and a release are one atomic operation each, on `word`. While
/// requests wait, the contended mark in the word sends new requests to the queue, and makes a
/// release look for a waiter to grant the units to. Mark and count are one word, so a release
/// either sees the mark, or precedes it, and then the waiter that set the mark sees the units.
///
/// # Memory ordering
///
/// `word` is only changed by read-modify-write operations. Each of them continues the release
/// sequences of all releases before it, so an acquire synchronizes with every earlier release of
/// the resource, not only with the latest. The promise on [`Permit`](crate::Permit) rests on this.
pub(crate) struct SharedUsage {
    word: AtomicU64,
    waiting: AtomicUsize,
    /// The units that a dry run has admitted beyond what the word can count. Changes under the
    /// limiter's lock.
    beyond: AtomicUsize,
    /// Whether there is a limit. A resource that has rates alone has the largest limit in its word.
    has_limit: AtomicBool,
    /// The widest valid claim: the highest limit so far, or the floor of an adaptive limit. A wider
    /// claim is a mistake; one above the present limit waits.
    widest: AtomicUsize,
    /// Whether the limit is adaptive, so that its floor bounds the claims.
    is_adaptive: bool,
    /// The index in the limiter's canonical order, plus 1; 0 while unregistered.
    registered: AtomicUsize,
}

impl SharedUsage {
    /// `limit` is `None` for a resource with rates alone, `floor` is that of an adaptive limit.
    pub(super) fn new(limit: Option<u32>, floor: Option<u32>) -> Self {
        let has_limit = limit.is_some();
        let limit = limit.unwrap_or(Usage::MAX_LIMIT);
        Self {
            word: AtomicU64::new(Usage::new(limit).bits()),
            waiting: AtomicUsize::new(0),
            beyond: AtomicUsize::new(0),
            has_limit: AtomicBool::new(has_limit),
            widest: AtomicUsize::new(floor.unwrap_or(limit) as usize),
            is_adaptive: floor.is_some(),
            registered: AtomicUsize::new(0),
        }
    }

    /// The usage at this moment. What was written before each release that it includes is visible.
    pub(crate) fn load(&self) -> Usage {
        // Pairs with the `Release` half of the operations on `word`.
        Usage::from_bits(self.word.load(Ordering::Acquire))
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// The limit, if there is one.
    pub(crate) fn limit(&self) -> Option<u32> {
        // Pairs with the store in `mark_limited`: a reader that sees the flag sees the limit.
        let has_limit = self.has_limit.load(Ordering::Acquire);
        has_limit.then(|| self.load().limit())
    }

    /// The most units that a request may claim.
    pub(crate) fn widest_claim(&self) -> usize {
        self.widest.load(Ordering::Relaxed)
    }

    /// Acquires units if they fit and no request waits.
    #[inline]
    pub(crate) fn try_acquire(&self, units: u32) -> bool {
        let mut seen = self.word.load(Ordering::Relaxed);
        loop {
            let Some(taken) = Usage::from_bits(seen).barging(units) else {
                return false;
            };
            // Acquire: pairs with the `fetch_sub` in `release`.
            match self.word.compare_exchange_weak(
                seen,
                taken.bits(),
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
    }

    /// Releases units. Returns `true` if requests wait; the caller must then look for one to grant.
    #[inline]
    #[must_use]
    pub(crate) fn release(&self, units: u32) -> bool {
        // Release: pairs with the acquires in `try_acquire`, `acquire`, `load` and `set_contended`.
        let before = self.word.fetch_sub(u64::from(units), Ordering::Release);
        debug_assert!(
            Usage::from_bits(before).in_use() >= units,
            "more released than acquired"
        );
        Usage::from_bits(before).is_contended()
    }

    /// Acquires units that the queue has found to fit; the caller holds the queue's lock.
    pub(crate) fn acquire(&self, units: u32) {
        // Acquire: pairs with the `fetch_sub` in `release`.
        self.word.fetch_add(u64::from(units), Ordering::Acquire);
    }

    /// Acquires units, whether or not they fit; the caller holds the limiter's lock.
    pub(crate) fn acquire_dry(&self, units: u32) {
        let counted = units.min(Usage::MAX_LIMIT - self.load().in_use());
        self.acquire(counted);
        let beyond = (units - counted) as usize;
        self.beyond.fetch_add(beyond, Ordering::Relaxed);
    }

    /// Releases what `acquire_dry` has acquired; the caller holds the limiter's lock.
    pub(crate) fn release_dry(&self, units: u32) {
        let beyond = self.beyond.load(Ordering::Relaxed).min(units as usize);
        self.beyond.fetch_sub(beyond, Ordering::Relaxed);
        let _ = self.release(units - beyond as u32);
    }

    /// Whether requests wait. A hint: what follows is decided under the queue's lock.
    #[inline]
    pub(crate) fn is_contended(&self) -> bool {
        Usage::from_bits(self.word.load(Ordering::Relaxed)).is_contended()
    }

    /// Whether more units are in use than the limit allows. A hint, as `is_contended`.
    #[inline]
    pub(crate) fn is_exceeded(&self) -> bool {
        let usage = Usage::from_bits(self.word.load(Ordering::Relaxed));
        usage.in_use() > usage.limit()
    }

    /// Sends requests to the queue.
    pub(crate) fn set_contended(&self) {
        // Acquire: pairs with the `fetch_sub` in `release`, so that the caller sees units released
        // before the mark. Release: a release that sees the mark sees what the caller wrote before
        // it; the queue itself is read under its lock.
        if !self.load().is_contended() {
            self.word.fetch_or(Usage::CONTENDED, Ordering::AcqRel);
        }
    }

    /// Lets requests acquire units without the queue again; the caller holds the queue's lock.
    pub(crate) fn clear_contended(&self) {
        // Release: pairs with the acquire in `try_acquire`, which then sees what was granted
        // before.
        self.word.fetch_and(!Usage::CONTENDED, Ordering::Release);
    }

    /// Sets another limit. Units in use stay in use.
    pub(crate) fn set_limit(&self, limit: u32) {
        if !self.is_adaptive {
            self.widest.fetch_max(limit as usize, Ordering::Relaxed);
        }
        let mut seen = self.word.load(Ordering::Relaxed);
        loop {
            let limited = Usage::from_bits(seen).with_limit(limit).bits();
            // AcqRel: a request that acquires under the new limit sees what its setter wrote
            // before.
            let order = (Ordering::AcqRel, Ordering::Relaxed);
            match (self.word).compare_exchange_weak(seen, limited, order.0, order.1) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }

    /// Marks the limit in the word as one that was set.
    pub(super) fn mark_limited(&self) {
        self.has_limit.store(true, Ordering::Release); // pairs with the load in `limit`
    }

    /// Counts a request that waits elsewhere than in a queue of this process.
    pub(crate) fn add_waiting(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    /// Ends the count of a request that was added.
    pub(crate) fn remove_waiting(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    /// Publishes the length of the queue.
    pub(crate) fn set_waiting(&self, waiters: usize) {
        self.waiting.store(waiters, Ordering::Relaxed);
    }

    /// The index in the limiter's canonical order.
    #[inline]
    pub(crate) fn index(&self) -> Option<u32> {
        match self.registered.load(Ordering::Relaxed) {
            0 => None,
            index => Some(index as u32 - 1),
        }
    }

    /// Sets the index in a limiter's order. Returns `false` if the resource is registered.
    pub(crate) fn register(&self, index: u32) -> bool {
        let index = index as usize + 1;
        // Relaxed: the exchange decides alone which limiter the resource belongs to. What a limiter
        // knows of its resources is reached through the limiter.
        self.registered
            .compare_exchange(0, index, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }

    pub(crate) fn unregister(&self) {
        self.registered.store(0, Ordering::Relaxed);
    }
}
