//! What to do with a queue that stands.
//!
//! A queue bridges bursts. If it has not drained for a while, it only adds delay: in order of
//! arrival, the requests that are served are exactly those about to give up. During such a standing
//! queue the newest are admitted first, and the oldest are shed by the control law of CoDel
//! (Nichols and Jacobson, "Controlling Queue Delay", 2012; RFC 8289). The combination is that of
//! Maurer, "Fail at Scale", 2015.

use std::collections::VecDeque;

use super::{
    Nanos,
    waiters::{Ticket, Waiters},
};

/// When a queue stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverloadRule {
    /// A wait that is fine.
    pub target: Nanos,
    /// A queue stands once the wait was above the target for this long.
    pub interval: Nanos,
}

#[derive(Debug)]
pub(super) struct Overload {
    rule: OverloadRule,
    /// The waiters that do not stand aside, and some that have left, in order of arrival.
    arrivals: VecDeque<(Nanos, Ticket)>,
    /// When the queue stands, if its oldest waiter is above the target until then.
    above_until: Option<Nanos>,
    standing: Option<Shedding>,
}

#[derive(Clone, Copy, Debug)]
struct Shedding {
    next: Nanos,
    count: u64,
    /// When one was shed.
    last: Nanos,
}

impl Overload {
    pub(super) fn new(rule: OverloadRule) -> Self {
        Self {
            rule,
            arrivals: VecDeque::new(),
            above_until: None,
            standing: None,
        }
    }

    /// Whether the queue stands.
    pub(super) fn is_standing(&self) -> bool {
        self.standing.is_some()
    }

    pub(super) fn push<T>(&mut self, arrived: Nanos, ticket: Ticket, waiters: &Waiters<T>) {
        if self.arrivals.len() >= 64.max(2 * waiters.len()) {
            self.arrivals
                .retain(|&(_, ticket)| waiters.contends(ticket));
        }
        self.arrivals.push_back((arrived, ticket));
    }

    /// Some that wait stand aside from now on, or no longer: these are in the queue now, by
    /// arrival.
    pub(super) fn replace(&mut self, arrivals: impl Iterator<Item = (Nanos, Ticket)>) {
        self.arrivals = arrivals.collect();
    }

    /// The control law: ever shorter pauses, by the square root of their number.
    fn pause(rule: OverloadRule, count: u64) -> Nanos {
        let scaled = u128::from(rule.interval) << 16;
        let pause = scaled / (u128::from(count) << 32).isqrt();
        Nanos::try_from(pause).unwrap_or(Nanos::MAX)
    }

    /// Looks at the queue; the oldest waiter, if it is to be shed.
    ///
    /// One waiter at a time, and at most one interval in arrears, however long ago the last check
    /// was; and never the last waiter, so that released units find one.
    pub(super) fn shed<T>(
        &mut self,
        now: Nanos,
        waiting: usize,
        waiters: &Waiters<T>,
    ) -> Option<u32> {
        let oldest = loop {
            match self.arrivals.front() {
                Some(&(_, ticket)) if !waiters.contends(ticket) => drop(self.arrivals.pop_front()),
                oldest => break oldest.copied(),
            }
        };
        let Some((_, ticket)) =
            oldest.filter(|&(arrived, _)| now >= arrived.saturating_add(self.rule.target))
        else {
            self.above_until = None;
            self.standing = None;
            return None;
        };
        match &mut self.standing {
            Some(shedding) if now >= shedding.next && now > shedding.last && waiting > 1 => {
                shedding.count += 1;
                shedding.last = now;
                let pause = Self::pause(self.rule, shedding.count);
                let arrears = now.saturating_sub(pause);
                shedding.next = shedding.next.saturating_add(pause).max(arrears);
                Some(ticket.key)
            }
            Some(_) => None,
            None => {
                let until = now.saturating_add(self.rule.interval);
                let until = *self.above_until.get_or_insert(until);
                if now >= until {
                    self.standing = Some(Shedding {
                        next: now,
                        count: 0,
                        last: 0,
                    });
                }
                None
            }
        }
    }
}
