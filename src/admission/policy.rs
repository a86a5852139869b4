//! The bounds of the queue: which arrivals join, and which waiters are displaced.

use super::{
    Demands, Ledger, Nanos, Verdict, arrival::Arrival, queue::Queue, rank::DEFAULT_PRIORITY,
};

impl<T> Queue<T> {
    /// Makes room in the queue of each resource; where one is full, a waiter may be displaced.
    /// Otherwise returns the resource that is full.
    pub(super) fn make_place(
        &mut self,
        arrival: &Arrival<T>,
        ledger: &mut impl Ledger,
    ) -> Result<(), u32> {
        let mut leaving: Vec<(u32, u32)> = Vec::new(); // does not allocate while it is empty
        for demand in &*arrival.demands {
            let resource = demand.resource;
            let line = &self.lines[resource as usize];
            let bound = arrival.max_waiting.unwrap_or(line.max_waiting);
            if line.waiting < bound || line.is_dry() {
                continue;
            }
            if line.waiting < line.max_waiting || bound == 0 {
                return Err(resource); // its own bound, for which nobody else has to leave
            }
            let leaves = |&(key, _): &(u32, u32)| self.waiters[key].demands.of(resource).is_some();
            if leaving.iter().any(leaves) {
                continue;
            }
            let lowest = self.lowest(demand, arrival.claims.priority);
            leaving.push((lowest.ok_or(resource)?, resource));
        }
        for (key, resource) in leaving {
            self.decide(key, Verdict::Shed { resource }, ledger);
        }
        Ok(())
    }

    /// Returns the waiter that is displaced by a request of this priority: the youngest of the
    /// lowest priority, if that is below, and where there are lanes, in the lane of the request;
    /// before that, if another lane has more waiters for its weight, of that lane whatever its
    /// priority.
    fn lowest(&self, demand: &super::Demand, priority: u8) -> Option<u32> {
        let line = &self.lines[demand.resource as usize];
        if let Some(crowded) = line.more_crowded_than(demand.lane) {
            return line.lowest(crowded);
        }
        if self.all_alike() && priority <= DEFAULT_PRIORITY {
            return None;
        }
        let by_flow = || {
            let heads = line.peers(0).iter();
            let flows = heads.map(|head| self.waiters[head.key].flow);
            let flows = flows.chain(line.aside.flows(0));
            let last = flows.filter_map(|flow| self.flows[flow as usize].last());
            last.min_by_key(|&key| {
                let waiter = &self.waiters[key];
                (waiter.priority, std::cmp::Reverse(waiter.seq))
            })
        };
        let lowest = match line.rules {
            Some(_) => line.lowest(demand.lane)?,
            None => by_flow()?,
        };
        (self.waiters[lowest].priority < priority).then_some(lowest)
    }

    /// Returns `true` if requests that are certainly admitted before an arrival make it wait past
    /// its deadline. Only its own flow counts: other waiters may be blocked by what does not block
    /// this request.
    pub(super) fn is_hopeless(&self, flow: Option<u32>, arrival: &Arrival<T>, now: Nanos) -> bool {
        let (true, Some(flow)) = (arrival.claims.fail_fast, flow) else {
            return false;
        };
        let flow = &self.flows[flow as usize];
        if flow.newest_first {
            return false;
        }
        let limits = arrival.demands.iter();
        let limits = limits.map(|demand| self.lines[demand.resource as usize].limit);
        let limit = limits.max().unwrap_or(0);
        let ahead = flow.ahead_of(arrival.claims.priority);
        let wait = flow.drain.time_for(ahead, limit, now);
        wait.is_some_and(|wait| now.saturating_add(wait) > arrival.deadline)
    }

    /// Looks whether the queue at `resource` stands, and sheds what is to be shed.
    pub(super) fn tend(&mut self, resource: u32, now: Nanos, ledger: &mut impl Ledger) {
        let line = &mut self.lines[resource as usize];
        let stood = line.is_standing();
        loop {
            let line = &mut self.lines[resource as usize];
            let waiting = line.queued();
            let Some(overload) = line.rules.as_mut().and_then(|r| r.overload.as_mut()) else {
                return;
            };
            let Some(key) = overload.shed(now, waiting, &self.waiters) else {
                break;
            };
            self.decide(key, Verdict::Shed { resource }, ledger);
        }
        if self.lines[resource as usize].is_standing() != stood {
            self.turn_around(resource);
        }
    }

    /// The newest are admitted first at a resource with a standing queue, and the oldest elsewhere.
    fn turn_around(&mut self, resource: u32) {
        let waiting_here = |flow: &super::flow::Flow| {
            let key = flow.front()?;
            self.waiters[key].demands.of(resource).map(|_| key)
        };
        let flows: Vec<(usize, u32)> = self
            .flows
            .iter()
            .filter_map(|(index, flow)| Some((index, waiting_here(flow)?)))
            .collect();
        for (flow, key) in flows {
            self.flows[flow].newest_first = self.is_standing(&self.waiters[key].demands);
            self.renew_head(flow as u32, key);
        }
    }

    pub(super) fn is_standing(&self, demands: &Demands) -> bool {
        self.has_rules()
            && demands
                .iter()
                .any(|demand| self.lines[demand.resource as usize].is_standing())
    }

    /// An arrival takes its place in a lane of each resource that has them.
    pub(super) fn join_lanes(&mut self, arrival: &mut Arrival<T>) {
        let id = arrival.claims.lane;
        let lines = &mut self.lines;
        let has_lanes = |d: &super::Demand| lines[d.resource as usize].lanes().is_some();
        if !arrival.demands.iter().any(has_lanes) {
            return;
        }
        arrival.demands.set_lanes(|resource| {
            let lanes = lines[resource as usize].lanes_mut();
            lanes.map_or(0, |lanes| lanes.join(id))
        });
    }

    /// A request gives up its place in its lanes without having been granted its set.
    pub(super) fn leave_lanes(&mut self, demands: &Demands) {
        if !self.has_rules() {
            return;
        }
        for demand in &**demands {
            if let Some(lanes) = self.lines[demand.resource as usize].lanes_mut() {
                lanes.leave(demand.lane);
            }
        }
    }
}
