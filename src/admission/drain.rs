//! How fast a queue drains.

use super::{Nanos, scatter::Scatter};

/// The latest grants of one queue, and the time that they took.
///
/// Only the time in which the queue is not empty counts, so that short busy stretches with pauses
/// between them add up. What no grant has confirmed for `FRESH` is dropped: a resource that was
/// slow an hour ago may be fast by now.
#[derive(Clone, Copy, Debug)]
pub struct Drain {
    /// When the next grant became the next: at the last one, or when the queue began to fill.
    since: Nanos,
    /// When the last grant was.
    latest: Nanos,
    /// Since when `recent` is counted.
    opened: Nanos,
    recent: Pace,
    /// What was `recent` before that.
    before: Pace,
}

/// So many grants in this time.
#[derive(Clone, Copy, Debug, Default)]
struct Pace {
    grants: u64,
    busy: Nanos,
}

/// So long an estimate lasts without being confirmed.
const FRESH: Nanos = 5_000_000_000;

/// Fewer grants may be those of a few odd requests.
const ENOUGH: u64 = 8;

/// What took less time may be a part of one round of the holders: see `rounds`.
const STRETCH: Nanos = 1_000_000_000;

/// Not yet.
const NEVER: Nanos = Nanos::MAX;

/// After so many grants, all holders at the time of the first one have released the resource, and
/// so have the holders after them. If they all release at once, fewer grants may have taken no time
/// at all.
fn rounds(limit: u32) -> u64 {
    ENOUGH.max(2 * u64::from(limit))
}

/// Whether a pace measured under one limit does not apply to another.
pub(super) fn is_other_pace(before: u32, limit: u32) -> bool {
    limit == 0 || before == 0 || limit > before.saturating_add(before / 4)
}

impl Drain {
    pub(super) const UNKNOWN: Self = Self {
        since: NEVER,
        latest: 0,
        opened: 0,
        recent: Pace::NONE,
        before: Pace::NONE,
    };

    /// The queue was empty until now.
    pub(super) fn start(&mut self, now: Nanos) {
        if now.saturating_sub(self.latest) > FRESH {
            *self = Self::UNKNOWN;
            self.opened = now;
        }
        // What follows may be of a resource that has become faster in the pause: it is not mixed
        // with what was slow.
        if self.recent.busy >= STRETCH {
            let before = self.before.bounded().and(self.recent);
            self.turn(now);
            self.before = before;
        }
        self.since = now;
    }

    /// The resource has changed: neither the measured pace nor the wait for the next grant applies
    /// to it.
    pub(super) fn forget(&mut self) {
        *self = Self::UNKNOWN;
    }

    /// Whether a grant was counted here after the last one there.
    pub(super) fn is_later_than(&self, other: &Self) -> bool {
        self.latest > other.latest
    }

    /// Whether nothing is known that would be worth remembering.
    pub(super) fn is_unknown(&self) -> bool {
        self.recent.grants == 0 && self.before.grants == 0
    }

    /// Counts the grant of a waiter, `busy` after it became the next one as far as another queue
    /// knows. Returns after how long it was granted here.
    pub(super) fn count(&mut self, now: Nanos, busy: Nanos) -> Nanos {
        let busy = busy.min(now.saturating_sub(self.since));
        (self.since, self.latest) = (now, now);
        self.recent.grants += 1;
        self.recent.busy = self.recent.busy.saturating_add(busy);
        let is_full = self.recent.grants >= ENOUGH
            && (self.recent.busy >= STRETCH || now.saturating_sub(self.opened) >= FRESH);
        if is_full {
            self.turn(now);
        }
        busy
    }

    fn turn(&mut self, now: Nanos) {
        self.before = self.recent;
        self.recent = Pace::NONE;
        self.opened = now;
    }

    /// How long so many grants take at the least; `None` while that is unknown. `limit` is that of
    /// the resource; there are waiters.
    pub(super) fn time_for(&self, grants: usize, limit: u32, now: Nanos) -> Option<Nanos> {
        let pace = self.pace(limit, now, true)?;
        (pace.grants >= ENOUGH).then(|| pace.time_for(grants))
    }

    /// After what time to retry, once the present waiters are granted: that time plus up to a
    /// fifth, so that retries are spread, and at most 30 s.
    pub(super) fn hint(
        &self,
        waiting: usize,
        limit: u32,
        now: Nanos,
        scatter: &mut Scatter,
    ) -> Option<Nanos> {
        const LONGEST: Nanos = 25_000_000_000;
        let pace = self.pace(limit, now, waiting > 0)?;
        let time = pace.time_for(waiting.max(1)).min(LONGEST);
        Some(time + scatter.part_of(time / 5))
    }

    fn pace(&self, limit: u32, now: Nanos, is_waiting: bool) -> Option<Pace> {
        let all = self.before.and(self.recent);
        if all.grants == 0 || all.busy < STRETCH && all.grants < rounds(limit) {
            return None;
        }
        // While the queue has not been empty since, the next grant may take its time.
        let lasts = match is_waiting && self.since == self.latest {
            true => FRESH.max(all.time_for(2)),
            false => FRESH,
        };
        if now.saturating_sub(self.latest) > lasts {
            return None;
        }
        // Where a slow resource has become fast again, that counts at once; and before it is known
        // how fast, it is known that it is not slow.
        let Self { recent, before, .. } = *self;
        if recent.grants >= rounds(limit) && recent.is_faster_than(all, 1) {
            return Some(recent);
        }
        let is_outdated =
            recent.grants >= u64::from(limit).max(2) && recent.is_faster_than(before, 4);
        (!is_outdated).then_some(all)
    }
}

impl Pace {
    const NONE: Self = Self { grants: 0, busy: 0 };

    /// The same with half the weight, if that is much.
    fn bounded(self) -> Self {
        match self.grants > 2 * ENOUGH {
            true => Self {
                grants: self.grants / 2,
                busy: self.busy / 2,
            },
            false => self,
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            grants: self.grants + other.grants,
            busy: self.busy.saturating_add(other.busy),
        }
    }

    fn time_for(self, grants: usize) -> Nanos {
        let time = grants as u128 * u128::from(self.busy) / u128::from(self.grants);
        Nanos::try_from(time).unwrap_or(Nanos::MAX)
    }

    /// Whether it is more than so many times as fast.
    fn is_faster_than(self, other: Self, times: u64) -> bool {
        u128::from(self.busy) * u128::from(other.grants) * u128::from(times)
            < u128::from(other.busy) * u128::from(self.grants)
    }
}
