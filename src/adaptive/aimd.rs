//! Additive increase, multiplicative decrease.

use std::time::Duration;

use super::{
    AdaptiveLimit, InvalidAdaptiveLimit, Outcome, Sample,
    bounds::{Bounded, Range},
    error::AdaptiveFault,
};

/// Additive increase, multiplicative decrease: the limit rises by a constant while work succeeds,
/// and falls by a share at an overload.
///
/// It has two signals: [`Outcome::Overload`], and a permit held for longer than the
/// [`timeout`](AimdBuilder::timeout). Without either it rises to the ceiling.
///
/// * **Increase**: each success adds [`increase`](AimdBuilder::increase) divided by the limit,
///   which is `increase` units per round; a round is as many permits as the limit. It only does
///   while at least half of the limit is in use: a limit that is not reached has not been tested
///   (the "application-limited" rule of TCP, RFC 7661).
/// * **Decrease**: an overload multiplies the limit by [`backoff`](AimdBuilder::backoff), and
///   lowers it by at least one unit. The permits that are held at that moment were acquired under
///   the old limit and carry the same signal, so the limit does not move until as many units have
///   been released, whatever the outcome. One burst of timeouts is one decrease.
///
/// The limit moves in a sawtooth below the point of overload: with the defaults between 70 % and
/// 100 % of it.
///
/// # Sources
///
/// D. Chiu and R. Jain, "Analysis of the Increase and Decrease Algorithms for Congestion Avoidance
/// in Computer Networks", 1989: of the linear rules this is the one by which users that share a
/// resource converge to use all of it, in equal parts. The Java library
/// [concurrency-limits](https://github.com/Netflix/concurrency-limits) has it as `AIMDLimit`, with
/// steps per permit instead of per round: there one round of successes doubles the limit, and one
/// round of timeouts takes it to the bottom.
///
/// ```
/// use std::time::Duration;
/// use tower_concurrency_limiter::adaptive::{AdaptiveLimit, Aimd, Outcome, Sample};
///
/// let mut limit = Aimd::between(5, 200).start(20).timeout(Duration::from_secs(1)).build();
/// assert_eq!(limit.limit(), 20);
///
/// let slow = Sample::new(Duration::from_secs(2), 20, Outcome::Success);
/// assert_eq!(limit.update(&slow), 14); // 70 % of 20
/// assert_eq!(limit.update(&slow), 14); // acquired before the decrease
/// ```
#[derive(Clone, Debug)]
pub struct Aimd {
    limit: Bounded,
    increase: f64,
    backoff: f64,
    timeout: Option<Duration>,
    /// How many units that were acquired before the last decrease are still held.
    stale: usize,
}

/// Builds an [`Aimd`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `.build()`"]
pub struct AimdBuilder {
    range: Range,
    increase: usize,
    backoff: f64,
    timeout: Option<Duration>,
}

impl Aimd {
    /// Creates a builder of a limit between `floor` and `ceiling`, both inclusive. The
    /// [module](super#floor-and-ceiling) describes how to choose them.
    pub fn between(floor: usize, ceiling: usize) -> AimdBuilder {
        AimdBuilder {
            range: Range {
                floor,
                ceiling,
                start: None,
            },
            increase: 1,
            // That of CUBIC, RFC 9438. A smaller step reaches the next overload sooner.
            backoff: 0.7,
            timeout: None,
        }
    }
}

impl AimdBuilder {
    /// Sets the initial limit, from the floor to the ceiling. Default: the floor.
    pub fn start(mut self, units: usize) -> Self {
        self.range.start = Some(units);
        self
    }

    /// Sets how many units a round of successes adds, 1 or more. Default: 1. Limits in the hundreds
    /// adapt sooner with more.
    pub fn increase(mut self, units: usize) -> Self {
        self.increase = units;
        self
    }

    /// Sets the ratio by which an overload multiplies the limit, above 0 and below 1. Default: 0.7.
    pub fn backoff(mut self, ratio: f64) -> Self {
        self.backoff = ratio;
        self
    }

    /// Sets how long a permit can be held before it counts as overload, even if the work was
    /// [dropped](Outcome::Dropped). [`Outcome::Ignore`] exempts a permit, such as that of a stream.
    /// Default: none; only [`Outcome::Overload`] lowers the limit.
    ///
    /// Choose it well above the slowest request on a quiet day, or slow work counts as overload,
    /// and below the time after which clients give up.
    pub fn timeout(mut self, held: Duration) -> Self {
        self.timeout = Some(held);
        self
    }

    /// Builds the limit.
    ///
    /// # Panics
    ///
    /// If [`try_build`](Self::try_build) returns an error, with its message.
    #[track_caller]
    pub fn build(self) -> Aimd {
        match self.try_build() {
            Ok(limit) => limit,
            Err(error) => panic!("{error}"),
        }
    }

    /// Builds the limit.
    ///
    /// # Errors
    ///
    /// If the floor, the increase or the timeout is 0, the floor is above the ceiling, the start is
    /// not between them, or the backoff is not between 0 and 1.
    pub fn try_build(self) -> Result<Aimd, InvalidAdaptiveLimit> {
        let limit = self.range.check()?;
        if self.increase == 0 {
            return Err(InvalidAdaptiveLimit(AdaptiveFault::ZeroIncrease));
        }
        if !(self.backoff > 0.0 && self.backoff < 1.0) {
            return Err(InvalidAdaptiveLimit(AdaptiveFault::Backoff(self.backoff)));
        }
        if self.timeout == Some(Duration::ZERO) {
            return Err(InvalidAdaptiveLimit(AdaptiveFault::ZeroTimeout));
        }
        Ok(Aimd {
            limit,
            increase: self.increase as f64,
            backoff: self.backoff,
            timeout: self.timeout,
            stale: 0,
        })
    }
}

impl Aimd {
    fn is_late(&self, sample: &Sample) -> bool {
        self.timeout.is_some_and(|timeout| sample.held() > timeout)
    }

    fn raise(&mut self, sample: &Sample) {
        if !self.limit.is_app_limited(sample.in_use()) {
            let estimate = self.limit.estimate();
            let rounds = sample.units() as f64 / estimate;
            self.limit.set(estimate + self.increase * rounds);
        }
    }

    fn lower(&mut self, sample: &Sample) {
        self.stale = self.limit.others(sample);
        let estimate = self.limit.estimate();
        let one_unit_less = estimate.floor() - 1.0;
        self.limit.set(one_unit_less.min(estimate * self.backoff));
    }
}

impl AdaptiveLimit for Aimd {
    fn update(&mut self, sample: &Sample) -> usize {
        if self.stale > 0 {
            self.stale = self.stale.saturating_sub(sample.units());
            return self.limit();
        }
        match sample.outcome() {
            Outcome::Ignore => {}
            Outcome::Overload => self.lower(sample),
            Outcome::Success | Outcome::Dropped if self.is_late(sample) => self.lower(sample),
            Outcome::Success => self.raise(sample),
            Outcome::Dropped => {}
        }
        self.limit()
    }

    fn limit(&self) -> usize {
        self.limit.units()
    }

    fn floor(&self) -> usize {
        self.limit.floor()
    }

    fn ceiling(&self) -> usize {
        self.limit.ceiling()
    }
}
