//! One run: the queue, the requests that hold units, and the time.

use std::{cmp::Reverse, collections::BinaryHeap, iter::Peekable};

use tower_concurrency_limiter::admission::{
    Admission, Arrival, Demand, Demands, Drain, Ledger, Nanos, Queue, Usage, Verdict,
};

use crate::{
    discipline::Discipline,
    scenario::Scenario,
    tally::{End, Tally},
    traffic::{Request, Traffic},
};

/// Which run of a [`Scenario`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Setting {
    pub(crate) discipline: Discipline,
    /// In multiples of what the resource can do.
    pub(crate) load: f64,
    pub(crate) deadline: Nanos,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) tally: Tally,
    /// For how long it was counted.
    pub(crate) time: Nanos,
    /// When the last request arrived.
    pub(crate) end: Nanos,
}

/// Runs until the last request has arrived.
pub(crate) fn run(scenario: &Scenario, setting: Setting) -> Outcome {
    let traffic = Traffic::new(scenario, setting.load);
    let mut world = World::new(scenario, setting, traffic.take(scenario.requests as usize));
    let mut left = scenario.requests;
    let mut since = 0;
    while left > 0 {
        if let Event::Arrival = world.step() {
            left -= 1;
            if left == scenario.requests - scenario.warm_up() {
                since = world.now;
                world.tally = Tally::new(scenario.tenants);
            }
        }
    }
    Outcome {
        tally: world.tally,
        time: world.now - since,
        end: world.now,
    }
}

/// What happens next. At the same time, the earlier of these comes first: what is returned can
/// still be granted to a request whose deadline it is, and an arrival finds nobody in the queue
/// whose time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Return,
    Deadline,
    Arrival,
}

struct World<T: Iterator<Item = Request>> {
    setting: Setting,
    patience: Nanos,
    traffic: Peekable<T>,
    queue: Queue<Request>,
    ledger: Plain,
    held: BinaryHeap<Reverse<Held>>,
    now: Nanos,
    tally: Tally,
}

impl<T: Iterator<Item = Request>> World<T> {
    fn new(scenario: &Scenario, setting: Setting, traffic: T) -> Self {
        let spec = setting.discipline.spec(scenario);
        Self {
            ledger: Plain(Usage::new(spec.limit)),
            queue: Queue::new([spec], scenario.credit),
            patience: scenario.patience,
            setting,
            traffic: traffic.peekable(),
            held: BinaryHeap::new(),
            now: 0,
            tally: Tally::new(scenario.tenants),
        }
    }

    /// Goes on to the next event.
    fn step(&mut self) -> Event {
        let returned = self.held.peek().map(|Reverse(held)| held.until);
        let deadline = self.queue.next_event();
        let arrival = self.traffic.peek().map(|request| request.arrived);
        let (at, event) = [
            returned.map(|at| (at, Event::Return)),
            deadline.map(|at| (at, Event::Deadline)),
            arrival.map(|at| (at, Event::Arrival)),
        ]
        .into_iter()
        .flatten()
        .min()
        .expect("there is another arrival");
        self.now = at;
        match event {
            Event::Return => self.give_back(),
            Event::Deadline => {}
            Event::Arrival => self.arrive(),
        }
        self.settle();
        event
    }

    fn arrive(&mut self) {
        let request = self.traffic.next().expect("it was seen");
        self.tally.arrived(&request);
        let arrival = Arrival {
            payload: request,
            demands: demands(&request),
            deadline: self.now + self.setting.deadline,
            claims: self.setting.discipline.claims(&request),
            max_waiting: None,
        };
        match self.queue.arrive(self.now, arrival, &mut self.ledger) {
            (Admission::Granted, arrival) => {
                let granted = arrival.expect("comes back with a grant").demands;
                let lane = granted[0].lane;
                self.start(Request { lane, ..request });
            }
            (Admission::Queued(ticket), _) => {
                let lane = self
                    .queue
                    .demands(ticket)
                    .map_or(0, |demands| demands[0].lane);
                if let Some(waiting) = self.queue.payload_mut(ticket) {
                    waiting.lane = lane;
                }
            }
            (Admission::QueueFull { .. }, _) => self.tally.ended(&request, End::Refused),
            (Admission::NoTime { .. } | Admission::WouldTimeOut { .. }, _) => {
                self.tally.ended(&request, End::TimedOut)
            }
            (Admission::Closed, _) => unreachable!("nobody closes the queue"),
        }
    }

    fn give_back(&mut self) {
        let Some(Reverse(Held { request, .. })) = self.held.pop() else {
            return;
        };
        let in_time = self.now - request.arrived <= self.patience;
        let end = if in_time { End::InTime } else { End::Late };
        self.tally.ended(&request, end);
        self.ledger.give_back(1);
        let priority = self.setting.discipline.claims(&request).priority;
        self.queue.returned(&demands(&request), priority);
    }

    /// Carries out what the queue decides, in the way of the crate's gate: whoever can go comes
    /// before whoever is out of time.
    fn settle(&mut self) {
        while self.queue.is_dirty() || self.queue.is_due(self.now) {
            let verdict = self.queue.next_verdict(self.now, &mut self.ledger);
            let verdict = verdict.or_else(|| self.queue.next_expired(self.now, &mut self.ledger));
            match verdict {
                Some((request, Verdict::Granted)) => self.start(request),
                Some((request, Verdict::TimedOut { .. })) => {
                    self.tally.ended(&request, End::TimedOut);
                }
                Some((request, Verdict::Shed { .. })) => self.tally.ended(&request, End::Shed),
                Some((_, Verdict::Closed)) => unreachable!("nobody closes the queue"),
                None => {}
            }
        }
    }

    fn start(&mut self, request: Request) {
        self.tally.started(&request, self.now - request.arrived);
        let until = self.now + request.service;
        self.held.push(Reverse(Held { until, request }));
    }
}

fn demands(request: &Request) -> Demands {
    let demand = Demand {
        lane: request.lane,
        ..Demand::new(0, 1)
    };
    Demands::collect([demand].into_iter())
}

/// A request that was let in.
#[derive(Debug)]
struct Held {
    until: Nanos,
    request: Request,
}

impl Held {
    /// Of those that end at the same time, the one that arrived first.
    fn order(&self) -> (Nanos, Nanos) {
        (self.until, self.request.arrived)
    }
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl Eq for Held {}

impl PartialOrd for Held {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Held {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}

/// The one resource, as a plain value.
struct Plain(Usage);

impl Plain {
    fn give_back(&mut self, units: u32) {
        self.0 = Usage::from_bits(self.0.bits() - u64::from(units));
    }
}

impl Ledger for Plain {
    fn usage(&self, _: u32) -> Usage {
        self.0
    }

    fn take(&mut self, _: u32, units: u32) {
        assert!(self.0.fits(units), "granted over the limit");
        self.0 = self.0.taking(units);
    }

    fn set_limit(&mut self, _: u32, limit: u32) {
        self.0 = self.0.with_limit(limit);
    }

    // Everybody asks the queue, whether or not somebody waits, and nobody looks how many do.
    fn contend(&mut self, _: u32) {}

    fn calm(&mut self, _: u32, _: Drain) {}

    fn waiting(&mut self, _: u32, _: usize) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic::Class;

    const FIFO: Setting = Setting {
        discipline: Discipline::Fifo,
        load: 1.0,
        deadline: 100,
    };

    fn request(arrived: Nanos, service: Nanos) -> Request {
        Request {
            arrived,
            service,
            tenant: 0,
            class: Class::Normal,
            lane: 0,
        }
    }

    /// One at a time, and these requests.
    fn world<const N: usize>(requests: [Request; N]) -> World<impl Iterator<Item = Request>> {
        let scenario = Scenario {
            limit: 1,
            ..Scenario::quick()
        };
        let never = request(1 << 60, 0);
        let requests = requests.into_iter().chain([never]);
        World::new(&scenario, FIFO, requests)
    }

    impl<T: Iterator<Item = Request>> World<T> {
        /// All that happens until this time.
        fn until(&mut self, time: Nanos) -> Vec<(Nanos, Event)> {
            let mut events = Vec::new();
            while self.now < time {
                let event = self.step();
                events.push((self.now, event));
            }
            events.pop(); // the last one came later
            events
        }
    }

    #[test]
    fn events_come_in_order_of_time_and_at_the_same_time_as_said() {
        use Event::{Arrival, Deadline, Return};
        let requests = [(0, 100), (0, 300), (1, 300), (100, 1)];
        let mut world = world(requests.map(|(at, service)| request(at, service)));
        let expected = [
            (0, Arrival),
            (0, Arrival),
            (1, Arrival),
            (100, Return), // and the second is granted, whose deadline it is
            (100, Arrival),
            (101, Deadline),
            (200, Deadline),
            (400, Return),
        ];
        assert_eq!(world.until(1_000), expected);
        let ends = End::ALL.map(|end| world.tally.count(end));
        assert_eq!(ends, [2, 0, 0, 2, 0], "{:?}", End::ALL);
    }

    #[test]
    fn work_that_ends_after_the_patience_is_wasted() {
        let mut world = world([request(0, 10), request(0, 10), request(0, 10)]);
        world.patience = 20;
        world.until(100);
        assert_eq!(world.tally.count(End::InTime), 2);
        assert_eq!(world.tally.count(End::Late), 1);
    }

    #[test]
    fn nobody_gets_lost() {
        let scenario = Scenario {
            requests: 20_000,
            max_waiting: 1_000,
            ..Scenario::quick()
        };
        for discipline in Discipline::EACH {
            let setting = Setting {
                discipline,
                load: 2.0,
                deadline: scenario.patience,
            };
            let traffic = Traffic::new(&scenario, setting.load);
            let mut world = World::new(&scenario, setting, traffic);
            let (mut last, mut arrived) = (0, 0);
            while arrived < scenario.requests {
                arrived += u64::from(world.step() == Event::Arrival);
                assert!(world.now >= last, "the time goes back");
                last = world.now;
            }
            let ended: u64 = End::ALL.map(|end| world.tally.count(end)).iter().sum();
            let inside = world.held.len() + world.queue.payloads().count();
            assert_eq!(ended + inside as u64, arrived, "{}", discipline.name());
            assert_eq!(
                world.held.len(),
                scenario.limit as usize,
                "all units are used"
            );
        }
    }
}
