//! How often: when a rate lets the next request pass, and what it has been spent on.
//!
//! * [`RateRule`]: so much per period, in one of two shapes.
//! * [`Meter`]: what was spent under a rule, and when there is room for more.
//! * `window`: the shape that bounds every window, by a log of what was spent.
//! * `gcra`: the shape that paces, by the time at which all that was spent has been replenished.

mod gcra;
#[cfg(all(test, not(tcl_loom)))]
mod tests;
mod window;

use std::cmp::Ordering;

use self::{gcra::Gcra, window::Window};
use super::Nanos;

/// So much per period. The public [`Rate`](crate::Rate) has checked the numbers: none is 0, and a
/// count times a time fits into 128 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateRule {
    pub count: u64,
    pub period: Nanos,
    pub shape: Shape,
}

impl RateRule {
    /// The most that passes in a whole period.
    pub fn most(self) -> u64 {
        match self.shape {
            Shape::AnyWindow => self.count,
            Shape::Gcra { burst } => self.count.max(burst),
        }
    }

    /// The time in which a rate that is always busy lets `amount` pass.
    pub fn interval(self, amount: u64) -> Nanos {
        let time = u128::from(amount) * u128::from(self.period) / u128::from(self.count);
        Nanos::try_from(time).unwrap_or(Nanos::MAX)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// No half-open window `[t, t + period)` holds more than the count.
    AnyWindow,
    /// The generic cell rate algorithm: one unit per `period / count`, and `burst` at once after a
    /// pause.
    Gcra { burst: u64 },
}

/// What was spent under a rule.
///
/// Times never decrease from one call to the next; equal times are fine. A meter trusts its caller:
/// it returns when there is room, and counts whatever is spent.
#[derive(Debug)]
pub(crate) struct Meter(Spent);

#[derive(Debug)]
enum Spent {
    Window(Window),
    Gcra(Gcra),
}

impl Meter {
    /// Nothing was spent yet.
    pub(crate) fn new(rule: RateRule) -> Self {
        let RateRule { count, period, .. } = rule;
        Self(match rule.shape {
            Shape::AnyWindow => Spent::Window(Window::new(count, period)),
            Shape::Gcra { burst } => Spent::Gcra(Gcra::new(count, period, burst)),
        })
    }

    /// Returns the earliest time at which `amount` more conforms to the rule, unless something is
    /// spent or settled before. Not before `now`, and `now` for an amount of 0.
    ///
    /// More than can ever pass at once (the count, or the burst) is taken for just that much, or it
    /// would wait for ever. It is spent in full all the same, and later requests wait for it.
    pub(crate) fn ready_at(&mut self, now: Nanos, amount: u64) -> Nanos {
        if amount == 0 {
            return now;
        }
        match &mut self.0 {
            Spent::Window(window) => window.ready_at(now, amount),
            Spent::Gcra(gcra) => gcra.ready_at(now, amount),
        }
    }

    /// Spends `amount` at `now`, whether or not there is room.
    pub(crate) fn spend(&mut self, now: Nanos, amount: u64) {
        if amount == 0 {
            return;
        }
        match &mut self.0 {
            Spent::Window(window) => window.spend(now, amount),
            Spent::Gcra(gcra) => gcra.spend(now, amount.into()),
        }
    }

    /// What was spent at `spent_at` as `estimated` turned out to be `actual`. Once per spending.
    ///
    /// A surplus is refunded as far as it still blocks others, so that nothing is admitted that
    /// would not have been had the actual amount been known. A deficit is spent at `now`: it was
    /// not known before, and what was admitted in between cannot be undone.
    pub(crate) fn settle(&mut self, now: Nanos, spent_at: Nanos, estimated: u64, actual: u64) {
        match actual.cmp(&estimated) {
            Ordering::Equal => {}
            Ordering::Greater => self.spend(now, actual - estimated),
            Ordering::Less => match &mut self.0 {
                Spent::Window(window) => window.refund(spent_at, estimated - actual),
                Spent::Gcra(gcra) => gcra.refund(spent_at, estimated - actual),
            },
        }
    }

    /// Another rule from `now` on. What the old one still remembers as spent stays spent.
    ///
    /// What it has forgotten is gone: a window forgets what is older than its period, and GCRA what
    /// has been replenished. From GCRA to a window, what is left counts as spent at `now`, and is
    /// no longer refunded.
    pub(crate) fn set_rule(&mut self, now: Nanos, rule: RateRule) {
        let RateRule { count, period, .. } = rule;
        match (&mut self.0, rule.shape) {
            (Spent::Window(window), Shape::AnyWindow) => window.set_rule(now, count, period),
            (Spent::Gcra(gcra), Shape::Gcra { burst }) => gcra.set_rule(now, count, period, burst),
            (Spent::Window(window), Shape::Gcra { burst }) => {
                let mut gcra = Gcra::new(count, period, burst);
                for (time, amount) in window.spent(now) {
                    gcra.spend(time, amount);
                }
                self.0 = Spent::Gcra(gcra);
            }
            (Spent::Gcra(gcra), Shape::AnyWindow) => {
                let owed = gcra.owed(now);
                *self = Self::new(rule);
                self.spend(now, owed);
            }
        }
    }
}
