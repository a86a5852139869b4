//! The usage of a resource, shared by everybody who uses it.

use std::sync::atomic::{AtomicBool, AtomicUsize};

use crate::{
    admission::Usage,
    sync::{AtomicU64, Ordering},
};

/// A [`Usage`] that changes atomically, and the place of its resource in a limiter.
///
/// While nobody waits, units are taken and returned here, by one atomic operation each. While
/// somebody does, the mark in the word sends takers to the queue and tells those who return units to
/// look whom they can be granted to. As mark and count are one word, whoever returns units either
/// sees the mark, or returned them before it was set, and then the one who set it sees the units.
pub(crate) struct SharedUsage {
    word: AtomicU64,
    waiting: AtomicUsize,
    /// What a dry run has let in beyond what the word can count. Changes under the limiter's lock.
    beyond: AtomicUsize,
    /// Whether there is a limit: a resource may have rates alone, and then the word has the largest one.
    has_limit: AtomicBool,
    /// The widest claim: the highest limit there was, or the floor of an adaptive one. A claim above it is
    /// a mistake; one above the present limit waits.
    widest: AtomicUsize,
    /// Whether the limit moves by itself, and its floor bounds the claims.
    is_adaptive: bool,
    /// The index in the limiter's canonical order, plus 1; 0 while unregistered.
    registered: AtomicUsize,
}

impl SharedUsage {
    /// `None` for a resource without a limit; with the floor of an adaptive one.
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

    pub(crate) fn load(&self) -> Usage {
        Usage::from_bits(self.word.load(Ordering::Acquire))
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// The limit, if there is one.
    pub(crate) fn limit(&self) -> Option<u32> {
        // Pairs with the store in `limited`: a reader that sees the mark sees the limit in the word.
        let has_limit = self.has_limit.load(Ordering::Acquire);
        has_limit.then(|| self.load().limit())
    }

    /// How many units a request may claim.
    pub(crate) fn widest_claim(&self) -> usize {
        self.widest.load(Ordering::Relaxed)
    }

    /// Takes units if they fit and nobody waits.
    #[inline]
    pub(crate) fn try_acquire(&self, units: u32) -> bool {
        let mut seen = self.word.load(Ordering::Relaxed);
        loop {
            let Some(taken) = Usage::from_bits(seen).barging(units) else {
                return false;
            };
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

    /// Returns units; `true` if somebody waits, who must then be looked after.
    #[inline]
    #[must_use]
    pub(crate) fn release(&self, units: u32) -> bool {
        let before = self.word.fetch_sub(u64::from(units), Ordering::Release);
        debug_assert!(
            Usage::from_bits(before).in_use() >= units,
            "more returned than taken"
        );
        Usage::from_bits(before).is_contended()
    }

    /// Takes units that the queue has found to fit.
    pub(crate) fn acquire(&self, units: u32) {
        self.word.fetch_add(u64::from(units), Ordering::Acquire);
    }

    /// Takes units, whether or not they fit; the caller holds the limiter's lock.
    pub(crate) fn acquire_dry(&self, units: u32) {
        let counted = units.min(Usage::MAX_LIMIT - self.load().in_use());
        self.acquire(counted);
        let beyond = (units - counted) as usize;
        self.beyond.fetch_add(beyond, Ordering::Relaxed);
    }

    /// Returns them; the caller holds the limiter's lock.
    pub(crate) fn release_dry(&self, units: u32) {
        let beyond = self.beyond.load(Ordering::Relaxed).min(units as usize);
        self.beyond.fetch_sub(beyond, Ordering::Relaxed);
        let _ = self.release(units - beyond as u32);
    }

    /// Whether requests wait.
    #[inline]
    pub(crate) fn is_contended(&self) -> bool {
        Usage::from_bits(self.word.load(Ordering::Relaxed)).is_contended()
    }

    /// Whether more is in use than the limit allows.
    #[inline]
    pub(crate) fn is_exceeded(&self) -> bool {
        let usage = Usage::from_bits(self.word.load(Ordering::Relaxed));
        usage.in_use() > usage.limit()
    }

    /// Sends takers to the queue.
    pub(crate) fn set_contended(&self) {
        if !self.load().is_contended() {
            self.word.fetch_or(Usage::CONTENDED, Ordering::AcqRel);
        }
    }

    /// Lets takers in again.
    pub(crate) fn clear_contended(&self) {
        self.word.fetch_and(!Usage::CONTENDED, Ordering::Release);
    }

    /// Sets another limit; what is in use stays in use.
    pub(crate) fn set_limit(&self, limit: u32) {
        if !self.is_adaptive {
            self.widest.fetch_max(limit as usize, Ordering::Relaxed);
        }
        let mut seen = self.word.load(Ordering::Relaxed);
        loop {
            let limited = Usage::from_bits(seen).with_limit(limit).bits();
            let order = (Ordering::AcqRel, Ordering::Relaxed);
            match (self.word).compare_exchange_weak(seen, limited, order.0, order.1) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }

    /// What the word has as the limit is one from now on.
    pub(super) fn limited(&self) {
        self.has_limit.store(true, Ordering::Release); // pairs with the load in `limit`
    }

    /// One more waits, elsewhere than in the queue of this process.
    pub(crate) fn wait(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    /// It does not any more.
    pub(crate) fn wait_no_more(&self) {
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

    /// Gives the resource its place in a limiter; `false` if it has one.
    pub(crate) fn register(&self, index: u32) -> bool {
        let index = index as usize + 1;
        self.registered
            .compare_exchange(0, index, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }

    pub(crate) fn unregister(&self) {
        self.registered.store(0, Ordering::Relaxed);
    }
}
