//! Retry hints that are spread.

use super::Nanos;

/// Parts of a whole that fall far apart, however many there are.
#[derive(Debug, Default)]
pub(crate) struct Scatter(u64);

impl Scatter {
    /// Less than `width`, another part of it each time.
    pub(crate) fn part_of(&mut self, width: Nanos) -> Nanos {
        // Multiples of the golden ratio, modulo 1, fall far apart (Knuth, TAOCP 6.4).
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let part = u128::from(self.0 >> 32);
        ((u128::from(width) * part) >> 32) as Nanos
    }
}

/// When requests that a rate refuses should retry.
#[derive(Debug, Default)]
pub struct Slots {
    /// Until then the rate is used up by the retries that were asked for.
    taken_until: Nanos,
    scatter: Scatter,
}

/// The least time over which retries are spread, if there are enough of them: a header has whole
/// seconds.
const SPREAD: Nanos = 10_000_000_000;

impl Slots {
    /// A time at or after `ready`, at which the rate allows the next request if no other comes back
    /// before; it allows one in each `interval`.
    ///
    /// The first is asked to come back at `ready`. Each one more widens, by an interval, the time
    /// over which they are spread: until it is as long as the time until `ready`, or 10 s if that
    /// is longer.
    pub fn next(&mut self, now: Nanos, ready: Nanos, interval: Nanos) -> Nanos {
        let most = ready.saturating_sub(now).max(SPREAD);
        let taken = self.taken_until.saturating_sub(ready).min(most);
        self.taken_until = ready.saturating_add(taken).saturating_add(interval);
        let later = self.scatter.part_of(taken);
        ready.saturating_add(later)
    }
}
