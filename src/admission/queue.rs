//! The waiters, and what happens to them.

use std::collections::VecDeque;

use slab::Slab;

use super::{
    Demands, Ledger, Nanos, ResourceRules,
    flow::Flow,
    order::Candidate,
    rank::{DEFAULT_PRIORITY, Head},
    resource_queue::ResourceQueue,
    rested::Rested,
    timeline::Timeline,
    waiters::{Ticket, Waiter, Waiters},
};

/// What became of a waiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its demands are taken in the ledger, in its name.
    Granted,
    /// Its deadline passed; `short` is a resource it was waiting for, and `load` what it counts as
    /// under the rates there.
    TimedOut {
        short: u32,
        by_rate: bool,
        load: u64,
    },
    /// It gave way, to a higher priority or in an overload, at this resource.
    Shed { resource: u32 },
    /// The queue was closed.
    Closed,
}

/// How often a waiter may be overtaken by turns, before its units are set aside.
pub(crate) const PATIENCE: u32 = 16;

/// Waiters for sets of resources, and the order in which they are admitted.
///
/// 1. A set is granted all together, or not at all. A waiter holds nothing.
/// 2. Waiters that claim the same resources in the same lanes, and can use the same reserves, form
///    a *flow*, in which the higher priority is first, and among equals the earlier. The first of
///    each flow contends; those behind it do not. If there is a *credit*, a waiter that has waited
///    for that long is no longer overtaken by priority.
/// 3. At a resource, flows are in the order of their lanes, and in one lane in the order of their
///    first waiters. A contender that lacks room is *short* there, and all later ones wait behind
///    it at that resource. So narrow claims do not starve a wide one. Exceptions: a reserve admits
///    its beneficiaries past others, and a contender that is blocked by the cap of its lane alone
///    does not block other lanes.
/// 4. Where a contender is not short, it blocks nothing: a request is never refused an idle
///    resource because an earlier one waits for something else.
/// 5. That alone could starve a set: `db` is free while others use `fs`, then `fs` while others use
///    `db`. A contender that is overtaken while it lacks one resource, and then while it does not
///    lack that one, has been overtaken by turns. After `PATIENCE` turns its units are set aside:
///    later requests can acquire only what is left beside them. A contender that lacks the same
///    resource all along is never overtaken by turns, so that rule 4 holds for waiters of a
///    resource that is stuck.
///
///    A waiter that claims more than it can have of some resource, whatever is returned (more than
///    the limit, than its lane may use, or than is left beside what is reserved for others),
///    *stands aside*: it does not contend at any resource until the limit or the rules allow it
///    again.
///
/// 6. Where the queue at a resource is full, an arrival takes the place of the youngest waiter of
///    the lowest priority, if that is below its own. Where there are lanes, it is the youngest of
///    the lowest priority in the lane with most waiters for its weight: whatever that priority, if
///    the lane of the arrival has fewer even with one more, or else one below its own in its own
///    lane. So a lane cannot exclude others from the queue by filling it.
///
/// The times that are passed in never decrease.
///
/// What a verdict costs does not depend on the number of waiters, and on the number of lanes only
/// by its logarithm. Where sets of several resources wait, each lane with such a set counts as a
/// set of its own, and a verdict looks at all of them that could go but for another resource.
#[derive(Debug)]
pub struct Queue<T> {
    pub(super) waiters: Waiters<T>,
    pub(super) flows: Slab<Flow>,
    pub(super) rested: Rested,
    pub(super) lines: Vec<ResourceQueue>,
    pub(super) timeline: Timeline,
    /// The resources at which something may have become possible.
    pub(super) dirty: Vec<u32>,
    /// The resources with rates at which something waits.
    pub(super) rated: Vec<u32>,
    /// Verdicts that wait to be collected.
    pub(super) decided: VecDeque<(T, Verdict)>,
    pub(super) next_seq: u64,
    /// For how long a waiter can be overtaken by priority, if not until its deadline.
    credit: Option<Nanos>,
    /// How many waiters have another priority than the default.
    pub(super) uncommon: usize,
    /// Whether some resource has more to it than its limit.
    pub(super) has_rules: bool,
    pub(super) is_closed: bool,
    /// Whether every return is to be seen.
    pub(super) is_watched: bool,
}

/// One resource as the queue knows it.
#[derive(Clone, Debug)]
pub struct ResourceSpec {
    pub max_waiting: usize,
    pub limit: u32,
    pub rules: ResourceRules,
}

impl<T> Queue<T> {
    pub fn new(specs: impl IntoIterator<Item = ResourceSpec>, credit: Option<Nanos>) -> Self {
        let lines: Vec<ResourceQueue> = specs
            .into_iter()
            .map(|spec| ResourceQueue::new(spec.max_waiting, spec.limit, &spec.rules))
            .collect();
        Self {
            waiters: Waiters::new(),
            flows: Slab::new(),
            rested: Rested::default(),
            dirty: Vec::with_capacity(lines.len()),
            has_rules: lines.iter().any(|line| line.rules.is_some()),
            lines,
            rated: Vec::new(),
            timeline: Timeline::new(),
            decided: VecDeque::new(),
            next_seq: 0,
            credit,
            uncommon: 0,
            is_closed: false,
            is_watched: false,
        }
    }

    /// Units of `resource` were returned, or its rules have changed.
    pub fn freed(&mut self, resource: u32) {
        let line = &mut self.lines[resource as usize];
        if !line.is_dirty && line.has_contenders() {
            line.is_dirty = true;
            self.dirty.push(resource);
        }
    }

    /// A set was returned that was granted to a request of this priority.
    pub fn returned(&mut self, demands: &Demands, priority: u8) {
        for demand in &**demands {
            self.lines[demand.resource as usize].give_back(demand, priority);
            self.freed(demand.resource);
        }
    }

    /// Takes a waiter out of the queue; `None` if it has had its verdict.
    pub fn cancel(&mut self, ticket: Ticket, ledger: &mut impl Ledger) -> Option<T> {
        if !self.waiters.contains(ticket) {
            return None;
        }
        let waiter = self.remove(ticket.key);
        self.leave_lanes(&waiter.demands);
        self.publish(&waiter.demands, ledger);
        Some(waiter.payload)
    }

    /// Whether [`next_verdict`](Self::next_verdict) has something to look at.
    pub fn is_dirty(&self) -> bool {
        !self.dirty.is_empty() || !self.decided.is_empty()
    }

    /// Returns the next waiter that is admitted, or times out instead. After it was called until it
    /// returns `None`, no waiter is left with a set that fits.
    pub fn next_verdict(&mut self, now: Nanos, ledger: &mut impl Ledger) -> Option<(T, Verdict)> {
        if self.has_rules {
            for position in (0..self.dirty.len()).rev() {
                self.tend(self.dirty[position], now, ledger);
            }
        }
        if let Some(decided) = self.decided.pop_front() {
            return Some(decided);
        }
        if self.uncommon > 0 {
            self.age(now);
        }
        let Head { rank, key } = self.first_candidate(now, ledger)?;
        if self.waiters[key].deadline < now {
            return Some(self.time_out(key, now, ledger));
        }
        let flow = self.waiters[key].flow;
        let busy = self.flows[flow as usize].drain.count(now, Nanos::MAX);
        let waiter = self.remove(key);
        let asker = Candidate {
            demands: &waiter.demands,
            rank,
            seq: waiter.seq,
            priority: waiter.priority,
            load: waiter.load,
        };
        self.take(&asker, now, ledger);
        for demand in &*waiter.demands {
            self.lines[demand.resource as usize].drain.count(now, busy);
        }
        self.publish(&waiter.demands, ledger);
        self.wipe_dry(ledger);
        Some((waiter.payload, Verdict::Granted))
    }

    /// Returns the next waiter that times out.
    pub fn next_expired(&mut self, now: Nanos, ledger: &mut impl Ledger) -> Option<(T, Verdict)> {
        let (deadline, key) = self.timeline.next_deadline(&self.waiters)?;
        (deadline <= now).then(|| self.time_out(key, now, ledger))
    }

    /// Whether the deadline of some waiter has come, or the time at which a rate lets one go, or at
    /// which it is not overtaken any more.
    pub fn is_due(&mut self, now: Nanos) -> bool {
        for position in 0..self.rated.len() {
            let resource = self.rated[position];
            if self.lines[resource as usize].rate_is_due(now) {
                self.freed(resource);
            }
        }
        if self.uncommon > 0 {
            self.age(now);
        }
        self.is_dirty()
            || self
                .timeline
                .next_deadline(&self.waiters)
                .is_some_and(|(deadline, _)| deadline <= now)
    }

    /// When to look again if nothing else happens: at a deadline, when a rate admits a waiter, or
    /// when a waiter is no longer blocked by a higher priority that lacks room.
    pub fn next_event(&mut self) -> Option<Nanos> {
        let deadline = self.timeline.next_deadline(&self.waiters);
        let deadline = deadline.map(|(deadline, _)| deadline);
        self.next_chance().into_iter().chain(deadline).min()
    }

    /// The same for some waiters: at their deadlines alone.
    #[cold]
    pub fn next_event_of(&self, are_meant: impl Fn(&T) -> bool) -> Option<Nanos> {
        let meant = self
            .waiters
            .iter()
            .filter(|waiter| are_meant(&waiter.payload));
        let deadlines = meant.map(|waiter| waiter.deadline);
        deadlines.chain(self.next_chance()).min()
    }

    /// When time alone may make a waiter admissible.
    fn next_chance(&self) -> Option<Nanos> {
        let credit = self.credit.filter(|_| self.uncommon > 0);
        let aged = credit.and_then(|credit| {
            let arrived = self.timeline.first_young(&self.waiters)?;
            Some(arrived.saturating_add(credit))
        });
        let rated = self.rated.iter();
        let rated = rated.map(|&resource| &self.lines[resource as usize]);
        let retries = rated.filter(|line| line.has_contenders());
        retries
            .filter_map(ResourceQueue::retry_at)
            .chain(aged)
            .min()
    }

    /// What the waiter under this ticket has left with the queue, if it still waits.
    pub fn payload_mut(&mut self, ticket: Ticket) -> Option<&mut T> {
        self.waiters.find(ticket).map(|waiter| &mut waiter.payload)
    }

    /// What all waiters have left with the queue, in the order of arrival.
    pub fn payloads(&self) -> impl Iterator<Item = &T> + use<'_, T> {
        let keys = self.timeline.keys(&self.waiters);
        keys.map(|key| &self.waiters[key].payload)
    }

    /// For some waiters time stands still while it goes on for the others: their deadlines are put
    /// off.
    #[cold]
    pub fn postpone(&mut self, by: Nanos, stands_still: impl Fn(&T) -> bool) {
        for waiter in self.waiters.iter_mut() {
            if stands_still(&waiter.payload) {
                waiter.deadline = waiter.deadline.saturating_add(by);
            }
        }
        self.timeline.renew(&self.waiters);
    }

    /// Returns `true` if all waiters have the default priority.
    pub(super) fn all_alike(&self) -> bool {
        self.uncommon == 0
    }

    /// Returns `true` if time alone may make a waiter admissible.
    pub fn depends_on_time(&self) -> bool {
        self.has_rules || self.uncommon > 0 && self.credit.is_some()
    }

    /// Whether some resource has more to it than its limit.
    pub(super) fn has_rules(&self) -> bool {
        self.has_rules
    }

    /// When a request of this load that was refused at `resource` should retry: once the queue has
    /// drained, at its present pace, and the rates allow it. Retries are spread.
    pub fn retry_after(&mut self, resource: u32, load: u64, now: Nanos) -> Option<Nanos> {
        let line = &mut self.lines[resource as usize];
        let rate = line.come_back_at(load, now).map(|at| at - now);
        // Waiters that stand aside are before no other, unless all do: then they are the next.
        let waiting = match line.queued() {
            0 => line.waiting,
            queued => queued,
        };
        let ResourceQueue {
            drain,
            limit,
            scatter,
            ..
        } = line;
        // When a rate allows it is known, and not a guess: to come before is to come in vain.
        drain.hint(waiting, *limit, now, scatter).max(rate)
    }

    /// The demands of a waiter, in the lanes that it got.
    pub fn demands(&self, ticket: Ticket) -> Option<&Demands> {
        let waiter = self.waiters.contains(ticket);
        waiter.then(|| &self.waiters[ticket.key].demands)
    }

    fn time_out(&mut self, key: u32, now: Nanos, ledger: &mut impl Ledger) -> (T, Verdict) {
        let short = self
            .short(&self.asker(key), now, ledger)
            .unwrap_or(self.waiters[key].demands[0].resource);
        let load = self.waiters[key].load;
        let by_rate = self.is_kept_by_rate(short, load, now);
        let waiter = self.remove(key);
        self.leave_lanes(&waiter.demands);
        self.publish(&waiter.demands, ledger);
        let timed_out = Verdict::TimedOut {
            short,
            by_rate,
            load,
        };
        (waiter.payload, timed_out)
    }

    /// Returns `true` if it is a rate that blocks a request of this load at `resource`.
    pub fn is_kept_by_rate(&self, resource: u32, load: u64, now: Nanos) -> bool {
        self.has_rules && self.lines[resource as usize].is_kept_by_rate(load, now)
    }

    /// Decides a waiter where nothing else depends on it.
    pub(super) fn decide(&mut self, key: u32, verdict: Verdict, ledger: &mut impl Ledger) {
        let waiter = self.remove(key);
        self.leave_lanes(&waiter.demands);
        self.publish(&waiter.demands, ledger);
        self.decided.push_back((waiter.payload, verdict));
    }

    /// Waiters that have used up the credit are no longer overtaken.
    pub(super) fn age(&mut self, now: Nanos) {
        let Some(time) = self.credit.and_then(|credit| now.checked_sub(credit)) else {
            return;
        };
        while let Some(key) = self.timeline.age(&mut self.waiters, time) {
            self.renew_head(self.waiters[key].flow, key);
        }
    }

    /// Removes a waiter. Waiters behind it may become admissible.
    fn remove(&mut self, key: u32) -> Waiter<T> {
        self.timeline.forget(&mut self.waiters, key);
        self.leave_flow(key);
        let waiter = &self.waiters[key];
        self.uncommon -= usize::from(waiter.priority != DEFAULT_PRIORITY);
        for demand in &*waiter.demands {
            let line = &mut self.lines[demand.resource as usize];
            line.strike_off(demand.lane, key, waiter);
            line.aside.waiting -= usize::from(waiter.is_aside);
            if line.waiting == 0 && line.has_rates() {
                self.rated.retain(|&resource| resource != demand.resource);
            }
        }
        self.waiters.remove(key)
    }

    /// Updates the contender of a flow; `key` is one of its waiters, which has the resources.
    pub(super) fn renew_head(&mut self, flow: u32, key: u32) {
        let flow = &mut self.flows[flow as usize];
        let first = flow.first(&self.waiters);
        if flow.head == first {
            return;
        }
        let before = std::mem::replace(&mut flow.head, first);
        let demands = &self.waiters[key].demands;
        let is_set = demands.len() > 1;
        for demand in &**demands {
            let line = &mut self.lines[demand.resource as usize];
            line.replace(demand.lane, before, first, is_set);
            if self.has_rules {
                line.favour(before, first, |head| self.waiters[head.key].priority);
            }
            if before.is_some() && !line.is_dirty {
                line.is_dirty = true;
                self.dirty.push(demand.resource);
            }
        }
    }

    /// Writes to the ledger how many requests wait at these resources, and whether units may be
    /// acquired past the queue.
    pub(super) fn publish(&self, demands: &Demands, ledger: &mut impl Ledger) {
        for demand in &**demands {
            let line = &self.lines[demand.resource as usize];
            ledger.waiting(demand.resource, line.waiting);
            if line.waiting == 0 && line.rules.is_none() && !self.is_closed && !self.is_watched {
                ledger.calm(demand.resource, line.drain);
            }
        }
    }
}
