//! The measurement of one permit.

use std::time::Duration;

/// The measurement of one permit that has ended.
///
/// ```
/// use std::time::Duration;
/// use tower_concurrency_limiter::adaptive::{Outcome, Sample};
///
/// let sample = Sample::new(Duration::from_millis(20), 7, Outcome::Success);
/// assert_eq!(sample.in_use(), 7);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    held: Duration,
    in_use: usize,
    units: usize,
    outcome: Outcome,
}

impl Sample {
    /// Creates the sample of a permit of one unit that was held for `held`. `in_use` units were in
    /// use when it ended, including its own.
    pub fn new(held: Duration, in_use: usize, outcome: Outcome) -> Self {
        Self {
            held,
            in_use,
            units: 1,
            outcome,
        }
    }

    /// Sets the number of units of the permit. Default: 1.
    #[must_use = "returns the changed sample"]
    pub fn with_units(self, units: usize) -> Self {
        Self {
            units: units.max(1),
            ..self
        }
    }

    /// Returns how long the permit was held, without the time in the queue before.
    pub fn held(&self) -> Duration {
        self.held
    }

    /// Returns how many units of the resource were in use when the permit ended, including its own,
    /// without [lasting work](super#lasting-work).
    pub fn in_use(&self) -> usize {
        self.in_use
    }

    /// Returns how many units of the resource the permit held. A round has as many units as the
    /// limit, so a wide permit is a larger part of it.
    pub fn units(&self) -> usize {
        self.units
    }

    /// Returns how the work ended.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }
}

/// How the work under a permit ended, as a signal about the resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// The resource did its work, in the time for which the permit was held.
    #[default]
    Success,
    /// The resource was overloaded: a timeout, a 503, a 429, a refused connection.
    Overload,
    /// No signal, however long the work took: a cache hit, a validation error, a stream.
    Ignore,
    /// The work was dropped before it completed, by a client that left or a timeout outside of the
    /// limiter. The held time is a lower bound of the time that it would have taken.
    Dropped,
}
