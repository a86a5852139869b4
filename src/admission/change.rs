//! What can be changed while requests wait.

use super::{
    Beneficiary, By, Demands, LaneId, LaneRule, Ledger, Nanos, RateRule, Verdict,
    drain::is_other_pace, queue::Queue,
};

/// A rule that can be changed.
#[derive(Clone, Copy, Debug)]
pub enum NewRule {
    Rate(By, RateRule),
    Lane(LaneId, LaneRule),
    Reserve(Beneficiary, u32),
}

impl<T> Queue<T> {
    /// Changes the limit of `resource`. Permits are not revoked; with a limit of 0 nothing is
    /// admitted.
    pub fn set_limit(&mut self, now: Nanos, resource: u32, limit: u32, ledger: &mut impl Ledger) {
        if ledger.usage(resource).limit() == limit {
            return;
        }
        let before = ledger.usage(resource).limit();
        ledger.set_limit(resource, limit);
        self.lines[resource as usize].limit = limit;
        if is_other_pace(before, limit) {
            self.forget_pace(resource);
        }
        if let Some(lanes) = self.lines[resource as usize].lanes_mut() {
            lanes.set_limit(limit);
        }
        self.regroup(now, resource, ledger);
        self.freed(resource);
    }

    /// Another rule for `resource` in the place of the one of its kind; `false` if it has none.
    pub fn set_rule(
        &mut self,
        now: Nanos,
        resource: u32,
        rule: NewRule,
        ledger: &impl Ledger,
    ) -> bool {
        let line = &mut self.lines[resource as usize];
        let found = match rule {
            NewRule::Rate(by, rule) => line.set_rate(now, by, rule),
            NewRule::Lane(id, rule) => match line.lanes_mut() {
                Some(lanes) => lanes.set_rule(id, rule),
                None => false,
            },
            NewRule::Reserve(beneficiary, units) => line.set_reserve(beneficiary, units),
        };
        self.regroup(now, resource, ledger);
        self.forget_pace(resource);
        self.freed(resource);
        found
    }

    /// What is known of the pace at `resource` is of other rules, or of a much lower limit.
    fn forget_pace(&mut self, resource: u32) {
        self.lines[resource as usize].drain.forget();
        self.rested.forget(resource);
        for (_, flow) in &mut self.flows {
            let head = flow.head.map(|head| &self.waiters[head.key]);
            if head.is_some_and(|head| head.demands.of(resource).is_some()) {
                flow.drain.forget();
            }
        }
    }

    /// The rates are charged with `actual` instead of the `load` that was granted at `at`; with
    /// nothing at all if that is `None`.
    pub fn settle_load(
        &mut self,
        now: Nanos,
        demands: &Demands,
        at: Nanos,
        load: u64,
        actual: Option<u64>,
    ) {
        for demand in &**demands {
            self.lines[demand.resource as usize].settle(now, at, load, actual);
            self.freed(demand.resource);
        }
    }

    /// Refuses all waiters and all later arrivals.
    pub fn close(&mut self, ledger: &mut impl Ledger) {
        self.is_closed = true;
        for resource in 0..self.lines.len() as u32 {
            ledger.contend(resource);
        }
        while let Some(key) = self.timeline.first() {
            self.decide(key, Verdict::Closed, ledger);
        }
    }

    /// Makes every release visible to the queue from now on, or only those that a waiter needs.
    pub fn watch(&mut self, watch: bool, ledger: &mut impl Ledger) {
        self.is_watched = watch;
        for resource in 0..self.lines.len() as u32 {
            let line = &self.lines[resource as usize];
            if watch {
                ledger.contend(resource);
            } else if line.waiting == 0 && line.rules.is_none() && !self.is_closed {
                ledger.calm(resource, line.drain);
            }
        }
    }
}
