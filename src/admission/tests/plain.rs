//! The queue against a model that is written for clarity: a list of waiters in order of arrival,
//! and the rules of [`Queue`] spelled out over it.

use proptest::prelude::*;

use super::{
    Admission, Arrival, Attributes, Demand, Demands, Nanos, PATIENCE, Plain, Queue, Ticket,
    Verdict, cases, queue,
};

type Id = u32;

#[derive(Clone, Debug)]
struct ModelWaiter {
    id: Id,
    demands: Vec<Demand>,
    deadline: Nanos,
    /// What it lacked each time that it was overtaken.
    overtaken: Vec<Vec<u32>>,
}

impl ModelWaiter {
    fn units(&self, resource: u32) -> u32 {
        let demand = self.demands.iter().find(|d| d.resource == resource);
        demand.map_or(0, |d| d.units)
    }

    /// Whether it was overtaken by turns once too often. A turn lasts while it lacks the same.
    fn is_starved(&self) -> bool {
        let mut turns = 0;
        let mut all_along: Option<Vec<u32>> = None;
        for lacked in &self.overtaken {
            let still = match &all_along {
                None => lacked.clone(),
                Some(before) => before
                    .iter()
                    .copied()
                    .filter(|r| lacked.contains(r))
                    .collect(),
            };
            if still.is_empty() {
                turns += 1;
                all_along = Some(lacked.clone());
            } else {
                all_along = Some(still);
            }
        }
        turns >= PATIENCE as usize
    }

    fn resources(&self) -> Vec<u32> {
        self.demands.iter().map(|d| d.resource).collect()
    }
}

/// The rules over a list.
#[derive(Clone, Debug)]
struct Model {
    limits: Vec<u32>,
    in_use: Vec<u32>,
    max_waiting: usize,
    waiting: Vec<ModelWaiter>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Granted,
    Queued,
    NoTime,
    Full,
}

impl Model {
    /// Whether it asks for more than a limit.
    fn stands_aside(&self, demands: &[Demand]) -> bool {
        let mut demands = demands.iter();
        demands.any(|d| d.units > self.limits[d.resource as usize])
    }

    /// The first of each class, but for those that stand aside: nobody before it asks for the same
    /// resources.
    fn contends(&self, index: usize) -> bool {
        let waiter = &self.waiting[index];
        let is_same = |w: &ModelWaiter| w.resources() == waiter.resources();
        let in_line = |w: &ModelWaiter| !self.stands_aside(&w.demands);
        let mut before = self.waiting[..index].iter();
        in_line(waiter) && !before.any(|w| is_same(w) && in_line(w))
    }

    /// Whether `demands` fit behind the first `earlier` waiters.
    fn fits(&self, demands: &[Demand], earlier: usize) -> bool {
        demands.iter().all(|demand| {
            let r = demand.resource as usize;
            let mut taken = self.in_use[r];
            for (index, waiter) in self.waiting[..earlier].iter().enumerate() {
                let wanted = waiter.units(demand.resource);
                if wanted == 0 || !self.contends(index) {
                    continue;
                }
                if taken + wanted > self.limits[r] {
                    return false;
                }
                if waiter.is_starved() {
                    taken += wanted;
                }
            }
            taken + demand.units <= self.limits[r]
        })
    }

    fn take(&mut self, demands: &[Demand], earlier: usize) {
        for demand in demands {
            for index in 0..earlier {
                if self.waiting[index].units(demand.resource) > 0 && self.contends(index) {
                    let wanted = self.waiting[index].demands.clone();
                    let lacked = wanted.iter().filter(|d| !self.fits(&[**d], index));
                    let lacked = lacked.map(|d| d.resource).collect();
                    self.waiting[index].overtaken.push(lacked);
                }
            }
        }
        for demand in demands {
            self.in_use[demand.resource as usize] += demand.units;
        }
    }

    fn arrive(&mut self, now: Nanos, waiter: ModelWaiter) -> Said {
        let everybody = self.waiting.len();
        let resources = waiter.resources();
        let in_line = self.waiting.iter();
        let mut in_line = in_line.filter(|w| !self.stands_aside(&w.demands));
        let behind = in_line.any(|w| w.resources() == resources);
        if !behind && self.fits(&waiter.demands, everybody) {
            self.take(&waiter.demands, everybody);
            return Said::Granted;
        }
        if waiter.deadline <= now {
            return Said::NoTime;
        }
        let queued = |r: u32| self.waiting.iter().filter(|w| w.units(r) > 0).count();
        if resources.iter().any(|&r| queued(r) >= self.max_waiting) {
            return Said::Full;
        }
        self.waiting.push(waiter);
        Said::Queued
    }

    /// Everybody who can go now, in the order in which they go.
    fn settle(&mut self) -> Vec<Id> {
        let mut granted = Vec::new();
        while let Some(index) = (0..self.waiting.len())
            .find(|&index| self.contends(index) && self.fits(&self.waiting[index].demands, index))
        {
            let demands = self.waiting[index].demands.clone();
            self.take(&demands, index);
            granted.push(self.waiting.remove(index).id);
        }
        granted
    }
}

#[derive(Clone, Debug)]
enum Op {
    Arrive {
        demands: Vec<Demand>,
        patience: Nanos,
    },
    Release(usize),
    Cancel(usize),
    SetLimit(usize, u32),
    Advance(Nanos),
}

const LIMITS: [u32; 4] = [1, 2, 5, 8];

/// A set of some of the resources, with units up to the limit but mostly one.
fn a_set() -> impl Strategy<Value = Vec<Demand>> {
    let units = |limit: u32| prop_oneof![4 => Just(1), 1 => 1..=limit];
    let member = move |r: usize| (Just(r as u32), any::<bool>(), units(LIMITS[r]));
    (member(0), member(1), member(2), member(3), 0..LIMITS.len()).prop_map(|(a, b, c, d, sure)| {
        [a, b, c, d]
            .into_iter()
            .filter(|&(resource, member, _)| member || resource == sure as u32)
            .map(|(resource, _, units)| Demand::new(resource, units))
            .collect()
    })
}

fn an_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (a_set(), 0..60u64).prop_map(|(demands, patience)| Op::Arrive { demands, patience }),
        5 => any::<usize>().prop_map(Op::Release),
        1 => any::<usize>().prop_map(Op::Cancel),
        1 => (0..LIMITS.len(), 0..=4u32).prop_map(|(r, part)| Op::SetLimit(r, part)),
        2 => (0..5u64).prop_map(Op::Advance),
    ]
}

/// The queue and the model, driven by the same events.
struct Pair {
    queue: Queue<Id>,
    ledger: Plain,
    model: Model,
    now: Nanos,
    next_id: Id,
    held: Vec<(Id, Vec<Demand>)>,
    queued: Vec<(Id, Ticket, Vec<Demand>)>,
}

impl Pair {
    fn new(max_waiting: usize) -> Self {
        Self {
            queue: queue(&LIMITS, max_waiting),
            ledger: Plain::new(&LIMITS),
            model: Model {
                limits: LIMITS.to_vec(),
                in_use: vec![0; LIMITS.len()],
                max_waiting,
                waiting: Vec::new(),
            },
            now: 0,
            next_id: 0,
            held: Vec::new(),
            queued: Vec::new(),
        }
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Arrive { demands, patience } => self.arrive(demands, patience),
            Op::Release(which) if !self.held.is_empty() => {
                let (_, demands) = self.held.swap_remove(which % self.held.len());
                self.release(&demands);
            }
            Op::Cancel(which) if !self.queued.is_empty() => {
                let (id, ticket, _) = self.queued.swap_remove(which % self.queued.len());
                assert_eq!(self.queue.cancel(ticket, &mut self.ledger), Some(id));
                assert_eq!(self.queue.cancel(ticket, &mut self.ledger), None);
                self.model.waiting.retain(|w| w.id != id);
            }
            Op::SetLimit(resource, part) => self.set_limit(resource, LIMITS[resource] * part / 4),
            Op::Advance(by) => {
                self.now += by;
                self.expire();
            }
            Op::Release(_) | Op::Cancel(_) => {}
        }
        self.settle();
        self.check();
    }

    fn arrive(&mut self, demands: Vec<Demand>, patience: Nanos) {
        let id = self.next_id;
        self.next_id += 1;
        let deadline = self.now + patience;
        let arrival = Arrival {
            payload: id,
            demands: Demands::collect(demands.iter().copied()),
            deadline,
            claims: Attributes::default(),
            max_waiting: None,
        };
        let waiter = ModelWaiter {
            id,
            demands: demands.clone(),
            deadline,
            overtaken: Vec::new(),
        };
        let expected = self.model.arrive(self.now, waiter);
        let (answer, _) = self.queue.arrive(self.now, arrival, &mut self.ledger);
        let said = match answer {
            Admission::Granted => {
                self.held.push((id, demands));
                Said::Granted
            }
            Admission::Queued(ticket) => {
                self.queued.push((id, ticket, demands));
                Said::Queued
            }
            Admission::NoTime { .. } => Said::NoTime,
            Admission::Closed => unreachable!("nobody closes it"),
            Admission::WouldTimeOut { .. } => unreachable!("nobody asks for a forecast"),
            Admission::QueueFull { .. } => Said::Full,
        };
        assert_eq!(said, expected, "the answer to arrival {id}");
    }

    fn release(&mut self, demands: &[Demand]) {
        self.ledger.release(demands);
        for demand in demands {
            self.queue.freed(demand.resource);
            self.model.in_use[demand.resource as usize] -= demand.units;
        }
    }

    fn set_limit(&mut self, resource: usize, limit: u32) {
        let queue = &mut self.queue;
        queue.set_limit(self.now, resource as u32, limit, &mut self.ledger);
        self.model.limits[resource] = limit;
    }

    fn expire(&mut self) {
        while let Some((id, verdict)) = self.queue.next_expired(self.now, &mut self.ledger) {
            assert!(matches!(verdict, Verdict::TimedOut { .. }));
            let index = self.model.waiting.iter().position(|w| w.id == id);
            let waiter = self
                .model
                .waiting
                .remove(index.expect("a waiter expires once"));
            assert!(waiter.deadline <= self.now, "expired before its deadline");
            self.queued.retain(|(queued, ..)| *queued != id);
        }
        assert!(
            self.model.waiting.iter().all(|w| w.deadline > self.now),
            "somebody waits past their deadline"
        );
    }

    fn settle(&mut self) {
        let mut granted = Vec::new();
        while let Some((id, verdict)) = self.queue.next_verdict(self.now, &mut self.ledger) {
            assert_eq!(verdict, Verdict::Granted, "deadlines were seen to before");
            let index = self.queued.iter().position(|(queued, ..)| *queued == id);
            let (_, _, demands) = self.queued.remove(index.expect("a waiter is granted once"));
            self.held.push((id, demands));
            granted.push(id);
        }
        assert_eq!(
            granted,
            self.model.settle(),
            "who was granted, and in which order"
        );
    }

    fn check(&self) {
        for (r, usage) in self.ledger.usages.iter().enumerate() {
            assert!(usage.in_use() <= LIMITS[r], "over the limit");
            assert_eq!(usage.in_use(), self.model.in_use[r]);
            let waiting = self
                .model
                .waiting
                .iter()
                .filter(|w| w.units(r as u32) > 0)
                .count();
            assert_eq!(self.ledger.waiting[r], waiting, "waiters at resource {r}");
        }
    }

    /// Whatever happened, it all comes to an end: releases serve everybody who waits.
    fn drain(mut self) {
        for (resource, limit) in LIMITS.into_iter().enumerate() {
            self.set_limit(resource, limit);
        }
        self.settle();
        while let Some((_, demands)) = self.held.pop() {
            self.release(&demands);
            self.settle();
        }
        assert!(
            self.queued.is_empty(),
            "waiters without a holder to wait for"
        );
        assert_eq!(self.ledger.in_use(), 0);
        assert_eq!(self.queue.next_event(), None);
    }
}

proptest! {
    #![proptest_config(cases(2_000))]

    /// One million operations in all.
    #[test]
    fn the_queue_decides_as_the_model_does(
        ops in prop::collection::vec(an_op(), 500),
        max_waiting in prop_oneof![1 => 0..4usize, 3 => Just(1_000)],
    ) {
        let mut pair = Pair::new(max_waiting);
        for op in ops {
            pair.apply(op);
        }
        pair.drain();
    }

    /// A timer that comes late must not lead to a grant past the deadline.
    #[test]
    fn nobody_is_granted_past_the_deadline(
        ops in prop::collection::vec(an_op(), 100),
    ) {
        let mut queue = queue(&LIMITS, 1_000);
        let mut ledger = Plain::new(&LIMITS);
        let (mut now, mut held) = (0, Vec::new());
        for op in ops {
            match op {
                Op::Arrive { demands, patience } => {
                    let demands = Demands::collect(demands.into_iter());
                    let arrival = Arrival {
                        payload: (now + patience, demands.clone()),
                        demands: demands.clone(),
                        deadline: now + patience,
                        claims: Attributes::default(),
                        max_waiting: None,
                    };
                    if queue.arrive(now, arrival, &mut ledger).0 == Admission::Granted {
                        held.push(demands);
                    }
                }
                Op::Release(which) if !held.is_empty() => {
                    let demands = held.swap_remove(which % held.len());
                    ledger.release(&demands);
                    demands.iter().for_each(|d| queue.freed(d.resource));
                }
                Op::Advance(by) => now += by,
                _ => {}
            }
            while let Some(((deadline, demands), verdict)) = queue.next_verdict(now, &mut ledger) {
                match verdict {
                    Verdict::Granted => {
                        prop_assert!(now <= deadline, "granted at {now}, deadline {deadline}");
                        held.push(demands);
                    }
                    Verdict::TimedOut { .. } => prop_assert!(deadline < now),
                    other => prop_assert!(false, "{other:?}"),
                }
            }
        }
    }
}

fn demand(resource: u32, units: u32) -> Demand {
    Demand::new(resource, units)
}

/// Names and plain events for the examples below.
struct Scene {
    queue: Queue<&'static str>,
    ledger: Plain,
    deadline: Nanos,
}

impl Scene {
    fn new(limits: &[u32]) -> Self {
        Self {
            queue: queue(limits, 1_000),
            ledger: Plain::new(limits),
            deadline: 100,
        }
    }

    fn arrive(&mut self, name: &'static str, demands: &[Demand]) -> Admission {
        let arrival = Arrival {
            payload: name,
            demands: Demands::collect(demands.iter().copied()),
            deadline: self.deadline,
            claims: Attributes::default(),
            max_waiting: None,
        };
        self.queue.arrive(0, arrival, &mut self.ledger).0
    }

    fn queue_up(&mut self, name: &'static str, demands: &[Demand]) -> Ticket {
        match self.arrive(name, demands) {
            Admission::Queued(ticket) => ticket,
            answer => panic!("{name} should have been queued, not {answer:?}"),
        }
    }

    fn release(&mut self, demands: &[Demand]) -> Vec<&'static str> {
        self.ledger.release(demands);
        demands.iter().for_each(|d| self.queue.freed(d.resource));
        self.granted()
    }

    fn granted(&mut self) -> Vec<&'static str> {
        let verdicts = std::iter::from_fn(|| self.queue.next_verdict(0, &mut self.ledger));
        verdicts.map(|(name, _)| name).collect()
    }
}

const DB: u32 = 0;
const FS: u32 = 1;

#[test]
fn an_idle_resource_is_not_blocked_by_a_set_that_waits_for_another() {
    let mut scene = Scene::new(&[1, 1]);
    assert_eq!(scene.arrive("holder", &[demand(FS, 1)]), Admission::Granted);
    scene.queue_up("both", &[demand(DB, 1), demand(FS, 1)]);
    for _ in 0..10 * PATIENCE {
        assert_eq!(scene.arrive("db", &[demand(DB, 1)]), Admission::Granted);
        assert_eq!(scene.release(&[demand(DB, 1)]), [""; 0]);
    }
    assert_eq!(scene.release(&[demand(FS, 1)]), ["both"]);
}

#[test]
fn whoever_waits_for_a_stuck_resource_does_not_keep_the_others_idle() {
    const NET: u32 = 2;
    let mut scene = Scene::new(&[1, 1, 1]);
    assert_eq!(scene.arrive("stuck", &[demand(NET, 1)]), Admission::Granted);
    scene.queue_up("all", &[demand(DB, 1), demand(FS, 1), demand(NET, 1)]);
    for _ in 0..10 * PATIENCE {
        for (name, resource) in [("db", DB), ("fs", FS)] {
            assert_eq!(
                scene.arrive(name, &[demand(resource, 1)]),
                Admission::Granted
            );
            assert_eq!(scene.release(&[demand(resource, 1)]), [""; 0]);
        }
    }
}

#[test]
fn a_wide_claim_is_not_starved_by_narrow_ones() {
    let mut scene = Scene::new(&[3]);
    for _ in 0..3 {
        assert_eq!(scene.arrive("narrow", &[demand(DB, 1)]), Admission::Granted);
    }
    scene.queue_up("wide", &[demand(DB, 3)]);
    scene.queue_up("late", &[demand(DB, 1)]);
    assert_eq!(scene.release(&[demand(DB, 1)]), [""; 0]);
    assert_eq!(scene.release(&[demand(DB, 1)]), [""; 0]);
    assert_eq!(scene.release(&[demand(DB, 1)]), ["wide"]);
    assert_eq!(scene.release(&[demand(DB, 3)]), ["late"]);
}

#[test]
fn a_cancelled_wide_waiter_lets_those_behind_it_go() {
    let mut scene = Scene::new(&[3]);
    assert_eq!(scene.arrive("holder", &[demand(DB, 1)]), Admission::Granted);
    let wide = scene.queue_up("wide", &[demand(DB, 3)]);
    scene.queue_up("a", &[demand(DB, 1)]);
    scene.queue_up("b", &[demand(DB, 1)]);
    assert_eq!(scene.queue.cancel(wide, &mut scene.ledger), Some("wide"));
    assert_eq!(scene.granted(), ["a", "b"]);
}

/// Two streams of requests keep `db` and `fs` busy, so that both are never free at once.
fn a_set_gets_in_between_two_streams(limit: u32, units: u32) {
    let mut scene = Scene::new(&[limit, limit]);
    let mut in_use = [0; 2];
    let mut both_queued = false;
    for round in 0.. {
        assert!(round <= 20 * PATIENCE, "starved by those who need less");
        // Somebody always waits at both, before anybody leaves.
        for (resource, name) in [(DB, "db"), (FS, "fs")] {
            while scene.arrive(name, &[demand(resource, 1)]) == Admission::Granted {
                in_use[resource as usize] += 1;
            }
        }
        if !both_queued {
            scene.queue_up("both", &[demand(DB, units), demand(FS, units)]);
            both_queued = true;
        }
        let resource = [DB, FS][round as usize % 2];
        if in_use[resource as usize] > 0 {
            in_use[resource as usize] -= 1;
            for name in scene.release(&[demand(resource, 1)]) {
                match name {
                    "both" => return,
                    "db" => in_use[0] += 1,
                    _ => in_use[1] += 1,
                }
            }
        }
    }
}

#[test]
fn a_set_is_not_starved_by_turns() {
    a_set_gets_in_between_two_streams(1, 1);
    a_set_gets_in_between_two_streams(2, 1);
    a_set_gets_in_between_two_streams(4, 4);
}

#[test]
fn waiters_that_leave_do_not_pile_up_among_the_deadlines() {
    let mut scene = Scene::new(&[1]);
    assert_eq!(scene.arrive("holder", &[demand(DB, 1)]), Admission::Granted);
    scene.queue_up("patient", &[demand(DB, 1)]);
    scene.deadline -= 1; // out of order
    for _ in 0..10_000 {
        let ticket = scene.queue_up("passing", &[demand(DB, 1)]);
        scene.queue.cancel(ticket, &mut scene.ledger);
    }
    assert!(
        scene.queue.timeline.kept_out_of_order() <= 128,
        "{}",
        scene.queue.timeline.kept_out_of_order()
    );
}
