//! The generic cell rate algorithm (ITU-T I.371; ATM Forum TM 4.0, "virtual scheduling").

use crate::admission::Nanos;

/// What was spent, as the time at which all of it has been replenished, one unit per
/// `period / count`.
///
/// That is the theoretical arrival time of the algorithm. There is room for `amount` more while,
/// with it, that time is at most `burst` units ahead. Times are stored in units of `1 / count` ns,
/// in which a unit takes exactly `period`, so that nothing is ever rounded away.
///
/// What is spent at a nanosecond counts as spent at its start, and may be ready by its end: the
/// time until something is ready is rounded down, or each wait would lose a fraction. A half-open
/// window of `w` whole nanoseconds holds less than `burst + w * count / period`, all the same.
///
/// # Refunds
///
/// Less spent long ago need not make room now: in a pause, a full burst does not get fuller. The
/// theoretical arrival time is the greatest of many, one for each instant: that at which something
/// was spent there and all that came after would be replenished, had nothing been spent before. A
/// refund at `t` lowers those of `t` and before, and those after `t` are its bound.
///
/// An arrival below a later one never matters again, so that few are left. At most [`MOST`] are
/// stored, 2 KiB; beyond that, and within a 32nd of a burst, neighbours share the time of the
/// earlier and the instant of the later one, which refunds less.
#[derive(Debug)]
pub(super) struct Gcra {
    count: u64,
    period: Nanos,
    burst: u64,
    /// `since` grows, and `time` shrinks: the first is the theoretical arrival time.
    arrivals: Vec<Arrival>,
}

/// The theoretical arrival time, had nothing been spent before `since`.
#[derive(Debug)]
struct Arrival {
    since: Nanos,
    /// In units of `1 / count` ns.
    time: u128,
}

/// The most arrivals to store.
pub(super) const MOST: usize = 64;

impl Gcra {
    pub(super) fn new(count: u64, period: Nanos, burst: u64) -> Self {
        Self {
            count,
            period,
            burst,
            arrivals: Vec::new(),
        }
    }

    pub(super) fn ready_at(&self, now: Nanos, amount: u64) -> Nanos {
        let ahead = self.units(amount.min(self.burst).into());
        let ready = self
            .arrival()
            .saturating_add(ahead)
            .saturating_sub(self.units(self.burst.into()));
        let ready = ready / u128::from(self.count);
        Nanos::try_from(ready).unwrap_or(Nanos::MAX).max(now)
    }

    pub(super) fn spend(&mut self, now: Nanos, amount: u128) {
        let added = self.units(amount);
        let alone = self.ticks(now).saturating_add(added);
        for arrival in &mut self.arrivals {
            arrival.time = arrival.time.saturating_add(added);
        }
        while self.arrivals.last().is_some_and(|last| last.time <= alone) {
            self.arrivals.pop();
        }
        let grain = self.units(self.burst.into()) / 32;
        let is_full = self.arrivals.len() == MOST;
        match self.arrivals.last_mut() {
            Some(last) if is_full || last.since == now || last.time - alone < grain => {
                last.since = now;
            }
            _ => self.arrivals.push(Arrival {
                since: now,
                time: alone,
            }),
        }
    }

    /// Takes back some of what was spent at `spent_at`, as far as it has not been replenished.
    pub(super) fn refund(&mut self, spent_at: Nanos, amount: u64) {
        let less = self.units(amount.into());
        let later = self.arrivals.partition_point(|a| a.since <= spent_at);
        let bound = self.arrivals.get(later).map_or(0, |a| a.time);
        for arrival in &mut self.arrivals[..later] {
            arrival.time = arrival.time.saturating_sub(less);
        }
        let above = self.arrivals[..later].partition_point(|a| a.time > bound);
        self.arrivals.drain(above..later);
    }

    /// Units that were not replenished stay as many.
    pub(super) fn set_rule(&mut self, now: Nanos, count: u64, period: Nanos, burst: u64) {
        let was_now = self.ticks(now);
        let was_unit = u128::from(self.period);
        self.count = count;
        self.period = period;
        self.burst = burst;
        let (now, unit) = (self.ticks(now), self.units(1));
        self.arrivals.retain_mut(|arrival| {
            let Some(owed) = arrival.time.checked_sub(was_now) else {
                return false;
            };
            // The product of all three may not fit; that of two periods does.
            let (units, part) = (owed / was_unit, owed % was_unit);
            let owed =
                (units.saturating_mul(unit)).saturating_add((part * unit).div_ceil(was_unit));
            arrival.time = now.saturating_add(owed);
            true
        });
    }

    /// The units that have not been replenished.
    pub(super) fn owed(&self, now: Nanos) -> u64 {
        let ahead = self.arrival().saturating_sub(self.ticks(now));
        let owed = ahead.div_ceil(self.period.into());
        u64::try_from(owed).unwrap_or(u64::MAX)
    }

    fn arrival(&self) -> u128 {
        self.arrivals.first().map_or(0, |arrival| arrival.time)
    }

    fn ticks(&self, time: Nanos) -> u128 {
        u128::from(time) * u128::from(self.count)
    }

    fn units(&self, amount: u128) -> u128 {
        amount.saturating_mul(self.period.into())
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.arrivals.len()
    }
}
