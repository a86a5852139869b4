//! A request that arrives, and its admission.

use super::{
    Demand, Demands, LaneHash, LaneId, Ledger, Nanos,
    fifo::Fifo,
    flow::Flow,
    order::Candidate,
    queue::Queue,
    rank::{DEFAULT_PRIORITY, Rank},
    waiters::{Links, Ticket, Waiter},
};

/// A request that arrives at the queue.
#[derive(Debug)]
pub struct Arrival<T> {
    /// Comes back with the verdict.
    pub payload: T,
    pub demands: Demands,
    pub deadline: Nanos,
    pub claims: Attributes,
    /// Instead of each resource's own bound on the length of its queue.
    pub max_waiting: Option<usize>,
}

/// The attributes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    pub priority: u8,
    pub lane: Option<LaneId>,
    /// The same for limits that are shared between processes, if some of the set is.
    pub lane_hash: Option<LaneHash>,
    pub load: u64,
    /// Refuse it on arrival if the requests before it would make it wait past its deadline.
    pub fail_fast: bool,
}

impl Default for Attributes {
    fn default() -> Self {
        Self {
            priority: DEFAULT_PRIORITY,
            lane: None,
            lane_hash: None,
            load: 1,
            fail_fast: false,
        }
    }
}

impl Attributes {
    /// Whether nothing but the order of arrival decides when the request is admitted, where a
    /// resource has a limit and nothing else.
    #[inline]
    pub fn are_default(&self) -> bool {
        self.priority == DEFAULT_PRIORITY && !self.fail_fast
    }
}

/// A waiter that arrived at another queue, which it leaves for this one.
#[derive(Clone, Copy, Debug)]
pub struct Adopted {
    pub claim: Demand,
    pub arrived: Nanos,
    pub deadline: Nanos,
}

/// What becomes of an arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Its demands are taken in the ledger.
    Granted,
    Queued(Ticket),
    /// Its set does not fit and it has no time to wait; it lacks `short`, perhaps of a rate.
    NoTime {
        short: u32,
        by_rate: bool,
    },
    /// Its set does not fit, and the requests before it would make it wait past its deadline.
    WouldTimeOut {
        short: u32,
        by_rate: bool,
    },
    /// Its set does not fit and the queue at `resource` is at its bound.
    QueueFull {
        resource: u32,
    },
    /// The queue was closed.
    Closed,
}

impl<T> Queue<T> {
    /// Grants, queues or refuses an arrival; what is not queued comes back, in the lanes that it
    /// got.
    pub fn arrive(
        &mut self,
        now: Nanos,
        mut arrival: Arrival<T>,
        ledger: &mut impl Ledger,
    ) -> (Admission, Option<Arrival<T>>) {
        if self.is_closed {
            return (Admission::Closed, Some(arrival));
        }
        for demand in &*arrival.demands {
            ledger.contend(demand.resource);
        }
        let unsettled = match self.has_rules || !self.dirty.is_empty() {
            true => self.unsettled(&arrival.demands, now),
            false => None,
        };
        if self.has_rules {
            arrival.claims.load = self.bounded_load(&arrival.demands, arrival.claims.load);
            self.join_lanes(&mut arrival);
            for demand in &*arrival.demands {
                self.tend(demand.resource, now, ledger);
            }
        }
        if self.uncommon > 0 || arrival.claims.priority > DEFAULT_PRIORITY {
            self.age(now);
        }
        let stands_aside = self.exceeds(&arrival.demands, arrival.claims.priority, ledger);
        let flow = self.flow_of(&arrival.demands, arrival.claims.priority, stands_aside);
        let newest_first = match flow {
            Some(flow) => self.flows[flow as usize].newest_first,
            None => self.is_standing(&arrival.demands),
        };
        let Attributes { priority, load, .. } = arrival.claims;
        let seq = self.next_seq;
        let asker = Candidate {
            demands: &arrival.demands,
            rank: Rank::new(priority, seq, newest_first),
            seq,
            priority,
            load,
        };
        let first = flow.and_then(|flow| self.flows[flow as usize].head);
        let short = match first {
            _ if unsettled.is_some() => unsettled,
            // Behind others of its flow it waits in any case; the reason is looked up where it
            // matters.
            Some(first) if first.rank < asker.rank => match arrival.deadline > now {
                true => Some(arrival.demands[0].resource),
                false => self
                    .short(&asker, now, ledger)
                    .or(Some(arrival.demands[0].resource)),
            },
            _ => self.short(&asker, now, ledger),
        };
        let answer = match short {
            None if arrival.deadline < now => Admission::NoTime {
                short: arrival.demands[0].resource,
                by_rate: false,
            },
            None => {
                self.take(&asker, now, ledger);
                if self.has_rules {
                    self.reorder(&arrival.demands);
                }
                Admission::Granted
            }
            Some(short) if arrival.deadline <= now => {
                let by_rate = self.is_kept_by_rate(short, load, now);
                Admission::NoTime { short, by_rate }
            }
            // When the limit will be raised is not known.
            Some(short) if !stands_aside && self.is_hopeless(flow, &arrival, now) => {
                let by_rate = self.is_kept_by_rate(short, load, now);
                Admission::WouldTimeOut { short, by_rate }
            }
            Some(_) => match self.make_place(&arrival, ledger) {
                Err(resource) => Admission::QueueFull { resource },
                Ok(()) => {
                    let rank = asker.rank;
                    // The waiter that was displaced may have been the last of the flow.
                    let flow = match self.flow_of(&arrival.demands, priority, stands_aside) {
                        Some(flow) => flow,
                        None => {
                            let demands = &arrival.demands;
                            self.new_flow(now, demands, priority, newest_first, stands_aside)
                        }
                    };
                    let ticket = self.enqueue(now, arrival, flow, ledger);
                    if stands_aside {
                        let demands = self.waiters[ticket.key].demands.clone();
                        self.count_aside(now, &demands, true);
                    }
                    let head = self.flows[flow as usize].head;
                    if head.is_none_or(|head| rank < head.rank) {
                        self.renew_head(flow, ticket.key);
                    }
                    return (Admission::Queued(ticket), None);
                }
            },
        };
        if answer != Admission::Granted {
            self.leave_lanes(&arrival.demands);
        }
        self.publish(&arrival.demands, ledger);
        (answer, Some(arrival))
    }

    /// Enqueues a waiter of the FIFO of a resource, behind those that were adopted before. No other
    /// waiter claims the resource, and the first one does not fit.
    pub fn adopt(&mut self, adopted: Adopted, payload: T, ledger: &mut impl Ledger) -> Ticket {
        let Adopted {
            claim,
            arrived,
            deadline,
        } = adopted;
        let arrival = Arrival {
            payload,
            demands: Demands::collect([claim].into_iter()),
            deadline,
            claims: Attributes::default(),
            max_waiting: None,
        };
        ledger.contend(claim.resource);
        let (demands, priority) = (&arrival.demands, arrival.claims.priority);
        let stands_aside = self.exceeds(demands, priority, ledger);
        let flow = match self.flow_of(demands, priority, stands_aside) {
            Some(flow) => flow,
            None => self.new_flow(arrived, demands, priority, false, stands_aside),
        };
        let ticket = self.enqueue(arrived, arrival, flow, ledger);
        if stands_aside {
            let demands = self.waiters[ticket.key].demands.clone();
            self.count_aside(arrived, &demands, true);
        }
        if self.flows[flow as usize].head.is_none() {
            self.renew_head(flow, ticket.key);
        }
        ticket
    }

    /// Continues at the pace of a FIFO, after its waiters were adopted.
    pub fn adopt_pace<W>(&mut self, resource: u32, fifo: &Fifo<W>) {
        let line = &mut self.lines[resource as usize];
        let pace = fifo.drain();
        if !pace.is_later_than(&line.drain) {
            return;
        }
        line.drain = pace;
        for (_, head) in line.contenders() {
            let flow = self.waiters[head.key].flow;
            self.flows[flow as usize].drain = pace;
        }
    }

    /// A resource at which an earlier request may have become admissible.
    fn unsettled(&mut self, demands: &Demands, now: Nanos) -> Option<u32> {
        if self.has_rules {
            for demand in &**demands {
                if self.lines[demand.resource as usize].rate_is_due(now) {
                    self.freed(demand.resource);
                }
            }
        }
        let is_dirty = |d: &&super::Demand| self.lines[d.resource as usize].is_dirty;
        let unsettled = demands.iter().find(is_dirty);
        unsettled.map(|demand| demand.resource)
    }

    /// An arrival was admitted: its lane has moved back, so others may have moved up.
    fn reorder(&mut self, demands: &Demands) {
        for demand in &**demands {
            if self.lines[demand.resource as usize].lanes().is_some() {
                self.freed(demand.resource);
            }
        }
    }

    fn enqueue(
        &mut self,
        now: Nanos,
        arrival: Arrival<T>,
        flow: u32,
        ledger: &mut impl Ledger,
    ) -> Ticket {
        let claims = arrival.claims;
        let ticket = self.waiters.insert(Waiter {
            payload: arrival.payload,
            demands: arrival.demands,
            seq: self.next_seq,
            arrived: now,
            deadline: arrival.deadline,
            load: claims.load,
            priority: claims.priority,
            aged: false,
            is_aside: self.flows[flow as usize].is_aside,
            flow,
            turns: 0,
            lacked: u64::MAX,
            links: [Links::NONE; 2],
        });
        self.next_seq += 1;
        self.uncommon += usize::from(claims.priority != DEFAULT_PRIORITY);
        self.timeline.push(&mut self.waiters, ticket.key);
        self.flows[flow as usize].push(&mut self.waiters, ticket.key);
        let waiter = &self.waiters[ticket.key];
        for demand in &*waiter.demands {
            let line = &mut self.lines[demand.resource as usize];
            if !line.has_contenders() {
                line.drain.start(now);
            }
            line.enlist(demand, ticket.key, waiter);
            if line.waiting == 1 && line.has_rates() {
                self.rated.push(demand.resource);
            }
            ledger.waiting(demand.resource, line.waiting);
            if let Some(overload) = line.rules.as_mut().and_then(|r| r.overload.as_mut()) {
                if !waiter.is_aside {
                    overload.push(now, ticket, &self.waiters);
                }
            }
        }
        ticket
    }

    /// The flow of requests for the same resources with the same reserves, if there is one; or of
    /// requests for the same resources that stand aside.
    pub(super) fn flow_of(&self, demands: &Demands, priority: u8, is_aside: bool) -> Option<u32> {
        // Where there are lanes, few flows share one.
        let in_lane = |d: &&super::Demand| self.lines[d.resource as usize].lanes().is_some();
        let demand = match self.has_rules {
            true => demands.iter().find(in_lane).unwrap_or(&demands[0]),
            false => &demands[0],
        };
        let line = &self.lines[demand.resource as usize];
        if is_aside {
            return line.aside.flows(demand.lane).find(|&flow| {
                let one = self.flows[flow as usize].front();
                one.is_some_and(|key| self.waiters[key].demands.same_flow(demands))
            });
        }
        let peers = line.peers(demand.lane).iter();
        let mut peers = peers.map(|head| &self.waiters[head.key]);
        peers
            .find(|w| self.is_one_flow(demands, priority, &w.demands, w.priority))
            .map(|w| w.flow)
    }

    /// Whether two requests ask for the same and have the same reserved for them.
    fn is_one_flow(
        &self,
        one: &Demands,
        priority: u8,
        other: &Demands,
        other_priority: u8,
    ) -> bool {
        let alike = |d: &super::Demand| {
            let line = &self.lines[d.resource as usize];
            line.reserves_alike_for(priority, other_priority)
        };
        one.same_flow(other) && (!self.has_rules || one.iter().all(alike))
    }

    /// A flow for the first request of its kind, at the pace that such a flow had before.
    pub(super) fn begin_flow(
        &mut self,
        now: Nanos,
        demands: &Demands,
        priority: u8,
        newest_first: bool,
    ) -> u32 {
        let rested = &self.rested;
        let found = rested.find(|of, by| self.is_one_flow(demands, priority, of, by));
        let drain = self.rested.wake(found, now);
        self.flows.insert(Flow::new(newest_first, drain)) as u32
    }
}
