//! The error of adaptive limits.

use std::fmt;

/// The error of an adaptive limit that cannot be built. The message names the cure.
#[derive(Clone, PartialEq)]
pub struct InvalidAdaptiveLimit(pub(super) AdaptiveFault);

#[derive(Clone, PartialEq)]
pub(super) enum AdaptiveFault {
    ZeroFloor,
    FloorAboveCeiling {
        floor: usize,
        ceiling: usize,
    },
    Start {
        start: usize,
        floor: usize,
        ceiling: usize,
    },
    ZeroIncrease,
    Backoff(f64),
    ZeroTimeout,
    Smoothing(f64),
    Tolerance(f64),
    ZeroQueueSize,
    ZeroLongWindow,
}

impl InvalidAdaptiveLimit {
    /// Returns `true` if the floor, the ceiling or the start is invalid.
    pub fn is_range(&self) -> bool {
        matches!(
            self.0,
            AdaptiveFault::ZeroFloor
                | AdaptiveFault::FloorAboveCeiling { .. }
                | AdaptiveFault::Start { .. }
        )
    }

    /// Returns `true` if a parameter of the algorithm is out of range.
    pub fn is_parameter(&self) -> bool {
        !self.is_range()
    }
}

impl fmt::Display for InvalidAdaptiveLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            AdaptiveFault::ZeroFloor => f.write_str(
                "a floor of 0 would let the limit fall to 0, from where no permit could raise it; \
                 pass 1 or more",
            ),
            AdaptiveFault::FloorAboveCeiling { floor, ceiling } => write!(
                f,
                "the floor {floor} is above the ceiling {ceiling}; \
                 pass the smaller one first, as `between({ceiling}, {floor})`"
            ),
            AdaptiveFault::Start {
                start,
                floor,
                ceiling,
            } => write!(
                f,
                "a start at {start} is not between the floor {floor} and the ceiling {ceiling}; \
                 pass one that is to `.start(units)`, or leave it out to start at the floor"
            ),
            AdaptiveFault::ZeroIncrease => f.write_str(
                "an increase of 0 would let the limit fall but never rise; \
                 pass 1 or more to `.increase(units)`",
            ),
            AdaptiveFault::Backoff(ratio) => write!(
                f,
                "a backoff to {ratio} of the limit is not between 0 and 1; \
                 pass a ratio above 0 and below 1 to `.backoff(ratio)`, such as 0.7"
            ),
            AdaptiveFault::ZeroTimeout => f.write_str(
                "a timeout of zero would count every permit as overload; \
                 pass a longer one to `.timeout(duration)`, or leave it out",
            ),
            AdaptiveFault::Smoothing(share) => write!(
                f,
                "a smoothing of {share} is not a share of the way to the new limit; \
                 pass one above 0 and at most 1 to `.smoothing(share)`, such as 0.2"
            ),
            AdaptiveFault::Tolerance(ratio) => write!(
                f,
                "a tolerance of {ratio} is not a ratio of 1 or more; \
                 pass a finite one to `.tolerance(ratio)`, such as 1.5"
            ),
            AdaptiveFault::ZeroQueueSize => f.write_str(
                "a queue size of 0 would let the limit fall but never rise; \
                 pass 1 or more to `.queue_size(units)`",
            ),
            AdaptiveFault::ZeroLongWindow => f.write_str(
                "a long window of 0 rounds has no average; \
                 pass 1 or more to `.long_window(rounds)`, such as 600",
            ),
        }
    }
}

impl fmt::Debug for InvalidAdaptiveLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InvalidAdaptiveLimit({self})")
    }
}

impl std::error::Error for InvalidAdaptiveLimit {}
