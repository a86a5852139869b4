//! At most so much in any window, wherever it starts.

use std::collections::VecDeque;

use crate::admission::Nanos;

/// A log of what was spent during the last period (a "sliding log").
///
/// The log is exact while it is short: below [`EXACT`] entries, each instant has its own. Beyond
/// that, what is spent within one [`GRAINS`]th of the period shares an entry and leaves the window
/// with the last of it. So at most the count is in any window; a unit comes back at most a 128th of
/// the period late, and a busy rate stays above 99 % of the count; and the log has at most 249
/// entries, 8 KiB: the exact ones, one for each grain, and one that is leaving.
#[derive(Debug)]
pub(super) struct Window {
    count: u64,
    period: Nanos,
    log: VecDeque<Entry>,
    /// The amounts in the log.
    sum: u128,
}

/// What was spent from `first` to `last`. Entries neither overlap nor touch.
#[derive(Debug)]
struct Entry {
    first: Nanos,
    last: Nanos,
    /// Wider than what is spent, so that a sum of any amounts fits.
    amount: u128,
}

/// As long as the log is shorter, each instant has its own entry.
pub(super) const EXACT: usize = 120;

/// In a longer log, entries begin at least this fraction of the period apart.
pub(super) const GRAINS: u64 = 128;

impl Window {
    pub(super) fn new(count: u64, period: Nanos) -> Self {
        Self {
            count,
            period,
            log: VecDeque::new(),
            sum: 0,
        }
    }

    pub(super) fn ready_at(&mut self, now: Nanos, amount: u64) -> Nanos {
        self.expire(now);
        let mut over =
            (self.sum + u128::from(amount.min(self.count))).saturating_sub(self.count.into());
        let mut ready = now;
        for entry in &self.log {
            if over == 0 {
                break;
            }
            over = over.saturating_sub(entry.amount);
            ready = entry.last.saturating_add(self.period);
        }
        ready
    }

    pub(super) fn spend(&mut self, now: Nanos, amount: u64) {
        self.expire(now);
        self.push(Entry {
            first: now,
            last: now,
            amount: amount.into(),
        });
    }

    /// Takes back some of what was spent at `spent_at`, if it is still in the log.
    ///
    /// A shared entry stays where it is, for the others in it.
    pub(super) fn refund(&mut self, spent_at: Nanos, amount: u64) {
        let index = self.log.partition_point(|entry| entry.last < spent_at);
        let Some(entry) = self.log.get_mut(index) else {
            return;
        };
        if entry.first > spent_at {
            return;
        }
        let amount = entry.amount.min(amount.into());
        entry.amount -= amount;
        self.sum -= amount;
        if entry.amount == 0 {
            // It would count towards the entries from which on the log is no longer exact.
            self.log.remove(index);
        }
    }

    pub(super) fn set_rule(&mut self, now: Nanos, count: u64, period: Nanos) {
        self.expire(now);
        self.count = count;
        self.period = period;
        // A longer period has longer grains. Without merging anew, each change would leave the
        // entries of another period behind.
        self.sum = 0;
        for entry in std::mem::take(&mut self.log) {
            self.push(entry);
        }
    }

    /// What was spent during the last period, in order.
    pub(super) fn spent(&mut self, now: Nanos) -> impl Iterator<Item = (Nanos, u128)> + '_ {
        self.expire(now);
        self.log.iter().map(|entry| (entry.last, entry.amount))
    }

    fn push(&mut self, entry: Entry) {
        self.sum += entry.amount;
        let is_exact = self.log.len() < EXACT;
        let grain = self.period.div_ceil(GRAINS);
        match self.log.back_mut() {
            Some(back)
                if back.last == entry.first || !is_exact && entry.first - back.first < grain =>
            {
                back.last = entry.last;
                back.amount += entry.amount;
            }
            _ => self.log.push_back(entry),
        }
    }

    fn expire(&mut self, now: Nanos) {
        while let Some(front) = self.log.front() {
            if now.saturating_sub(front.last) < self.period {
                break;
            }
            self.sum -= front.amount;
            self.log.pop_front();
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.log.len()
    }
}
