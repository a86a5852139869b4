//! How fast a queue drains.

use super::Nanos;

/// The grants of one queue, counted over stretches of a second or more.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Drain {
    since: Nanos,
    grants: u64,
    /// The last whole stretch.
    last: Option<Pace>,
    hints: u64,
}

/// So many grants in this time.
#[derive(Clone, Copy, Debug)]
struct Pace {
    grants: u64,
    time: Nanos,
}

/// Shorter ones say little.
const STRETCH: Nanos = 1_000_000_000;

impl Drain {
    /// The queue was empty until now.
    pub(super) fn start(&mut self, now: Nanos) {
        self.since = now;
        self.grants = 0;
    }

    /// One of those who waited was granted its set.
    pub(super) fn count(&mut self, now: Nanos) {
        self.grants += 1;
        if let Some(time) = self.stretch(now) {
            let grants = self.grants;
            self.last = Some(Pace { grants, time });
            self.start(now);
        }
    }

    fn stretch(&self, now: Nanos) -> Option<Nanos> {
        let time = now.saturating_sub(self.since);
        (time >= STRETCH).then_some(time)
    }

    /// How long so many grants take; `None` while that is unknown.
    pub(super) fn time_for(&self, grants: usize, now: Nanos) -> Option<Nanos> {
        let present = self.stretch(now).map(|time| Pace {
            grants: self.grants,
            time,
        });
        let pace = present.or(self.last).filter(|pace| pace.grants > 0)?;
        let time = grants as u128 * u128::from(pace.time) / u128::from(pace.grants);
        Some(Nanos::try_from(time).unwrap_or(Nanos::MAX))
    }

    /// When to come back, once that many were granted: up to a tenth before or after, so that not all come
    /// back at once, and within 30 s.
    pub(super) fn hint(&mut self, grants: usize, now: Nanos) -> Option<Nanos> {
        const LONGEST: Nanos = 27_000_000_000;
        let time = self.time_for(grants, now)?.min(LONGEST);
        // Multiples of the golden ratio, modulo 1, fall far apart (Knuth, TAOCP 6.4).
        self.hints = self.hints.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let part = u128::from(self.hints >> 32);
        let later = (u128::from(time / 5) * part) >> 32;
        Some(time - time / 10 + later as Nanos)
    }
}
