//! The FIFO of a resource beside the general queue. Both decide the same for waiters that differ in
//! nothing but their units and deadlines, also where the waiters move from the one to the other.

use std::collections::{BTreeSet, HashMap};

use proptest::prelude::*;

use super::{
    Admission, Adopted, Arrival, Attributes, Decision, Demand, Demands, Fifo, Ledger, Nanos, Plain,
    Queue, Ticket, Usage, Verdict, cases, queue,
};

type Id = u32;

const MAX_WAITING: usize = 6;

/// What becomes of waiters at one step: admitted or not.
type Outcomes = Vec<(Id, bool)>;

/// The same to compare: those that are admitted in order, and those that time out in any order.
fn sorted(outcomes: &Outcomes) -> (Vec<Id>, BTreeSet<Id>) {
    let of = |admitted: bool| outcomes.iter().filter(move |outcome| outcome.1 == admitted);
    let ids = |admitted| of(admitted).map(|outcome| outcome.0);
    (ids(true).collect(), ids(false).collect())
}

trait Side {
    /// Whether an arrival is admitted; `None` if it is queued.
    fn arrive(&mut self, now: Nanos, id: Id, units: u32, deadline: Nanos) -> Option<bool>;

    fn release(&mut self, now: Nanos, units: u32) -> Outcomes;

    fn cancel(&mut self, now: Nanos, id: Id) -> Outcomes;

    fn set_limit(&mut self, now: Nanos, limit: u32) -> Outcomes;

    fn dispatch(&mut self, now: Nanos) -> Outcomes;

    fn usage(&self) -> Usage;

    fn waiting(&self) -> usize;

    fn knows_its_pace(&mut self, now: Nanos) -> bool;
}

struct GeneralSide {
    queue: Queue<Id>,
    ledger: Plain,
    tickets: HashMap<Id, Ticket>,
}

impl GeneralSide {
    fn new(limit: u32) -> Self {
        Self {
            queue: queue(&[limit], MAX_WAITING),
            ledger: Plain::new(&[limit]),
            tickets: HashMap::new(),
        }
    }

    /// Takes over from a FIFO.
    fn promoted(fifo: &mut FifoSide) -> Self {
        let mut side = Self::new(fifo.usage.limit());
        side.ledger.usages[0] = fifo.usage;
        for entry in fifo.fifo.take_all() {
            let id = entry.payload.expect("gaps are left out");
            let adopted = Adopted {
                claim: Demand::new(0, entry.units),
                arrived: entry.arrived,
                deadline: entry.deadline,
            };
            let ticket = side.queue.adopt(adopted, id, &mut side.ledger);
            side.tickets.insert(id, ticket);
        }
        side.queue.adopt_pace(0, &fifo.fifo);
        side
    }
}

impl Side for GeneralSide {
    fn arrive(&mut self, now: Nanos, id: Id, units: u32, deadline: Nanos) -> Option<bool> {
        let arrival = Arrival {
            payload: id,
            demands: Demands::collect([Demand::new(0, units)].into_iter()),
            deadline,
            claims: Attributes::default(),
            max_waiting: None,
        };
        match self.queue.arrive(now, arrival, &mut self.ledger).0 {
            Admission::Granted => Some(true),
            Admission::Queued(ticket) => {
                self.tickets.insert(id, ticket);
                None
            }
            _ => Some(false),
        }
    }

    fn release(&mut self, now: Nanos, units: u32) -> Outcomes {
        self.ledger.release(&[Demand::new(0, units)]);
        self.queue.freed(0);
        self.dispatch(now)
    }

    fn cancel(&mut self, now: Nanos, id: Id) -> Outcomes {
        let ticket = self.tickets.remove(&id).expect("it waits");
        assert_eq!(self.queue.cancel(ticket, &mut self.ledger), Some(id));
        self.dispatch(now)
    }

    fn set_limit(&mut self, now: Nanos, limit: u32) -> Outcomes {
        self.queue.set_limit(now, 0, limit, &mut self.ledger);
        self.dispatch(now)
    }

    fn dispatch(&mut self, now: Nanos) -> Outcomes {
        let mut outcomes = Outcomes::new();
        while self.queue.is_dirty() || self.queue.is_due(now) {
            let verdict = self.queue.next_verdict(now, &mut self.ledger);
            let verdict = verdict.or_else(|| self.queue.next_expired(now, &mut self.ledger));
            if let Some((id, verdict)) = verdict {
                self.tickets.remove(&id);
                outcomes.push((id, verdict == Verdict::Granted));
            }
        }
        outcomes
    }

    fn usage(&self) -> Usage {
        self.ledger.usage(0)
    }

    fn waiting(&self) -> usize {
        self.ledger.waiting[0]
    }

    fn knows_its_pace(&mut self, now: Nanos) -> bool {
        self.queue.retry_after(0, 1, now).is_some()
    }
}

/// The FIFO, driven as `core` does.
struct FifoSide {
    fifo: Fifo<Id>,
    usage: Usage,
    numbers: HashMap<Id, u64>,
}

impl FifoSide {
    fn new(limit: u32) -> Self {
        Self {
            fifo: Fifo::default(),
            usage: Usage::new(limit),
            numbers: HashMap::new(),
        }
    }

    fn check(&mut self) {
        assert_eq!(self.fifo.len(), self.numbers.len());
        let head = self.fifo.head();
        for (&id, &number) in &self.numbers {
            assert!(number >= head, "a waiter is not decided");
            let found = self.fifo.get(number).and_then(|entry| entry.payload);
            assert_eq!(found, Some(id));
        }
        let of_groups = [0, 1].map(|group| self.fifo.next_deadline_of(group));
        let earliest = of_groups.into_iter().flatten().min();
        assert_eq!(self.fifo.next_deadline(), earliest);
    }
}

impl Side for FifoSide {
    fn arrive(&mut self, now: Nanos, id: Id, units: u32, deadline: Nanos) -> Option<bool> {
        let fits = self.fifo.is_empty() && self.usage.fits(units);
        if fits {
            self.usage = self.usage.taking(units);
            return Some(true);
        }
        if deadline <= now || self.fifo.len() >= MAX_WAITING {
            return Some(false);
        }
        let number = self.fifo.push(now, deadline, units, id % 2, id);
        self.numbers.insert(id, number);
        None
    }

    fn release(&mut self, now: Nanos, units: u32) -> Outcomes {
        if let Some(id) = self.fifo.hand_over(now, units) {
            self.numbers.remove(&id);
            let mut outcomes = vec![(id, true)];
            outcomes.extend(self.dispatch(now)); // of those whose deadline has come
            return outcomes;
        }
        self.usage = self.usage.returning(units);
        self.dispatch(now)
    }

    fn cancel(&mut self, now: Nanos, id: Id) -> Outcomes {
        let number = self.numbers.remove(&id).expect("it waits");
        assert_eq!(self.fifo.cancel(number), Some(id));
        assert_eq!(self.fifo.cancel(number), None, "once");
        self.dispatch(now)
    }

    fn set_limit(&mut self, now: Nanos, limit: u32) -> Outcomes {
        self.fifo.limit_changed(self.usage.limit(), limit);
        self.usage = self.usage.with_limit(limit);
        self.dispatch(now)
    }

    fn dispatch(&mut self, now: Nanos) -> Outcomes {
        let mut outcomes = Outcomes::new();
        loop {
            let decision = self.fifo.next_decision(now, self.usage);
            match decision.or_else(|| self.fifo.next_expired(now)) {
                None => break,
                Some(Decision::Granted { payload, units }) => {
                    self.usage = self.usage.taking(units);
                    self.numbers.remove(&payload);
                    outcomes.push((payload, true));
                }
                Some(Decision::TimedOut { number, payload }) => {
                    assert_eq!(self.numbers.remove(&payload), Some(number));
                    outcomes.push((payload, false));
                }
            }
        }
        self.check();
        outcomes
    }

    fn usage(&self) -> Usage {
        self.usage
    }

    fn waiting(&self) -> usize {
        self.fifo.len()
    }

    fn knows_its_pace(&mut self, now: Nanos) -> bool {
        let limit = self.usage.limit();
        self.fifo.retry_after(limit, now).is_some()
    }
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Arrive {
        units: u32,
        time: Nanos,
    },
    /// Of the permits that are held, by position.
    Release(usize),
    /// Of the waiters, by position.
    Cancel(usize),
    Advance(Nanos),
    RaiseLimit(u32),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (1..4u32, 0..40u64).prop_map(|(units, time)| Op::Arrive { units, time }),
        4 => any::<usize>().prop_map(Op::Release),
        1 => any::<usize>().prop_map(Op::Cancel),
        2 => (0..20u64).prop_map(Op::Advance),
        1 => (1..3u32).prop_map(Op::RaiseLimit),
    ]
}

#[derive(Default)]
struct Requests {
    units: Vec<u32>,
    held: Vec<Id>,
    waiting: Vec<Id>,
}

impl Requests {
    /// Does the same on both sides, and compares what becomes of it.
    fn step(&mut self, op: Op, now: &mut Nanos, sides: [&mut dyn Side; 2]) {
        let [reference, side] = sides;
        let mut both = |step: &dyn Fn(&mut dyn Side) -> Outcomes| {
            let (expected, found) = (step(reference), step(side));
            assert_eq!(sorted(&found), sorted(&expected), "{op:?}");
            found
        };
        let outcomes = match op {
            Op::Release(_) if self.held.is_empty() => return,
            Op::Cancel(_) if self.waiting.is_empty() => return,
            Op::Arrive { units, time } => {
                let id = self.units.len() as Id;
                self.units.push(units);
                let deadline = *now + time;
                let expected = reference.arrive(*now, id, units, deadline);
                assert_eq!(side.arrive(*now, id, units, deadline), expected, "{op:?}");
                match expected {
                    None => {
                        self.waiting.push(id);
                        return;
                    }
                    Some(is_granted) => vec![(id, is_granted)],
                }
            }
            Op::Release(position) => {
                let id = self.held.swap_remove(position % self.held.len());
                both(&|side| side.release(*now, self.units[id as usize]))
            }
            Op::Cancel(position) => {
                let id = self.waiting.remove(position % self.waiting.len());
                both(&|side| side.cancel(*now, id))
            }
            Op::Advance(time) => {
                *now += time;
                both(&|side| side.dispatch(*now))
            }
            Op::RaiseLimit(by) => both(&|side| {
                let limit = side.usage().limit() + by;
                side.set_limit(*now, limit)
            }),
        };
        for (id, is_granted) in outcomes {
            self.waiting.retain(|waiter| *waiter != id);
            self.held.extend(is_granted.then_some(id));
        }
    }
}

fn run(limit: u32, ops: &[Op], promote_at: usize) {
    let mut reference = GeneralSide::new(limit);
    let mut fifo = FifoSide::new(limit);
    let mut promoted = None;
    let mut requests = Requests::default();
    let mut now = 0;
    for (step, &op) in ops.iter().enumerate() {
        if step == promote_at {
            promoted = Some(GeneralSide::promoted(&mut fifo));
        }
        let side: &mut dyn Side = match &mut promoted {
            None => &mut fifo,
            Some(promoted) => promoted,
        };
        requests.step(op, &mut now, [&mut reference, side]);
        assert_eq!(side.usage(), reference.usage());
        assert_eq!(side.waiting(), reference.waiting());
        let is_known = reference.knows_its_pace(now);
        assert_eq!(side.knows_its_pace(now), is_known, "after {op:?}");
    }
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn the_fifo_decides_as_the_queue_does(
        limit in 3..6u32,
        ops in prop::collection::vec(op(), 1..120),
        promote_at in 0..240usize,
    ) {
        run(limit, &ops, promote_at);
    }
}

/// Far more waiters than are compacted at once leave from the middle, and the memory with them.
#[test]
fn gaps_are_compacted() {
    let mut fifo = Fifo::default();
    let numbers: Vec<u64> = (0..10_000)
        .map(|id| fifo.push(0, 1_000 - id % 7, 1, 0, id))
        .collect();
    for &number in &numbers[1..9_999] {
        assert!(fifo.cancel(number).is_some());
    }
    assert_eq!(fifo.len(), 2);
    assert!(fifo.entries() < 100, "{} entries", fifo.entries());
    assert_eq!(fifo.next_deadline(), Some(1_000 - 9_999 % 7));
    assert_eq!(fifo.cancel(numbers[9_999]), Some(9_999));
    assert_eq!(fifo.cancel(numbers[0]), Some(0));
    assert_eq!((fifo.entries(), fifo.next_deadline()), (0, None));
}
