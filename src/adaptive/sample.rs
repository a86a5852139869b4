//! What one finished permit tells.

use std::time::Duration;

/// What one finished permit tells about its resource.
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
    /// A permit of one unit that was held for `held`, while `in_use` units were in use when it
    /// ended, its own included.
    pub fn new(held: Duration, in_use: usize, outcome: Outcome) -> Self {
        Self {
            held,
            in_use,
            units: 1,
            outcome,
        }
    }

    /// The same permit with `units` units.
    #[must_use = "returns the changed sample"]
    pub fn with_units(self, units: usize) -> Self {
        Self {
            units: units.max(1),
            ..self
        }
    }

    /// How long the permit was held. The time in the queue before it is not part of it.
    pub fn held(&self) -> Duration {
        self.held
    }

    /// How many units of the resource were in use when the permit ended, its own included, and
    /// without [lasting work](super#lasting-work).
    pub fn in_use(&self) -> usize {
        self.in_use
    }

    /// How many units of the resource the permit held. A round has as many units as the limit, so a
    /// wide permit is a larger part of it.
    pub fn units(&self) -> usize {
        self.units
    }

    /// How the work ended.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }
}

/// How the work under a permit ended, as far as it says something about the resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// The resource did its work, in the time the permit was held.
    #[default]
    Success,
    /// The resource said that it has too much to do: a timeout, a 503, a 429, a refused connection.
    Overload,
    /// Nothing about the resource, however long it took: a cache hit, a validation error, a stream.
    Ignore,
    /// The work was dropped before it was done, by a client that left or a timeout outside the
    /// limiter. The time it was held is a lower bound of the time it would have taken.
    Dropped,
}
