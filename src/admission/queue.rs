//! The waiters and the order among them.

use slab::Slab;

use super::{
    Demands, Ledger, Nanos,
    deadlines::Deadlines,
    waiters::{Among, List, Ticket, Waiter, Waiters},
};

/// What became of a waiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Its demands are taken in the ledger, in its name.
    Granted,
    /// Its deadline passed; `short` is a resource it was waiting for.
    TimedOut { short: u32 },
}

/// A request that arrives at the queue.
#[derive(Debug)]
pub(crate) struct Arrival<T> {
    /// Comes back with the verdict.
    pub(crate) payload: T,
    pub(crate) demands: Demands,
    pub(crate) deadline: Nanos,
    /// Instead of each resource's own bound on the length of its queue.
    pub(crate) max_waiting: Option<usize>,
}

/// What the queue says to an arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Its demands are taken in the ledger.
    Granted,
    Queued(Ticket),
    /// Its set does not fit and it has no time to wait; it lacks `short`.
    NoTime {
        short: u32,
    },
    /// Its set does not fit and the queue at `resource` is at its bound.
    Full {
        resource: u32,
    },
}

/// How often a waiter may be overtaken by turns, before its units are set aside.
pub(crate) const PATIENCE: u32 = 16;

/// Waiters for sets of resources, and who of them goes next.
///
/// 1. A set is granted all together, or not at all. A waiter holds nothing.
/// 2. Waiters that ask for the same resources form a *class* and are served first come, first served.
///    The first of each class contends; those behind it do not.
/// 3. A contender that lacks room at a resource is *short* there, and everyone later waits behind it
///    at that resource. So narrow claims do not starve a wide one.
/// 4. Where it is not short, it stands in nobody's way: an idle resource is never kept from a request
///    by one that waits for something else.
/// 5. That alone could starve a set: `db` is free while others use `fs`, then `fs` while others use
///    `db`. A contender that is overtaken while it lacks one resource, and then while it does not lack
///    that one, has been overtaken by turns. After [`PATIENCE`] turns its units are set aside: later
///    requests get only what is left beside them. Whoever lacks the same resource all along is never
///    overtaken by turns, so that rule 4 holds for all who wait for one that is stuck.
///
/// What a verdict costs does not depend on the number of waiters, only on the number of classes, which
/// is that of the different resource sets that wait at the same time: it is constant where one set waits,
/// and at most quadratic in the number of sets that share resources.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    waiters: Waiters<T>,
    classes: Slab<List>,
    lines: Vec<Line>,
    deadlines: Deadlines,
    /// The resources at which something may have become possible.
    dirty: Vec<u32>,
    next_seq: u64,
}

/// What waits at one resource.
#[derive(Debug)]
struct Line {
    /// The first waiter of each class that asks for the resource, in order of arrival.
    heads: Vec<Head>,
    waiting: usize,
    max_waiting: usize,
    dirty: bool,
}

impl Line {
    /// Puts the next of its class, which arrived later, in the place of a head.
    fn succeed(&mut self, key: u32, successor: Option<Head>) {
        let gone = self.heads.iter().position(|head| head.key == key);
        let gone = gone.expect("the head stands in every line of its class");
        match successor {
            None => drop(self.heads.remove(gone)),
            Some(successor) => {
                let later = &self.heads[gone + 1..];
                let earlier = later.partition_point(|head| *head < successor);
                self.heads[gone] = successor;
                self.heads[gone..=gone + earlier].rotate_left(1);
            }
        }
    }
}

/// Ordered by arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Head {
    seq: u64,
    key: u32,
}

impl<T> Queue<T> {
    /// A queue for as many resources as there are bounds on the number of their waiters.
    pub(crate) fn new(max_waiting: impl IntoIterator<Item = usize>) -> Self {
        let lines: Vec<Line> = max_waiting
            .into_iter()
            .map(|max_waiting| Line {
                heads: Vec::new(),
                waiting: 0,
                max_waiting,
                dirty: false,
            })
            .collect();
        Self {
            waiters: Waiters::new(),
            classes: Slab::new(),
            dirty: Vec::with_capacity(lines.len()),
            lines,
            deadlines: Deadlines::new(),
            next_seq: 0,
        }
    }

    /// Grants, queues or refuses an arrival; what is not queued comes back.
    pub(crate) fn arrive(
        &mut self,
        now: Nanos,
        arrival: Arrival<T>,
        ledger: &mut impl Ledger,
    ) -> (Answer, Option<Arrival<T>>) {
        for demand in &*arrival.demands {
            ledger.contend(demand.resource);
        }
        let Arrival {
            demands, deadline, ..
        } = &arrival;
        let deadline = *deadline;
        let seq = self.next_seq;
        let class = self.class_of(demands);
        // Behind others of its class it waits in any case; the reason is looked up where it matters.
        let short = match class {
            Some(_) if deadline > now => Some(demands[0].resource),
            Some(_) => self
                .short(seq, demands, ledger)
                .or(Some(demands[0].resource)),
            None => self.short(seq, demands, ledger),
        };
        let refusal = match short {
            None if deadline < now => Some(Answer::NoTime {
                short: demands[0].resource,
            }),
            None => {
                self.take(seq, demands, ledger);
                Some(Answer::Granted)
            }
            Some(short) if deadline <= now => Some(Answer::NoTime { short }),
            Some(_) => self.full(demands, arrival.max_waiting),
        };
        if let Some(answer) = refusal {
            self.publish(demands, ledger);
            return (answer, Some(arrival));
        }

        for demand in &**demands {
            let line = &mut self.lines[demand.resource as usize];
            line.waiting += 1;
            ledger.waiting(demand.resource, line.waiting);
        }
        self.next_seq += 1;
        let class = class.unwrap_or_else(|| self.classes.insert(List::EMPTY) as u32);
        let waiter = Waiter::new(arrival.payload, arrival.demands, seq, deadline, class);
        let ticket = self.waiters.insert(waiter);
        let list = &mut self.classes[class as usize];
        let is_head = list.head().is_none();
        self.waiters.link_last(list, Among::Class, ticket.key);
        if is_head {
            self.enter_heads(ticket.key);
        }
        self.deadlines.push(&mut self.waiters, ticket.key);
        (Answer::Queued(ticket), None)
    }

    /// Units of `resource` were released, or its limit was raised.
    pub(crate) fn freed(&mut self, resource: u32) {
        let line = &mut self.lines[resource as usize];
        if !line.dirty && !line.heads.is_empty() {
            line.dirty = true;
            self.dirty.push(resource);
        }
    }

    /// Takes a waiter out of the queue; `None` if it has had its verdict.
    pub(crate) fn cancel(&mut self, ticket: Ticket, ledger: &mut impl Ledger) -> Option<T> {
        if !self.waiters.contains(ticket) {
            return None;
        }
        let waiter = self.remove(ticket.key);
        self.publish(&waiter.demands, ledger);
        Some(waiter.payload)
    }

    /// Whether [`next_verdict`](Self::next_verdict) has something to look at.
    pub(crate) fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// The next waiter that can go, or that should have gone but is out of time. Called until there
    /// is none, it leaves no waiter asleep whose set fits.
    pub(crate) fn next_verdict(
        &mut self,
        now: Nanos,
        ledger: &mut impl Ledger,
    ) -> Option<(T, Verdict)> {
        let Head { seq, key } = self.first_candidate(now, ledger)?;
        if self.waiters[key].deadline < now {
            return Some(self.time_out(key, ledger));
        }
        let waiter = self.remove(key);
        self.take(seq, &waiter.demands, ledger);
        self.publish(&waiter.demands, ledger);
        self.wipe_dry(ledger);
        Some((waiter.payload, Verdict::Granted))
    }

    /// The first to arrive of those who can go.
    fn first_candidate(&mut self, now: Nanos, ledger: &impl Ledger) -> Option<Head> {
        let mut first: Option<Head> = None;
        let mut position = 0;
        while let Some(&resource) = self.dirty.get(position) {
            match self.candidate(resource, now, ledger) {
                Some(head) => {
                    first = Some(first.map_or(head, |first| first.min(head)));
                    position += 1;
                }
                None => self.wipe(position),
            }
        }
        first
    }

    /// Nothing is possible any more where no unit is left: that need not be found out in another round.
    fn wipe_dry(&mut self, ledger: &impl Ledger) {
        let mut position = 0;
        while let Some(&resource) = self.dirty.get(position) {
            if ledger.usage(resource).fits(1) {
                position += 1;
            } else {
                self.wipe(position);
            }
        }
    }

    fn wipe(&mut self, position: usize) {
        let resource = self.dirty.swap_remove(position);
        self.lines[resource as usize].dirty = false;
    }

    /// The next waiter whose deadline has come.
    pub(crate) fn next_expired(
        &mut self,
        now: Nanos,
        ledger: &mut impl Ledger,
    ) -> Option<(T, Verdict)> {
        let (deadline, key) = self.deadlines.next(&self.waiters)?;
        (deadline <= now).then(|| self.time_out(key, ledger))
    }

    /// Whether the deadline of some waiter has come.
    pub(crate) fn is_due(&mut self, now: Nanos) -> bool {
        self.next_deadline().is_some_and(|deadline| deadline <= now)
    }

    /// The earliest deadline of all waiters.
    pub(crate) fn next_deadline(&mut self) -> Option<Nanos> {
        self.deadlines
            .next(&self.waiters)
            .map(|(deadline, _)| deadline)
    }

    /// What the waiter under this ticket has left with the queue, if it still waits.
    pub(crate) fn payload_mut(&mut self, ticket: Ticket) -> Option<&mut T> {
        self.waiters.find(ticket).map(|waiter| &mut waiter.payload)
    }

    /// What all waiters have left with the queue.
    pub(crate) fn payloads(&self) -> impl Iterator<Item = &T> {
        self.waiters.iter().map(|waiter| &waiter.payload)
    }

    /// How many requests are queued at `resource`.
    pub(crate) fn waiting(&self, resource: u32) -> usize {
        self.lines[resource as usize].waiting
    }

    #[cfg(all(test, not(tcl_loom)))]
    pub(super) fn deadlines_kept(&self) -> usize {
        self.deadlines.kept_out_of_order()
    }

    /// The first contender at `resource` that fits, or would but for its deadline. Stops at one that
    /// is short there: nobody later can go.
    fn candidate(&self, resource: u32, now: Nanos, ledger: &impl Ledger) -> Option<Head> {
        for &head in &self.lines[resource as usize].heads {
            let Waiter {
                demands, deadline, ..
            } = &self.waiters[head.key];
            if *deadline < now {
                return Some(head);
            }
            match self.short(head.seq, demands, ledger) {
                None => return Some(head),
                Some(short) if short == resource => return None,
                Some(_) => {
                    let units = demands.units_of(resource);
                    if !self.has_room(resource, head.seq, units, ledger) {
                        return None;
                    }
                }
            }
        }
        None
    }

    /// The first resource at which a request that arrived as number `seq` lacks room.
    fn short(&self, seq: u64, demands: &Demands, ledger: &impl Ledger) -> Option<u32> {
        demands
            .iter()
            .find(|d| !self.has_room(d.resource, seq, d.units, ledger))
            .map(|d| d.resource)
    }

    /// Whether `units` of `resource` are there for a request that arrived as number `seq`: beside what
    /// is in use, behind nobody who is short, and beside what is set aside.
    fn has_room(&self, resource: u32, seq: u64, units: u32, ledger: &impl Ledger) -> bool {
        let usage = ledger.usage(resource);
        let limit = u64::from(usage.limit());
        let mut taken = u64::from(usage.in_use());
        for earlier in self.contenders_before(resource, seq) {
            let wanted = u64::from(earlier.demands.units_of(resource));
            if taken + wanted > limit {
                return false;
            }
            if earlier.turns >= PATIENCE {
                taken += wanted;
            }
        }
        taken + u64::from(units) <= limit
    }

    fn contenders_before(&self, resource: u32, seq: u64) -> impl Iterator<Item = &Waiter<T>> {
        self.lines[resource as usize]
            .heads
            .iter()
            .take_while(move |head| head.seq < seq)
            .map(|head| &self.waiters[head.key])
    }

    /// Takes the demands of the request that arrived as number `seq`; whoever came before it and
    /// wants one of the same resources was overtaken.
    #[inline]
    fn take(&mut self, seq: u64, demands: &Demands, ledger: &mut impl Ledger) {
        for demand in &**demands {
            for position in 0.. {
                let line = &self.lines[demand.resource as usize];
                let Some(head) = line.heads.get(position).filter(|head| head.seq < seq) else {
                    break;
                };
                let key = head.key;
                let lacked = self.lacked(key, ledger);
                self.waiters[key].overtake(lacked);
            }
        }
        for demand in &**demands {
            ledger.take(demand.resource, demand.units);
        }
    }

    /// The resources at which a waiter is short, as bits by position among its demands; those of a
    /// set of more than 64 share bits.
    fn lacked(&self, key: u32, ledger: &impl Ledger) -> u64 {
        let waiter = &self.waiters[key];
        let bits = waiter.demands.iter().enumerate().map(|(position, d)| {
            let short = !self.has_room(d.resource, waiter.seq, d.units, ledger);
            u64::from(short) << (position % 64)
        });
        bits.fold(0, |all, bit| all | bit)
    }

    fn time_out(&mut self, key: u32, ledger: &mut impl Ledger) -> (T, Verdict) {
        let waiter = &self.waiters[key];
        let short = self
            .short(waiter.seq, &waiter.demands, ledger)
            .unwrap_or(waiter.demands[0].resource);
        let waiter = self.remove(key);
        self.publish(&waiter.demands, ledger);
        (waiter.payload, Verdict::TimedOut { short })
    }

    /// The bound that an arrival would exceed.
    fn full(&self, demands: &Demands, max_waiting: Option<usize>) -> Option<Answer> {
        demands
            .iter()
            .map(|d| (d.resource, &self.lines[d.resource as usize]))
            .find(|(_, line)| line.waiting >= max_waiting.unwrap_or(line.max_waiting))
            .map(|(resource, _)| Answer::Full { resource })
    }

    /// The class of those that wait for the same resources, if anybody does.
    fn class_of(&self, demands: &Demands) -> Option<u32> {
        self.lines[demands[0].resource as usize]
            .heads
            .iter()
            .map(|head| &self.waiters[head.key])
            .find(|head| head.demands.same_resources(demands))
            .map(|head| head.class)
    }

    /// Takes a waiter out; whoever it stood in front of may go now.
    fn remove(&mut self, key: u32) -> Waiter<T> {
        self.deadlines.forget(&mut self.waiters, key);
        let class = self.waiters[key].class;
        let list = &mut self.classes[class as usize];
        let was_head = list.head() == Some(key);
        self.waiters.unlink(list, Among::Class, key);
        let waiter = self.waiters.remove(key);
        if was_head {
            let successor = list.head().map(|key| Head {
                seq: self.waiters[key].seq,
                key,
            });
            if successor.is_none() {
                self.classes.remove(class as usize);
            }
            for demand in &*waiter.demands {
                self.lines[demand.resource as usize].succeed(key, successor);
                self.freed(demand.resource);
            }
        }
        for demand in &*waiter.demands {
            self.lines[demand.resource as usize].waiting -= 1;
        }
        waiter
    }

    /// The waiter is the first of a new class, and the last to arrive.
    fn enter_heads(&mut self, key: u32) {
        let waiter = &self.waiters[key];
        let seq = waiter.seq;
        for demand in &*waiter.demands {
            let line = &mut self.lines[demand.resource as usize];
            line.heads.push(Head { seq, key });
        }
    }

    /// Tells the ledger how many wait at these resources.
    fn publish(&self, demands: &Demands, ledger: &mut impl Ledger) {
        for demand in &**demands {
            ledger.waiting(demand.resource, self.waiting(demand.resource));
        }
    }
}
