//! The limit from the gradient of the held times.

use std::{mem, time::Duration};

use super::{
    AdaptiveLimit, InvalidAdaptiveLimit, Sample,
    bounds::{Bounded, Range},
    error::AdaptiveFault,
    round::Round,
};

/// A limit that falls while permits are held for longer than usual, and rises otherwise.
///
/// It needs neither a timeout nor a signal from the resource. It moves once per round, which is as
/// many permits as the limit and at least 10, and compares two averages of the held times: `short`,
/// that of the round, and `long`, over [`long_window`](Gradient2Builder::long_window) rounds.
///
/// ```text
/// gradient = clamp(tolerance * long / short, 0.5, 1)
/// target   = limit * gradient + queue_size
/// limit    = limit * (1 - smoothing) + target * smoothing
/// ```
///
/// If a resource serves `c` units at once and queues the rest, the limit settles near
/// `tolerance * c + queue_size`: enough to use all of it, with a queue that it serves in half a
/// held time.
///
/// * If `long` is more than twice `short`, the load is over, and `long` is lowered by 5 % per
///   round, ahead of its average.
/// * The times of a round in which less than half of the limit was in use count for `long` and do
///   not move the limit: a limit that is not reached does not make the resource slow or fast (the
///   "application-limited" rule of TCP, RFC 7661).
/// * Overloads lower the limit by their share of the round: with the share `p` of successes, the
///   gradient becomes `max(gradient * p, 0.5)` and the queue `queue_size * p`. The held times of
///   overloads are not averaged, as quick failures would make the resource seem fast.
/// * The time of work that was [dropped](super::Outcome::Dropped) is a lower bound. It is averaged
///   if it is above `long`; below, the work may have been as fast as usual. In a round in which
///   more was dropped above `long` than completed, dropped work counts as overload: the resource
///   works for clients that have left.
/// * A single time counts as at most 10 times `long`.
///
/// # Probes
///
/// Under a lasting load, `long` approaches the slow times, and `short` is no longer slow relative
/// to it: by the formula alone the limit doubles every few hundred rounds, up to the ceiling. So
/// ten times in a long window of rounds at the limit, the limit drops to `limit / (2 * tolerance)`
/// until as many units as were in use have been released, and for one more round, both whatever the
/// outcomes. The average of that round becomes `long`. If the resource was overloaded, it is less
/// so now, the limit falls by half or until it fits, and the next probe follows soon. If the work
/// itself has become slower, the probe measures that, and the limit rises again. Under a lasting
/// load, probes cost about 1 % of the throughput. A probe is ended if no permit ends during it
/// while requests wait; see [lasting work](super#lasting-work).
///
/// # Sources
///
/// `Gradient2Limit` of Netflix's Java library
/// [concurrency-limits](https://github.com/Netflix/concurrency-limits): the formula, the drift, the
/// defaults. It is derived from TCP Vegas (L. Brakmo and L. Peterson, 1995), which first estimated
/// a queue from the times instead of from losses. There a round is a second, and overloads do not
/// count. Its predecessor `GradientLimit` and Envoy's adaptive concurrency filter have probes.
///
/// ```
/// use std::time::Duration;
/// use tower_concurrency_limiter::adaptive::{AdaptiveLimit, Gradient2, Outcome, Sample};
///
/// let mut limit = Gradient2::between(5, 200).start(20).build();
///
/// for _ in 0..200 {
///     let in_use = limit.limit();
///     limit.update(&Sample::new(Duration::from_millis(10), in_use, Outcome::Success));
/// }
/// assert_eq!(limit.limit(), 26); // not slower at a higher limit: up by 0.8 per round
/// ```
#[derive(Clone, Debug)]
pub struct Gradient2 {
    limit: Bounded,
    smoothing: f64,
    tolerance: f64,
    queue_size: f64,
    long_weight: f64,
    probe_every: usize,
    /// The long-term average of the held times, in seconds.
    long: Option<f64>,
    round: Round,
    stage: Stage,
}

#[derive(Clone, Debug)]
enum Stage {
    /// The limit applies. The next probe begins after this many rounds.
    Open { rounds: usize },
    /// The limit of the probe applies to new permits. `units` that were acquired before are still
    /// held.
    Drain { units: usize },
    /// The limit of the probe applied to all permits that end.
    Probe,
}

/// An average of fewer held times is too rough.
const MIN_ROUND: usize = 10;

/// At a tenth of the window a probe costs about 1 % of the throughput, and comes before `long` has
/// approached the slow times of a lasting load by a fifth.
const PROBES_PER_LONG_WINDOW: usize = 10;

/// The number of rounds until an urgent probe. The limit needs some to follow the previous probe.
const EARLY_PROBE: usize = 10;

/// The steepest gradient: no round lowers the limit by more than half, as one outlier can distort
/// its average.
const STEEPEST: f64 = 0.5;

/// Builds a [`Gradient2`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `.build()`"]
pub struct Gradient2Builder {
    range: Range,
    smoothing: f64,
    tolerance: f64,
    queue_size: usize,
    long_window: usize,
}

impl Gradient2 {
    /// Creates a builder of a limit between `floor` and `ceiling`, both inclusive. The
    /// [module](super#floor-and-ceiling) describes how to choose them.
    pub fn between(floor: usize, ceiling: usize) -> Gradient2Builder {
        Gradient2Builder {
            range: Range {
                floor,
                ceiling,
                start: None,
            },
            smoothing: 0.2,
            tolerance: 1.5,
            queue_size: 4,
            long_window: 600,
        }
    }
}

impl Gradient2Builder {
    /// Sets the initial limit, from the floor to the ceiling. Default: the floor. From far above
    /// the right value, it takes several probes to fall.
    pub fn start(mut self, units: usize) -> Self {
        self.range.start = Some(units);
        self
    }

    /// Sets the share of the way to its target that the limit moves in a round, above 0 and at most
    /// 1. Default: 0.2.
    pub fn smoothing(mut self, share: f64) -> Self {
        self.smoothing = share;
        self
    }

    /// Sets how much longer than usual permits can be held before the limit falls, as a ratio of 1
    /// or more. Default: 1.5. Work of uneven length needs more, or its variation counts as load.
    pub fn tolerance(mut self, ratio: f64) -> Self {
        self.tolerance = ratio;
        self
    }

    /// Sets how many units the limit can have above what the resource serves at once, 1 or more.
    /// Multiplied by [`smoothing`](Self::smoothing), it is also how much the limit rises in a
    /// round. Default: 4. Limits in the hundreds adapt sooner with more.
    pub fn queue_size(mut self, units: usize) -> Self {
        self.queue_size = units;
        self
    }

    /// Sets the number of rounds over which the usual time is averaged, 1 or more. There is a
    /// [probe](Gradient2#probes) every tenth of them. Default: 600.
    pub fn long_window(mut self, rounds: usize) -> Self {
        self.long_window = rounds;
        self
    }

    /// Builds the limit.
    ///
    /// # Panics
    ///
    /// If [`try_build`](Self::try_build) returns an error, with its message.
    #[track_caller]
    pub fn build(self) -> Gradient2 {
        match self.try_build() {
            Ok(limit) => limit,
            Err(error) => panic!("{error}"),
        }
    }

    /// Builds the limit.
    ///
    /// # Errors
    ///
    /// If the floor, the queue size or the long window is 0, the floor is above the ceiling, the
    /// start is not between them, the smoothing is not above 0 and at most 1, or the tolerance is
    /// below 1 or not finite.
    pub fn try_build(self) -> Result<Gradient2, InvalidAdaptiveLimit> {
        let limit = self.range.check()?;
        if !(self.smoothing > 0.0 && self.smoothing <= 1.0) {
            return Err(InvalidAdaptiveLimit(AdaptiveFault::Smoothing(
                self.smoothing,
            )));
        }
        if !(self.tolerance >= 1.0 && self.tolerance.is_finite()) {
            return Err(InvalidAdaptiveLimit(AdaptiveFault::Tolerance(
                self.tolerance,
            )));
        }
        if self.queue_size == 0 {
            return Err(InvalidAdaptiveLimit(AdaptiveFault::ZeroQueueSize));
        }
        if self.long_window == 0 {
            return Err(InvalidAdaptiveLimit(AdaptiveFault::ZeroLongWindow));
        }
        let probe_every = self.long_window.div_ceil(PROBES_PER_LONG_WINDOW);
        Ok(Gradient2 {
            limit,
            smoothing: self.smoothing,
            tolerance: self.tolerance,
            queue_size: self.queue_size as f64,
            // The usual weight of an exponential average over a window of n values.
            long_weight: 2.0 / (self.long_window as f64 + 1.0),
            probe_every,
            long: None,
            round: Round::default(),
            stage: Stage::Open {
                rounds: probe_every.min(EARLY_PROBE),
            },
        })
    }
}

impl Gradient2 {
    /// Moves the limit by the round that ended with this sample.
    fn step(&mut self, last: &Sample) {
        let round = mem::take(&mut self.round);
        let is_app_limited = self.limit.is_app_limited(round.peak_in_use());
        let (mut gradient, mut queue) = (1.0, 0.0);
        let mut next_probe = self.probe_every;
        match (&self.stage, round.mean_held()) {
            (_, None) => {}
            (Stage::Probe, Some(short)) => {
                // With a standing queue a probe measures about half the time of the previous one.
                if self.long.is_some_and(|long| long > 1.5 * short) {
                    next_probe = next_probe.min(EARLY_PROBE);
                }
                self.long = Some(short);
            }
            (_, Some(short)) => {
                let long = self.learn(short);
                if !is_app_limited {
                    gradient = self.gradient(long, short);
                    queue = self.queue_size;
                }
            }
        }
        let limit = self.limit.estimate();
        let success = round.success();
        let target = limit * (gradient * success).max(STEEPEST) + queue * success;
        self.limit.set(limit + (target - limit) * self.smoothing);
        self.stage = self.next_stage(is_app_limited, last, next_probe);
    }

    /// Adds the short average to the long one.
    fn learn(&mut self, short: f64) -> f64 {
        let long = self.long.unwrap_or(short);
        let long = long + (short - long) * self.long_weight;
        // The average alone would take most of its window to follow after the end of a load.
        let next = if long > 2.0 * short {
            long * 0.95
        } else {
            long
        };
        self.long = Some(next);
        long
    }

    fn gradient(&self, long: f64, short: f64) -> f64 {
        if short > 0.0 {
            (self.tolerance * long / short).clamp(STEEPEST, 1.0)
        } else {
            1.0
        }
    }

    fn next_stage(&self, is_app_limited: bool, last: &Sample, next_probe: usize) -> Stage {
        match self.stage {
            // Below the limit the times are those of a quiet resource, without a probe.
            Stage::Open { rounds } if is_app_limited => Stage::Open { rounds },
            Stage::Open { rounds } if rounds > 1 => Stage::Open { rounds: rounds - 1 },
            Stage::Open { .. } => match self.limit.others(last) {
                0 => Stage::Probe,
                // Some of them are held for longer than new permits, so one more turnover.
                units => Stage::Drain {
                    units: units.saturating_add(self.probe_limit()),
                },
            },
            Stage::Drain { .. } | Stage::Probe => Stage::Open { rounds: next_probe },
        }
    }

    fn is_round_over(&self) -> bool {
        let units = match self.stage {
            Stage::Open { .. } => self.round.len(),
            // A probe blocks other requests, so it ends after a round, whatever was measured.
            Stage::Drain { .. } | Stage::Probe => self.round.ended(),
        };
        units >= self.limit().max(MIN_ROUND)
    }

    /// Low enough to detect a queue that the tolerance hides.
    fn probe_limit(&self) -> usize {
        self.limit
            .within(self.limit.estimate() / (2.0 * self.tolerance))
    }
}

impl AdaptiveLimit for Gradient2 {
    fn update(&mut self, sample: &Sample) -> usize {
        if let Stage::Drain { units } = self.stage {
            self.stage = match units.saturating_sub(sample.units()) {
                0 => Stage::Probe,
                units => Stage::Drain { units },
            };
            return self.limit();
        }
        self.round.add(sample, self.long);
        if self.is_round_over() {
            self.step(sample);
        }
        self.limit()
    }

    /// Ends a probe: the permits that are held were acquired before it, or last longer than its
    /// round.
    fn stalled(&mut self, _: Duration) -> usize {
        if !matches!(self.stage, Stage::Open { .. }) {
            self.round = Round::default();
            self.stage = Stage::Open {
                rounds: self.probe_every,
            };
        }
        self.limit()
    }

    fn floor(&self) -> usize {
        self.limit.floor()
    }

    fn ceiling(&self) -> usize {
        self.limit.ceiling()
    }

    fn limit(&self) -> usize {
        match self.stage {
            Stage::Open { .. } => self.limit.units(),
            Stage::Drain { .. } | Stage::Probe => self.probe_limit(),
        }
    }
}
