//! The limit from the gradient of the held times.

use std::{mem, time::Duration};

use super::{
    AdaptiveLimit, InvalidAdaptiveLimit, Sample,
    bounds::{Bounded, Range},
    error::Kind,
    round::Round,
};

/// Down when permits are held longer than they used to be, up while they are not.
///
/// It needs no timeout and no word from the resource. It moves once a round, which is as many
/// permits as the limit and at least 10, by comparing two averages of the held times: `short`, of
/// this round, and `long`, over [`long_window`](Gradient2Builder::long_window) rounds.
///
/// ```text
/// gradient = clamp(tolerance * long / short, 0.5, 1)
/// target   = limit * gradient + queue_size
/// limit    = limit * (1 - smoothing) + target * smoothing
/// ```
///
/// Where a resource serves `c` units at once and queues the rest, that settles near
/// `tolerance * c + queue_size`: enough to keep it busy, with a queue it gets through in half a
/// held time.
///
/// * If `long` is more than twice `short`, the load is over and `long` is taken down by 5 % a
///   round, ahead of its average.
/// * The times of a round in which less than half of the limit was in use count for `long` and
///   leave the limit alone: a limit that nobody reaches is not what makes the resource slow or fast
///   (the "application-limited" rule of TCP, RFC 7661).
/// * Overload takes the limit down by its share of the round: with the share `p` of successes, the
///   gradient becomes `max(gradient * p, 0.5)` and the queue `queue_size * p`. The held times of
///   overloads are not averaged, as a quick refusal would make the resource look fast.
/// * The time of work that was [dropped](super::Outcome::Dropped) is a lower bound. Above `long` it
///   is averaged, below it is not, as it may have been as fast as any. A round in which more was
///   dropped above `long` than done counts what was dropped as overload: the resource works for
///   clients that are gone.
/// * A single time counts as 10 times `long` at most.
///
/// # Probes
///
/// Under a load that stays, `long` learns the slow times, and `short` no longer looks slow beside
/// it: by the formula alone the limit doubles every few hundred rounds, up to the ceiling. So ten
/// times in a long window of rounds at the limit, the limit drops to `limit / (2 * tolerance)`
/// until as many units as were in use have been returned, and for one round more, both whatever the
/// outcomes. The average of that round becomes `long`. If the resource was overloaded, it is now
/// less so, the limit comes down by half or until it fits, and the next probe comes soon. If the
/// work itself has become slower, that shows, too, and the limit comes back up. At a load that
/// stays, probes cost about 1 % of the throughput. A probe during which no permit ends although
/// requests wait is given up; see [lasting work](super#lasting-work).
///
/// # Sources
///
/// `Gradient2Limit` of Netflix's Java library
/// [concurrency-limits](https://github.com/Netflix/concurrency-limits): the formula, the drift, the
/// defaults. It goes back to TCP Vegas (L. Brakmo and L. Peterson, 1995), which first read a queue
/// from the times instead of from losses. There a round is a second, and overload is not heard.
/// Probes are in its predecessor `GradientLimit` and in Envoy's adaptive concurrency filter.
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
/// assert_eq!(limit.limit(), 26); // no slower with more: up by 0.8 a round, which is 20 permits and more
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
    /// The limit applies, for so many rounds until the next probe.
    Open { rounds: usize },
    /// The probe's limit applies to newcomers. `units` that were acquired before are still to be
    /// returned.
    Drain { units: usize },
    /// The probe's limit applies to all that end.
    Probe,
}

/// Fewer held times make too rough an average.
const MIN_ROUND: usize = 10;

const PROBES_PER_LONG_WINDOW: usize = 10;

/// After how many rounds a probe comes when it is urgent. The limit needs some to follow the last
/// one.
const EARLY_PROBE: usize = 10;

/// No round takes more than half of the limit for slow, as one outlier may spoil its average.
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
    /// A limit between `floor` and `ceiling`, both included. See [the
    /// module](super#floor-and-ceiling) for how to choose them.
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
    /// The limit to start with, from the floor to the ceiling.
    ///
    /// Default: the floor. From far above, the probes have to find the way down first.
    pub fn start(mut self, units: usize) -> Self {
        self.range.start = Some(units);
        self
    }

    /// Which share of the way to its target the limit moves in a round, above 0 and at most 1.
    ///
    /// Default: 0.2.
    pub fn smoothing(mut self, share: f64) -> Self {
        self.smoothing = share;
        self
    }

    /// How much longer than usual permits may be held before the limit comes down, as a ratio of 1
    /// or more. Work of uneven length needs more, or chance is taken for load.
    ///
    /// Default: 1.5, half as long again.
    pub fn tolerance(mut self, ratio: f64) -> Self {
        self.tolerance = ratio;
        self
    }

    /// How many units the limit may have above what the resource gets through at once, 1 or more;
    /// times [`smoothing`](Self::smoothing), how fast the limit grows in a round.
    ///
    /// Default: 4. Limits in the hundreds move sooner with more.
    pub fn queue_size(mut self, units: usize) -> Self {
        self.queue_size = units;
        self
    }

    /// Over how many rounds "usual" is averaged, 1 or more. A tenth of them lies between two
    /// [probes](Gradient2#probes).
    ///
    /// Default: 600.
    pub fn long_window(mut self, rounds: usize) -> Self {
        self.long_window = rounds;
        self
    }

    /// Builds the limit.
    ///
    /// # Panics
    ///
    /// Where [`try_build`](Self::try_build) returns an error, with its message.
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
    /// If the floor, the queue size or the long window is 0, the floor above the ceiling, the start
    /// not between them, the smoothing not above 0 and at most 1, or the tolerance below 1 or not
    /// finite.
    pub fn try_build(self) -> Result<Gradient2, InvalidAdaptiveLimit> {
        let limit = self.range.check()?;
        if !(self.smoothing > 0.0 && self.smoothing <= 1.0) {
            return Err(InvalidAdaptiveLimit(Kind::Smoothing(self.smoothing)));
        }
        if !(self.tolerance >= 1.0 && self.tolerance.is_finite()) {
            return Err(InvalidAdaptiveLimit(Kind::Tolerance(self.tolerance)));
        }
        if self.queue_size == 0 {
            return Err(InvalidAdaptiveLimit(Kind::ZeroQueueSize));
        }
        if self.long_window == 0 {
            return Err(InvalidAdaptiveLimit(Kind::ZeroLongWindow));
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
                // With a standing queue a probe finds about half the time that the last one found.
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

    /// Lets the long average learn from the short one.
    fn learn(&mut self, short: f64) -> f64 {
        let long = self.long.unwrap_or(short);
        let long = long + (short - long) * self.long_weight;
        // The average alone would take most of its window to forget a load that is over.
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
            // With room to spare the times are those of a quiet resource, without a probe.
            Stage::Open { rounds } if is_app_limited => Stage::Open { rounds },
            Stage::Open { rounds } if rounds > 1 => Stage::Open { rounds: rounds - 1 },
            Stage::Open { .. } => match self.limit.others(last) {
                0 => Stage::Probe,
                // The slowest of them are outlasted by newcomers, so one turnover more.
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
            // A probe keeps others out, and takes what there is after a round.
            Stage::Drain { .. } | Stage::Probe => self.round.ended(),
        };
        units >= self.limit().max(MIN_ROUND)
    }

    /// Deep enough to find a queue that the tolerance hides.
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

    /// Ends a probe: what is held was acquired before it, or is longer than its round.
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
