//! The samples between two steps of a limit.

use super::{Outcome, Sample};

/// The samples since the last step. Counts are in units, so that a wide permit is a larger part.
#[derive(Clone, Debug, Default)]
pub(super) struct Round {
    ended: usize,
    successes: usize,
    overloads: usize,
    /// Dropped after the usual time.
    late: usize,
    /// Of successes and late ones, in unit seconds.
    held: f64,
    peak_in_use: usize,
}

/// A single time counts as at most this many times the usual one, so that one stream that ends does
/// not dominate the average.
const OUTLIER: f64 = 10.0;

impl Round {
    /// Adds a sample. `usual` is the long-term average of the held times, in seconds.
    pub(super) fn add(&mut self, sample: &Sample, usual: Option<f64>) {
        let units = sample.units();
        let held = sample.held().as_secs_f64();
        self.peak_in_use = self.peak_in_use.max(sample.in_use());
        self.ended = self.ended.saturating_add(units);
        match sample.outcome() {
            // A failure is quick. Among the held times it would make the resource seem fast.
            Outcome::Overload => self.overloads = self.overloads.saturating_add(units),
            Outcome::Success => self.successes = self.successes.saturating_add(units),
            // Work that was dropped before the usual time may have been as fast as usual.
            Outcome::Dropped if usual.is_none_or(|usual| held > usual) => {
                self.late = self.late.saturating_add(units);
            }
            Outcome::Dropped | Outcome::Ignore => return,
        }
        if sample.outcome() != Outcome::Overload {
            let counted = usual.map_or(held, |usual| match usual > 0.0 {
                true => held.min(usual * OUTLIER),
                false => held,
            });
            self.held += counted * units as f64;
        }
    }

    /// Units released, whatever the outcome.
    pub(super) fn ended(&self) -> usize {
        self.ended
    }

    /// Units released with an outcome that counts.
    pub(super) fn len(&self) -> usize {
        let sum = self.successes.saturating_add(self.overloads);
        sum.saturating_add(self.late)
    }

    /// The share without overloads, from 0 to 1.
    ///
    /// Work that was dropped late counts only by its time, unless it outnumbers completed work:
    /// then the resource works for clients that have left.
    pub(super) fn success(&self) -> f64 {
        let done = match self.late > self.successes {
            true => self.successes,
            false => self.successes.saturating_add(self.late),
        };
        match self.len() {
            0 => 1.0,
            len => done as f64 / len as f64,
        }
    }

    /// How long a unit was held on average, in seconds. `None` if no work completed: the times of
    /// dropped work alone are only lower bounds.
    pub(super) fn mean_held(&self) -> Option<f64> {
        let timed = self.successes.saturating_add(self.late);
        (self.successes > 0).then(|| self.held / timed as f64)
    }

    /// The most units that were in use at once.
    pub(super) fn peak_in_use(&self) -> usize {
        self.peak_in_use
    }
}
