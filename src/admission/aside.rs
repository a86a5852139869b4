//! Waiters that claim more than they can have: they stand aside.
//!
//! A claim that was valid when it was made can exceed a limit that was lowered since, or what a
//! lane may use or reserves leave. No release admits it, so it does not contend: it waits, in flows
//! of its own kind, until the limit or the rules allow it again or its deadline comes.

use std::collections::BTreeSet;

use super::{
    Demands, Ledger, Nanos,
    flow::Flow,
    queue::Queue,
    waiters::{Ticket, Waiter},
};

/// The waiters that stand aside at one resource, because of that resource or another of their set.
#[derive(Debug, Default)]
pub(super) struct Aside {
    pub(super) waiting: usize,
    /// Their flows, by lane.
    flows: BTreeSet<(u32, u32)>,
}

impl Aside {
    /// The flows in a lane.
    pub(super) fn flows(&self, lane: u32) -> impl Iterator<Item = u32> {
        let flows = self.flows.range((lane, 0)..=(lane, u32::MAX));
        flows.map(|&(_, flow)| flow)
    }
}

impl<T> Queue<T> {
    /// Whether a request claims more of a resource than it can have while the limit and the rules
    /// are as they are, whatever is returned.
    pub(super) fn exceeds(&self, demands: &Demands, priority: u8, ledger: &impl Ledger) -> bool {
        demands.iter().any(|demand| {
            let limit = ledger.usage(demand.resource).limit();
            self.lines[demand.resource as usize].exceeds(limit, demand, priority)
        })
    }

    /// The limit or a rule of `resource` has changed. Waiters that exceed what they can have now
    /// stand aside, and those that no longer do take their places in the queue.
    pub(super) fn regroup(&mut self, now: Nanos, resource: u32, ledger: &impl Ledger) {
        let limit = ledger.usage(resource).limit();
        if !self.lines[resource as usize].may_regroup(limit) {
            return;
        }
        let mut moving = self.misplaced(resource, ledger);
        // Those that come back first, so that no lane is empty in between and loses its turn.
        moving.sort_by_key(|&key| (!self.waiters[key].is_aside, self.waiters[key].seq));
        let mut flows = BTreeSet::new();
        for &key in &moving {
            self.leave_flow(key);
            flows.insert(self.change_sides(now, key));
        }
        for flow in flows {
            // Another of the same flow may have been the last to leave it again.
            if let Some(key) = self.flows.get(flow as usize).and_then(Flow::front) {
                self.flows[flow as usize].sort(&mut self.waiters);
                self.renew_head(flow, key);
            }
        }
        let touched = moving
            .iter()
            .flat_map(|&key| self.waiters[key].demands.iter());
        let touched: BTreeSet<u32> = touched.map(|demand| demand.resource).collect();
        touched.into_iter().for_each(|r| self.renew_overload(r));
    }

    /// Those at `resource` that stand aside but need not, or contend but should not.
    fn misplaced(&self, resource: u32, ledger: &impl Ledger) -> Vec<u32> {
        let is_misplaced = |&key: &u32| {
            let waiter = &self.waiters[key];
            self.exceeds(&waiter.demands, waiter.priority, ledger) != waiter.is_aside
        };
        let flows = self.flows.iter().map(|(_, flow)| flow).filter(|flow| {
            let one = flow.front().map(|key| &self.waiters[key]);
            one.is_some_and(|waiter| waiter.demands.of(resource).is_some())
        });
        let keys = flows.flat_map(|flow| flow.keys(&self.waiters));
        keys.filter(is_misplaced).collect()
    }

    /// A waiter that is in no flow joins one of the other kind, at its end for now.
    fn change_sides(&mut self, now: Nanos, key: u32) -> u32 {
        let waiter = &mut self.waiters[key];
        waiter.is_aside = !waiter.is_aside;
        let (is_aside, priority) = (waiter.is_aside, waiter.priority);
        let demands = waiter.demands.clone();
        let flow = self
            .flow_of(&demands, priority, is_aside)
            .unwrap_or_else(|| {
                let newest_first = self.is_standing(&demands);
                self.new_flow(now, &demands, priority, newest_first, is_aside)
            });
        self.count_aside(now, &demands, is_aside);
        self.waiters[key].flow = flow;
        self.flows[flow as usize].push(&mut self.waiters, key);
        self.renew_head(flow, key);
        flow
    }

    /// One more stands aside, or one less.
    pub(super) fn count_aside(&mut self, now: Nanos, demands: &Demands, is_aside: bool) {
        for demand in &**demands {
            let line = &mut self.lines[demand.resource as usize];
            if is_aside {
                line.aside.waiting += 1;
            } else {
                if !line.has_contenders() {
                    line.drain.start(now);
                }
                line.aside.waiting -= 1;
            }
        }
    }

    pub(super) fn new_flow(
        &mut self,
        now: Nanos,
        demands: &Demands,
        priority: u8,
        newest_first: bool,
        is_aside: bool,
    ) -> u32 {
        if !is_aside {
            return self.begin_flow(now, demands, priority, newest_first);
        }
        let flow = self.flows.insert(Flow::aside(newest_first)) as u32;
        for demand in &**demands {
            let aside = &mut self.lines[demand.resource as usize].aside;
            aside.flows.insert((demand.lane, flow));
        }
        flow
    }

    /// Removes a waiter from its flow. Waiters behind it may become admissible.
    pub(super) fn leave_flow(&mut self, key: u32) {
        let flow = self.waiters[key].flow;
        self.flows[flow as usize].unlink(&mut self.waiters, key);
        self.renew_head(flow, key);
        if self.flows[flow as usize].is_empty() {
            let left = self.flows.remove(flow as usize);
            let waiter = &self.waiters[key];
            if !left.is_aside {
                let demands = waiter.demands.clone();
                return self.rested.put(demands, waiter.priority, left.drain);
            }
            for demand in &*waiter.demands {
                let aside = &mut self.lines[demand.resource as usize].aside;
                aside.flows.remove(&(demand.lane, flow));
            }
        }
    }

    /// Those that stand aside do not make a queue stand.
    fn renew_overload(&mut self, resource: u32) {
        let rules = self.lines[resource as usize].rules.as_mut();
        let Some(overload) = rules.and_then(|rules| rules.overload.as_mut()) else {
            return;
        };
        let waiters = &self.waiters;
        let contends = |w: &Waiter<T>| !w.is_aside && w.demands.of(resource).is_some();
        let here = self
            .timeline
            .keys(waiters)
            .filter(|&key| contends(&waiters[key]));
        overload.replace(here.map(|key| {
            let Waiter { arrived, seq, .. } = waiters[key];
            (arrived, Ticket { key, seq })
        }));
    }
}
