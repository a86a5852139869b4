//! The samples between two steps of a limit.

use super::{Outcome, Sample};

/// The samples since the last step.
#[derive(Clone, Debug, Default)]
pub(super) struct Round {
    successes: usize,
    overloads: usize,
    /// Of the successes, in seconds.
    held: f64,
    peak_in_use: usize,
}

impl Round {
    pub(super) fn add(&mut self, sample: &Sample) {
        self.peak_in_use = self.peak_in_use.max(sample.in_use());
        if sample.outcome() == Outcome::Overload {
            // A refusal is quick. Among the held times it would pass for a fast resource.
            self.overloads += 1;
        } else {
            self.successes += 1;
            self.held += sample.held().as_secs_f64();
        }
    }

    pub(super) fn len(&self) -> usize {
        self.successes + self.overloads
    }

    /// The share of the successes, from 0 to 1.
    pub(super) fn success(&self) -> f64 {
        self.successes as f64 / self.len() as f64
    }

    /// How long the successes were held on average, in seconds.
    pub(super) fn mean_held(&self) -> Option<f64> {
        (self.successes > 0).then(|| self.held / self.successes as f64)
    }

    /// The most units that were in use at once.
    pub(super) fn peak_in_use(&self) -> usize {
        self.peak_in_use
    }
}
