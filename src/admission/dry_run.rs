//! A dry run: what would have become of requests at resources that do not block them.

use std::{cmp::Reverse, collections::BinaryHeap};

use slab::Slab;

use super::{
    Admission, Arrival, Attributes, Charge, Demands, Drain, Ledger, Nanos, NewRule, Queue,
    ResourceSpec, Usage, Verdict,
};

/// A queue for requests that do not wait for it.
///
/// It sees when each request arrives and when its work ends, and assumes that the work would have
/// taken as long later. From that it computes, in virtual time, when each request would have been
/// granted its set or refused: the same queue with the same rules, so the same decisions.
#[derive(Debug)]
pub struct DryRun {
    queue: Queue<u32>,
    usages: Usages,
    cases: Slab<Case>,
    /// What is still to happen to cases that were granted, and when.
    events: BinaryHeap<Reverse<(Nanos, Event)>>,
    now: Nanos,
    news: Vec<DryReport>,
}

#[derive(Debug)]
struct Case {
    demands: Demands,
    priority: u8,
    charge: Charge,
    arrived: Nanos,
    /// How long its work took, once it is done.
    took: Option<Nanos>,
    /// What its load turned out to be, and after how much of its work.
    settled: Vec<(Nanos, u64)>,
    fate: Fate,
}

/// In the order in which they happen at the same instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Settled { case: u32, load: u64 },
    Done { case: u32 },
}

#[derive(Clone, Copy, Debug)]
enum Fate {
    Waiting,
    Granted(Nanos),
    Refused,
}

/// What would have become of a request that had waited.
#[derive(Clone, Debug)]
pub struct DryReport {
    pub demands: Demands,
    pub waited: Nanos,
    pub fate: DryOutcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DryOutcome {
    Granted,
    /// It had no time to wait.
    NotNow {
        short: u32,
    },
    WouldTimeOut {
        short: u32,
    },
    TimedOut {
        short: u32,
    },
    Full {
        resource: u32,
    },
    Shed {
        resource: u32,
    },
}

impl DryRun {
    pub fn new(specs: Vec<ResourceSpec>, credit: Option<Nanos>) -> Self {
        let usages = specs.iter().map(|spec| Usage::new(spec.limit));
        Self {
            usages: Usages(usages.collect()),
            queue: Queue::new(specs, credit),
            cases: Slab::new(),
            events: BinaryHeap::new(),
            now: 0,
            news: Vec::new(),
        }
    }

    /// A request comes, and goes to work at once. Its case is open until it is [done](Self::done).
    pub fn arrive(
        &mut self,
        now: Nanos,
        demands: Demands,
        claims: Attributes,
        timeout: Nanos,
        max_waiting: Option<usize>,
    ) -> u32 {
        self.advance(now);
        let now = self.now;
        let case = self.cases.insert(Case {
            demands: demands.clone(),
            priority: claims.priority,
            charge: Charge::new(self.queue.bounded_load(&demands, claims.load)),
            arrived: now,
            took: None,
            settled: Vec::new(),
            fate: Fate::Waiting,
        }) as u32;
        let arrival = Arrival {
            payload: case,
            demands,
            deadline: now.saturating_add(timeout),
            claims,
            max_waiting,
        };
        let (answer, unused) = self.queue.arrive(now, arrival, &mut self.usages);
        let in_lanes = match answer {
            Admission::Queued(ticket) => self.queue.demands(ticket).cloned(),
            _ => unused.map(|arrival| arrival.demands),
        };
        let this = &mut self.cases[case as usize];
        this.demands = in_lanes.unwrap_or_else(|| this.demands.clone());
        match answer {
            Admission::Queued(_) => {}
            Admission::Granted => this.fate = Fate::Granted(now),
            // With time it would be queued.
            Admission::NoTime { short, .. } => self.refuse(case, now, DryOutcome::NotNow { short }),
            Admission::WouldTimeOut { short, .. } => {
                self.refuse(case, now, DryOutcome::WouldTimeOut { short });
            }
            Admission::QueueFull { resource } => {
                self.refuse(case, now, DryOutcome::Full { resource })
            }
            Admission::Closed => this.fate = Fate::Refused,
        }
        self.settle();
        case
    }

    /// The work of a request is done.
    pub fn done(&mut self, now: Nanos, case: u32) {
        // Of a return and a deadline at the same instant, the return comes first.
        self.advance(now.saturating_sub(1));
        let now = self.now.max(now);
        let this = &mut self.cases[case as usize];
        let took = now.saturating_sub(this.arrived);
        this.took = Some(took);
        match this.fate {
            Fate::Waiting => {}
            Fate::Granted(at) => {
                let end = at.saturating_add(took);
                self.events.push(Reverse((end, Event::Done { case })));
            }
            Fate::Refused => drop(self.cases.remove(case as usize)),
        }
        self.advance(now);
    }

    /// Corrects the load of a request.
    pub fn settle_load(&mut self, now: Nanos, case: u32, actual: u64) {
        self.advance(now.saturating_sub(1));
        let now = self.now.max(now);
        let this = &mut self.cases[case as usize];
        let after = now.saturating_sub(this.arrived);
        match this.fate {
            Fate::Waiting => this.settled.push((after, actual)),
            Fate::Granted(at) => {
                let settled = Event::Settled { case, load: actual };
                self.events
                    .push(Reverse((at.saturating_add(after), settled)));
            }
            Fate::Refused => {}
        }
        self.advance(now);
    }

    pub fn set_limit(&mut self, now: Nanos, resource: u32, limit: u32) {
        self.advance(now);
        let now = self.now;
        self.queue.set_limit(now, resource, limit, &mut self.usages);
        self.settle();
    }

    pub fn set_rule(&mut self, now: Nanos, resource: u32, rule: NewRule) -> bool {
        self.advance(now);
        let now = self.now;
        let found = self.queue.set_rule(now, resource, rule, &self.usages);
        self.settle();
        found
    }

    /// Takes the reports on requests that would have waited or been refused.
    pub fn take_news(&mut self) -> Vec<DryReport> {
        std::mem::take(&mut self.news)
    }

    /// Works out what has happened until `now`.
    fn advance(&mut self, now: Nanos) {
        loop {
            let own = self.events.peek().map(|Reverse((at, _))| *at);
            let event = self.queue.next_event();
            match own
                .into_iter()
                .chain(event)
                .min()
                .filter(|&next| next <= now)
            {
                None => break,
                Some(next) => self.now = self.now.max(next),
            }
            while let Some(&Reverse((at, event))) = self.events.peek() {
                if at > self.now {
                    break;
                }
                self.events.pop();
                match event {
                    Event::Settled { case, load } => self.charge(case, load),
                    Event::Done { case } => self.finish(case),
                }
            }
            self.settle();
        }
        self.now = self.now.max(now);
    }

    fn charge(&mut self, case: u32, actual: u64) {
        let this = &mut self.cases[case as usize];
        if let Fate::Granted(at) = this.fate {
            let (now, demands) = (self.now, &this.demands);
            self.queue
                .correct(now, demands, at, &mut this.charge, actual);
        }
    }

    fn finish(&mut self, case: u32) {
        let Case {
            demands, priority, ..
        } = self.cases.remove(case as usize);
        for demand in &*demands {
            self.usages.give_back(demand.resource, demand.units);
        }
        self.queue.returned(&demands, priority);
    }

    fn settle(&mut self) {
        let now = self.now;
        while self.queue.is_dirty() || self.queue.is_due(now) {
            let verdict = self.queue.next_verdict(now, &mut self.usages);
            let verdict = verdict.or_else(|| self.queue.next_expired(now, &mut self.usages));
            match verdict {
                None => {}
                Some((case, Verdict::Granted)) => self.grant(case),
                Some((case, Verdict::TimedOut { short, .. })) => {
                    self.refuse(case, now, DryOutcome::TimedOut { short });
                }
                Some((case, Verdict::Shed { resource })) => {
                    self.refuse(case, now, DryOutcome::Shed { resource });
                }
                Some((case, Verdict::Closed)) => self.end(case, Fate::Refused),
            }
        }
    }

    fn grant(&mut self, case: u32) {
        let at = self.now;
        self.tell(case, at, DryOutcome::Granted);
        self.end(case, Fate::Granted(at));
    }

    fn refuse(&mut self, case: u32, at: Nanos, fate: DryOutcome) {
        self.tell(case, at, fate);
        self.end(case, Fate::Refused);
    }

    fn tell(&mut self, case: u32, at: Nanos, fate: DryOutcome) {
        let this = &self.cases[case as usize];
        self.news.push(DryReport {
            demands: this.demands.clone(),
            waited: at.saturating_sub(this.arrived),
            fate,
        });
    }

    /// A wait is over.
    fn end(&mut self, case: u32, fate: Fate) {
        let this = &mut self.cases[case as usize];
        this.fate = fate;
        if let Fate::Granted(at) = fate {
            for (after, load) in this.settled.drain(..) {
                let settled = Event::Settled { case, load };
                self.events
                    .push(Reverse((at.saturating_add(after), settled)));
            }
        }
        match (fate, this.took) {
            (Fate::Granted(at), Some(took)) => {
                let end = at.saturating_add(took);
                self.events.push(Reverse((end, Event::Done { case })));
            }
            (Fate::Refused, Some(_)) => drop(self.cases.remove(case as usize)),
            _ => {}
        }
    }
}

/// Usages of the dry run alone.
#[derive(Debug)]
struct Usages(Vec<Usage>);

impl Usages {
    fn give_back(&mut self, resource: u32, units: u32) {
        let usage = &mut self.0[resource as usize];
        *usage = usage.returning(units);
    }
}

impl Ledger for Usages {
    fn usage(&self, resource: u32) -> Usage {
        self.0[resource as usize]
    }

    fn take(&mut self, resource: u32, units: u32) {
        let usage = &mut self.0[resource as usize];
        *usage = usage.taking(units);
    }

    fn set_limit(&mut self, resource: u32, limit: u32) {
        let usage = &mut self.0[resource as usize];
        *usage = usage.with_limit(limit);
    }

    fn contend(&mut self, _: u32) {}

    fn calm(&mut self, _: u32, _: Drain) {}

    fn waiting(&mut self, _: u32, _: usize) {}
}

#[cfg(all(test, not(tcl_loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::admission::{Demand, ResourceRules};

    fn specs(limit: u32, max_waiting: usize) -> Vec<ResourceSpec> {
        vec![ResourceSpec {
            max_waiting,
            limit,
            rules: ResourceRules::default(),
        }]
    }

    /// What became of each request of a trace of arrivals and times of work: when it was granted
    /// its unit, if it was.
    fn for_real(trace: &[(Nanos, Nanos)], limit: u32, max_waiting: usize, timeout: Nanos) -> usize {
        let mut queue = Queue::new(specs(limit, max_waiting), None);
        let mut usages = Usages(vec![Usage::new(limit)]);
        let demands = Demands::collect([Demand::new(0, 1)].into_iter());
        let mut ends: BinaryHeap<Reverse<Nanos>> = BinaryHeap::new();
        let mut refused = 0;
        let mut arrivals = trace.iter().copied().peekable();
        loop {
            let arrival = arrivals.peek().map(|&(at, _)| at);
            let end = ends.peek().map(|&Reverse(end)| end);
            let event = queue.next_event();
            let Some(now) = end.into_iter().chain(event).chain(arrival).min() else {
                return refused;
            };
            while ends.peek().is_some_and(|&Reverse(end)| end <= now) {
                ends.pop();
                usages.give_back(0, 1);
                queue.returned(&demands, 10);
            }
            let settle = |queue: &mut Queue<Nanos>, usages: &mut Usages| {
                let mut refused = 0;
                let mut granted = Vec::new();
                while queue.is_dirty() || queue.is_due(now) {
                    let verdict = queue.next_verdict(now, usages);
                    match verdict.or_else(|| queue.next_expired(now, usages)) {
                        Some((took, Verdict::Granted)) => granted.push(now + took),
                        Some(_) => refused += 1,
                        None => {}
                    }
                }
                (refused, granted)
            };
            let (late, granted) = settle(&mut queue, &mut usages);
            refused += late;
            ends.extend(granted.into_iter().map(Reverse));
            if arrival == Some(now) && ends.peek().is_none_or(|&Reverse(end)| end > now) {
                let (_, took) = arrivals.next().expect("peeked");
                let arrival = Arrival {
                    payload: took,
                    demands: demands.clone(),
                    deadline: now + timeout,
                    claims: Attributes::default(),
                    max_waiting: None,
                };
                match queue.arrive(now, arrival, &mut usages).0 {
                    Admission::Granted => ends.push(Reverse(now + took)),
                    Admission::Queued(_) => {}
                    _ => refused += 1,
                }
            }
        }
    }

    fn in_the_shadow(
        trace: &[(Nanos, Nanos)],
        limit: u32,
        max_waiting: usize,
        timeout: Nanos,
    ) -> usize {
        let mut shadow = DryRun::new(specs(limit, max_waiting), None);
        let demands = Demands::collect([Demand::new(0, 1)].into_iter());
        let mut open: Vec<(Nanos, u32)> = Vec::new();
        for &(at, took) in trace {
            open.sort();
            while let Some(&(end, case)) = open.first().filter(|&&(end, _)| end <= at) {
                shadow.done(end, case);
                open.remove(0);
            }
            let case = shadow.arrive(at, demands.clone(), Attributes::default(), timeout, None);
            open.push((at + took, case));
        }
        open.sort();
        for (end, case) in open {
            shadow.done(end, case);
        }
        shadow.advance(Nanos::MAX / 2);
        assert!(shadow.cases.is_empty(), "every case is closed");
        assert_eq!(shadow.usages.usage(0).in_use(), 0);
        let news = shadow.take_news();
        news.iter()
            .filter(|n| n.fate != DryOutcome::Granted)
            .count()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        /// The same trace has the same outcomes.
        #[test]
        fn the_shadow_foretells_what_happens(
            gaps in prop::collection::vec((1..20u64, 1..60u64), 1..200),
            limit in 1..4u32,
            max_waiting in 0..6usize,
            timeout in 1..80u64,
        ) {
            let mut at = 0;
            let trace: Vec<_> = gaps.iter().map(|&(gap, took)| {
                at += gap;
                // No two events at the same instant, where their order would be undefined.
                (at * 1_000, took * 1_000 + at % 997)
            }).collect();
            prop_assert_eq!(
                in_the_shadow(&trace, limit, max_waiting, timeout * 1_000 + 1),
                for_real(&trace, limit, max_waiting, timeout * 1_000 + 1)
            );
        }
    }
}
