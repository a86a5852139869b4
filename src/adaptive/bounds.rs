//! The range of a limit, and its initial value.

use super::{InvalidAdaptiveLimit, Sample, error::AdaptiveFault};

/// A range that was not validated yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    pub(super) floor: usize,
    pub(super) ceiling: usize,
    pub(super) start: Option<usize>,
}

impl Range {
    pub(super) fn check(self) -> Result<Bounded, InvalidAdaptiveLimit> {
        let Self { floor, ceiling, .. } = self;
        if floor == 0 {
            return Err(InvalidAdaptiveLimit(AdaptiveFault::ZeroFloor));
        }
        if floor > ceiling {
            return Err(InvalidAdaptiveLimit(AdaptiveFault::FloorAboveCeiling {
                floor,
                ceiling,
            }));
        }
        let start = self.start.unwrap_or(floor);
        if !(floor..=ceiling).contains(&start) {
            return Err(InvalidAdaptiveLimit(AdaptiveFault::Start {
                start,
                floor,
                ceiling,
            }));
        }
        Ok(Bounded {
            floor,
            ceiling,
            estimate: start as f64,
        })
    }
}

/// A limit that is clamped to its range.
///
/// It is stored with its fraction, so that steps of less than a unit add up.
#[derive(Clone, Debug)]
pub(super) struct Bounded {
    floor: usize,
    ceiling: usize,
    estimate: f64,
}

impl Bounded {
    pub(super) fn estimate(&self) -> f64 {
        self.estimate
    }

    pub(super) fn set(&mut self, estimate: f64) {
        self.estimate = estimate.clamp(self.floor as f64, self.ceiling as f64);
    }

    /// Whole units.
    pub(super) fn units(&self) -> usize {
        self.within(self.estimate)
    }

    /// The nearest value of the range in whole units, rounded down.
    pub(super) fn within(&self, estimate: f64) -> usize {
        // After the cast, because an `f64` rounds a bound above 2^53.
        (estimate as usize).clamp(self.floor, self.ceiling)
    }

    /// Whether so few units are in use that the limit does not bound the traffic.
    pub(super) fn is_app_limited(&self, in_use: usize) -> bool {
        in_use < self.units().div_ceil(2)
    }

    /// How many other units are in use when a permit ends. Their work began under the present
    /// limit.
    ///
    /// Clamped to the ceiling, so that the limit moves again after an impossible sample.
    pub(super) fn others(&self, sample: &Sample) -> usize {
        let others = sample.in_use().saturating_sub(sample.units());
        others.min(self.ceiling)
    }

    pub(super) fn floor(&self) -> usize {
        self.floor
    }

    pub(super) fn ceiling(&self) -> usize {
        self.ceiling
    }
}
