//! The common case, made short: a resource with a limit and nothing else, for which all who wait ask
//! alone and with the same priority.
//!
//! What is decided here is what the rules of [`Queue`] say, with all steps left out that cannot matter.
//! The same property test drives both.

use super::{
    Ledger, Nanos, Verdict,
    arrival::Arrival,
    flow::Flow,
    queue::Queue,
    rank::{DEFAULT_PRIORITY, Head, Rank},
};

impl<T> Queue<T> {
    /// The flow that an arrival joins at the end, if that is all there is to say about it.
    #[inline]
    pub(super) fn express_lane(
        &self,
        now: Nanos,
        arrival: &Arrival<T>,
        ledger: &impl Ledger,
    ) -> Option<u32> {
        let [demand] = &*arrival.demands else {
            return None;
        };
        if !self.is_simple() || arrival.claims.priority != DEFAULT_PRIORITY {
            return None;
        }
        let line = &self.lines[demand.resource as usize];
        let [head] = line.by_rank() else {
            return None;
        };
        let head = &self.waiters[head.key];
        let bound = arrival.max_waiting.unwrap_or(line.max_waiting);
        let is_like_it = head.demands.len() == 1 && !arrival.claims.or_never;
        let is_like_it = is_like_it && demand.units <= ledger.usage(demand.resource).limit();
        (is_like_it && arrival.deadline > now && line.waiting < bound).then_some(head.flow)
    }

    /// The next verdict, where only one flow waits for the only resource at which something has
    /// happened; `None` if that is not so, or if its first waiter is late.
    #[inline]
    pub(super) fn express_verdict(
        &mut self,
        now: Nanos,
        ledger: &mut impl Ledger,
    ) -> Option<Option<(T, Verdict)>> {
        let [resource] = *self.dirty.as_slice() else {
            return None;
        };
        if !self.is_simple() {
            return None;
        }
        let is_watched = self.is_watched();
        let line = &mut self.lines[resource as usize];
        let [Head { key, .. }] = *line.by_rank() else {
            return None;
        };
        let waiter = &self.waiters[key];
        let [demand] = *waiter.demands else {
            return None;
        };
        if waiter.deadline < now {
            return None;
        }
        if !ledger.usage(resource).fits(demand.units) {
            line.is_dirty = false;
            self.dirty.clear();
            return Some(None);
        }
        ledger.take(resource, demand.units);
        let number = waiter.flow as usize;
        self.timeline.forget(&mut self.waiters, key);
        let flow = &mut self.flows[number];
        flow.unlink(&mut self.waiters, key);
        let busy = flow.drain.count(now, Nanos::MAX);
        let waiter = self.waiters.remove(key);
        line.waiting -= 1;
        line.drain.count(now, busy);
        ledger.waiting(resource, line.waiting);
        match flow.front() {
            Some(key) => {
                let rank = Rank::of(&self.waiters[key], false);
                let head = Head { rank, key };
                flow.head = Some(head);
                line.replace_only(head);
            }
            None => {
                line.clear();
                let Flow { drain, .. } = self.flows.remove(number);
                self.rested.put(waiter.demands, waiter.priority, drain);
                // Some may stand aside.
                if line.waiting == 0 && !is_watched {
                    ledger.calm(resource);
                }
            }
        }
        if line.waiting == 0 || !ledger.usage(resource).fits(1) {
            line.is_dirty = false;
            self.dirty.clear();
        }
        Some(Some((waiter.payload, Verdict::Granted)))
    }
}
