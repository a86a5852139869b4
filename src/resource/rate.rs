//! Rates: limits over time.

use std::{fmt, time::Duration};

use crate::admission::{Nanos, RateRule, Shape};

/// A limit over time: a count of requests, or of units of load such as tokens, per period.
///
/// ```
/// use std::time::Duration;
/// use tower_concurrency_limiter::Rate;
///
/// let requests = Rate::per_minute(500);
/// let tokens = Rate::per_minute(90_000);
/// let logins = Rate::new(5, Duration::from_secs(15 * 60));
/// let writes = Rate::per_second(20).burst(5);
/// assert_eq!(requests.to_string(), "500 per 60s");
/// assert_eq!(writes.to_string(), "20 per 1s, burst 5");
/// ```
///
/// The count is 1 to [`MAX_COUNT`](Self::MAX_COUNT), the period 1 ns to
/// [`MAX_PERIOD`](Self::MAX_PERIOD). The constructors accept values outside these ranges; building
/// a resource with them fails. Time is measured in whole nanoseconds.
///
/// # Which shape
///
/// | | default: any window | [`burst(n)`](Self::burst): GCRA | [`smooth()`](Self::smooth): GCRA |
/// |---|---|---|---|
/// | any half-open window of the period holds at most | `count` | `count + n - 1` | `count` |
/// | after a pause, at once | `count` | `n` | 1 |
/// | the next one | when the oldest is out of the window | every `period / count` | the same |
/// | memory | up to 8 KiB | up to 2 KiB, whatever the rate | as with `burst` |
///
/// **Any window** is the usual meaning of "10 per minute", and what paid APIs enforce: no window
/// `[t, t + period)`, wherever it starts, contains more than `count`. Use it for a limit that
/// another party enforces. The whole count can be admitted at once, and then nothing for the rest
/// of the period.
///
/// It is a sliding log of up to 120 entries, one for each instant of an admission. It is exact for
/// counts of up to 120, and while the log has room. Beyond that, neighbours share an entry and
/// leave the window with the last of them, up to 1/128 of the period late, so that a busy rate may
/// fall short of its count by 1 %. It never exceeds the count.
///
/// **GCRA** paces admissions: one per `period / count`, and up to `n` at once after a pause. Use it
/// to protect a resource of your own from bursts. If it is used for the limit of an API and `n` is
/// more than 1, leave room for the burst: a window that starts with it contains up to
/// `count + n - 1`. A load above 1 counts as that many units at the same instant. This is the
/// generic cell rate algorithm of ITU-T I.371 and ATM Forum TM 4.0, in integers that do not drift.
/// A leaky bucket used as a meter admits the same.
///
/// A load above what can be admitted at once (the count, or the burst) is admitted as soon as just
/// that much can be, and delays later requests by its full amount. Both guarantees hold for smaller
/// loads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "a rate does nothing until a resource is built with it"]
pub struct Rate {
    count: u64,
    period: Duration,
    burst: Option<u64>,
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

impl Rate {
    /// The largest count and the largest burst: 9,007,199,254,740,992 (2<sup>53</sup>), the largest
    /// range of integers that JSON and Lua represent exactly.
    pub const MAX_COUNT: u64 = 1 << 53;

    /// The longest period: ten years of 365 days.
    pub const MAX_PERIOD: Duration = Duration::from_secs(10 * 365 * DAY);

    /// Creates a rate of at most `count` in any window of `period`.
    pub const fn new(count: u64, period: Duration) -> Self {
        Self {
            count,
            period,
            burst: None,
        }
    }

    /// Creates a rate of at most `count` in any second.
    pub const fn per_second(count: u64) -> Self {
        Self::new(count, Duration::from_secs(1))
    }

    /// Creates a rate of at most `count` in any 60 seconds.
    pub const fn per_minute(count: u64) -> Self {
        Self::new(count, Duration::from_secs(MINUTE))
    }

    /// Creates a rate of at most `count` in any 3,600 seconds.
    pub const fn per_hour(count: u64) -> Self {
        Self::new(count, Duration::from_secs(HOUR))
    }

    /// Creates a rate of at most `count` in any 86,400 seconds, not per calendar day.
    pub const fn per_day(count: u64) -> Self {
        Self::new(count, Duration::from_secs(DAY))
    }

    /// Paces the rate: one per `period / count`, and up to `n` at once after a pause, 1 to
    /// [`MAX_COUNT`](Self::MAX_COUNT). `n` can be above the count.
    ///
    /// ```
    /// # use tower_concurrency_limiter::Rate;
    /// // 5 at once, then one every 50 ms; in any second 24 or less
    /// let rate = Rate::per_second(20).burst(5);
    /// assert_eq!(rate.burst_size(), Some(5));
    /// ```
    pub const fn burst(mut self, n: u64) -> Self {
        self.burst = Some(n);
        self
    }

    /// Paces the rate without bursts: one per `period / count`. The same as
    /// [`burst(1)`](Self::burst).
    ///
    /// A late request is not made up for: if it is admitted 3 ms after it could have been, all
    /// later ones are 3 ms later. A burst of a few makes up for it.
    ///
    /// ```
    /// # use tower_concurrency_limiter::Rate;
    /// let rate = Rate::per_second(20).smooth(); // one every 50 ms; in any second 20 or less
    /// assert_eq!(rate, Rate::per_second(20).burst(1));
    /// ```
    pub const fn smooth(self) -> Self {
        self.burst(1)
    }

    /// Returns the count per period.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Returns the length of the window, or the time in which `count` are replenished.
    pub const fn period(&self) -> Duration {
        self.period
    }

    /// Returns how many can be admitted at once after a pause, if the rate is paced. Returns `None`
    /// for a count in any window.
    pub const fn burst_size(&self) -> Option<u64> {
        self.burst
    }

    /// Checks the rate, and returns the rule that a meter follows.
    pub(crate) fn rule(&self) -> Result<RateRule, RateFault> {
        let fault = |wrong| Err(RateFault { rate: *self, wrong });
        if self.count == 0 {
            return fault(Wrong::ZeroCount);
        }
        if self.count > Self::MAX_COUNT {
            return fault(Wrong::HugeCount);
        }
        if self.period.is_zero() {
            return fault(Wrong::ZeroPeriod);
        }
        let period = match Nanos::try_from(self.period.as_nanos()) {
            Ok(period) if self.period <= Self::MAX_PERIOD => period,
            _ => return fault(Wrong::LongPeriod),
        };
        let shape = match self.burst {
            None => Shape::AnyWindow,
            Some(0) => return fault(Wrong::ZeroBurst),
            Some(burst) if burst > Self::MAX_COUNT => return fault(Wrong::HugeBurst),
            Some(burst) => Shape::Gcra { burst },
        };
        Ok(RateRule {
            count: self.count,
            period,
            shape,
        })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} per {:?}", self.count, self.period)?;
        match self.burst {
            Some(n) => write!(f, ", burst {n}"),
            None => Ok(()),
        }
    }
}

/// The fault of a rate, displayed from the rate on: "0 per 60s admits nothing; use ..".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RateFault {
    rate: Rate,
    wrong: Wrong,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    ZeroCount,
    HugeCount,
    ZeroPeriod,
    LongPeriod,
    ZeroBurst,
    HugeBurst,
}

impl fmt::Display for RateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rate, wrong } = self;
        match wrong {
            Wrong::ZeroCount => write!(f, "{rate} admits nothing; use a count of 1 or more"),
            Wrong::HugeCount => write!(
                f,
                "{rate} has a count out of range; use at most {}, `Rate::MAX_COUNT`",
                Rate::MAX_COUNT
            ),
            Wrong::ZeroPeriod => write!(
                f,
                "{rate} has no period; use one above 0, such as `Duration::from_secs(60)`"
            ),
            Wrong::LongPeriod => write!(
                f,
                "{rate} has a period out of range; use at most {:?}, `Rate::MAX_PERIOD`",
                Rate::MAX_PERIOD
            ),
            Wrong::ZeroBurst => write!(
                f,
                "{rate} admits nothing; use a burst of 1 or more, or leave out `.burst(n)`"
            ),
            Wrong::HugeBurst => write!(
                f,
                "{rate} has a burst out of range; use at most {}, `Rate::MAX_COUNT`",
                Rate::MAX_COUNT
            ),
        }
    }
}

#[cfg(all(test, not(tcl_loom)))]
mod tests;
