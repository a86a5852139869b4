//! The promises, each at the size at which it was made.

use std::{cmp::Reverse, collections::BinaryHeap};

use proptest::prelude::*;

use super::*;

const MS: Nanos = 1_000_000;
const SECOND: Nanos = 1_000 * MS;

/// Numbers below a bound, as good as random.
fn numbers(mut seed: u64) -> impl FnMut(u64) -> u64 {
    move |below| {
        seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = seed;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (x ^ (x >> 31)) % below
    }
}

fn spec(limit: u32, max_waiting: usize, rules: ResourceRules) -> ResourceSpec {
    ResourceSpec {
        max_waiting,
        limit,
        rules,
    }
}

fn lane(id: u64, weight: u32) -> (LaneId, LaneRule) {
    let max = u32::MAX;
    (LaneId::new(id), LaneRule { weight, max })
}

fn declared(sharing: Sharing, lanes: &[(LaneId, LaneRule)]) -> ResourceRules {
    ResourceRules {
        lanes: Some(LaneRules {
            sharing,
            declared: lanes.to_vec(),
            ..LaneRules::default()
        }),
        ..ResourceRules::default()
    }
}

fn keyed(most: usize) -> ResourceRules {
    ResourceRules {
        lanes: Some(LaneRules {
            keyed: Some((LaneRule::default(), most)),
            ..LaneRules::default()
        }),
        ..ResourceRules::default()
    }
}

fn rates(rates: &[(By, RateRule)]) -> ResourceRules {
    ResourceRules {
        rates: rates.to_vec(),
        ..ResourceRules::default()
    }
}

fn any_window(count: u64, period: Nanos) -> RateRule {
    RateRule {
        count,
        period,
        shape: Shape::AnyWindow,
    }
}

/// Of priority 10 by default, in this lane.
fn of_lane(id: u64) -> Attributes {
    Attributes {
        lane: Some(LaneId::new(id)),
        ..Attributes::default()
    }
}

fn of_priority(priority: u8) -> Attributes {
    Attributes {
        priority,
        ..Attributes::default()
    }
}

#[derive(Clone, Debug)]
struct Request {
    claims: Attributes,
    arrived: Nanos,
    demands: Demands,
}

/// One resource under virtual time.
struct World {
    queue: Queue<usize>,
    ledger: Plain,
    now: Nanos,
    /// All that ever arrived.
    requests: Vec<Request>,
    held: Vec<usize>,
    /// In order, with the time.
    granted: Vec<(Nanos, usize)>,
    refused: Vec<(usize, Verdict)>,
    tickets: Vec<(usize, Ticket)>,
}

impl World {
    fn new(spec: ResourceSpec, credit: impl Into<Option<Nanos>>) -> Self {
        Self {
            ledger: Plain::new(&[spec.limit]),
            queue: Queue::new([spec], credit.into()),
            now: 0,
            requests: Vec::new(),
            held: Vec::new(),
            granted: Vec::new(),
            refused: Vec::new(),
            tickets: Vec::new(),
        }
    }

    fn arrive(&mut self, claims: Attributes, units: u32, timeout: Nanos) -> Admission {
        let id = self.requests.len();
        let demands = Demands::collect([Demand::new(0, units)].into_iter());
        let arrival = Arrival {
            payload: id,
            demands: demands.clone(),
            deadline: self.now + timeout,
            claims,
            max_waiting: None,
        };
        let (answer, back) = self.queue.arrive(self.now, arrival, &mut self.ledger);
        let demands = match (answer, back) {
            (Admission::Queued(ticket), _) => {
                self.tickets.push((id, ticket));
                self.queue.demands(ticket).expect("waits").clone()
            }
            (_, Some(arrival)) => arrival.demands,
            _ => demands,
        };
        self.requests.push(Request {
            claims,
            arrived: self.now,
            demands,
        });
        if answer == Admission::Granted {
            self.grant(id);
        }
        self.settle();
        answer
    }

    fn grant(&mut self, id: usize) {
        self.granted.push((self.now, id));
        self.held.push(id);
    }

    /// The holder at this place returns its units.
    fn release(&mut self, place: usize) -> usize {
        let id = self.held.swap_remove(place);
        self.finish(id);
        id
    }

    fn finish(&mut self, id: usize) {
        let Request {
            demands, claims, ..
        } = &self.requests[id];
        self.ledger.release(demands);
        self.queue.returned(demands, claims.priority);
        self.settle();
    }

    fn settle(&mut self) {
        self.queue.is_due(self.now);
        loop {
            let verdict = match self.queue.is_dirty() {
                true => self.queue.next_verdict(self.now, &mut self.ledger),
                false => None,
            };
            let verdict = verdict.or_else(|| self.queue.next_expired(self.now, &mut self.ledger));
            match verdict {
                Some((id, Verdict::Granted)) => self.grant(id),
                Some(refused) => self.refused.push(refused),
                None => return,
            }
        }
    }

    fn is_waiting(&self, id: usize) -> bool {
        let ticket = self.tickets.iter().find(|(of, _)| *of == id);
        ticket.is_some_and(|(_, ticket)| self.queue.waiters.contains(*ticket))
    }

    fn waiting(&self) -> usize {
        self.ledger.waiting[0]
    }

    fn granted_to(&self, which: impl Fn(&Attributes) -> bool) -> usize {
        let all = self
            .granted
            .iter()
            .map(|(_, id)| &self.requests[*id].claims);
        all.filter(|claims| which(claims)).count()
    }
}

/// What arrives in virtual time: for each kind a time between two arrivals, on average.
struct Traffic {
    kinds: Vec<(Attributes, Nanos)>,
    hold: Nanos,
    timeout: Nanos,
}

impl Traffic {
    /// Runs until then; every grant is held for about as long.
    fn run(&self, world: &mut World, until: Nanos, seed: u64) {
        let mut random = numbers(seed);
        let mut ends: BinaryHeap<Reverse<(Nanos, usize)>> = BinaryHeap::new();
        let mut next: Vec<Nanos> = self.kinds.iter().map(|(_, gap)| random(2 * gap)).collect();
        let mut seen = world.granted.len();
        loop {
            let kind = (0..next.len())
                .min_by_key(|&kind| next[kind])
                .expect("some");
            let end = ends.peek().map_or(Nanos::MAX, |Reverse((end, _))| *end);
            let event = world.queue.next_event().unwrap_or(Nanos::MAX);
            world.now = next[kind].min(end).min(event);
            if world.now > until {
                break;
            }
            if end == world.now {
                let Some(Reverse((_, id))) = ends.pop() else {
                    break;
                };
                world.held.retain(|held| *held != id);
                world.finish(id);
            } else if event == world.now {
                world.settle();
            } else {
                let (claims, gap) = self.kinds[kind];
                next[kind] += random(2 * gap) + 1;
                world.arrive(claims, 1, self.timeout);
            }
            for (_, id) in &world.granted[seen..] {
                let hold = self.hold / 2 + random(self.hold);
                ends.push(Reverse((world.now + hold, *id)));
            }
            seen = world.granted.len();
        }
    }
}

fn within(share: f64, expected: f64, by: f64, what: &str) {
    assert!(
        (share / expected - 1.0).abs() <= by,
        "{what}: {share}, not {expected}"
    );
}

// Lanes

#[test]
fn lanes_of_3_to_1_get_3_to_1() {
    for (seed, units) in [(1, 1), (2, 1), (3, 3)] {
        let rules = declared(Sharing::Shared, &[lane(1, 3), lane(2, 1)]);
        let mut world = World::new(spec(12, 1_000, rules), SECOND);
        let mut random = numbers(seed);
        let claim = |lane, n: u64| {
            (
                of_lane(lane),
                if lane == 1 { units } else { 1 + (n % 3) as u32 },
            )
        };
        for n in 0..200 {
            let (claims, units) = claim(1 + n % 2, n / 2);
            world.arrive(claims, units, Nanos::MAX / 2);
        }
        let before = world.granted.len();
        while world.granted.len() < before + 10_000 {
            let released = world.release(random(world.held.len() as u64) as usize);
            let id = world.requests[released]
                .claims
                .lane
                .expect("of one")
                .number();
            let n = random(3);
            let (claims, units) = claim(id, n);
            world.arrive(claims, units, Nanos::MAX / 2);
            while world.waiting() < 150 {
                let (claims, units) = claim(1 + random(2), n);
                world.arrive(claims, units, Nanos::MAX / 2);
            }
        }
        let units_of = |lane| {
            let all = world.granted[before..]
                .iter()
                .map(|(_, id)| &world.requests[*id]);
            let own = all.filter(|r| r.claims.lane == Some(LaneId::new(lane)));
            own.map(|r| f64::from(r.demands[0].units)).sum::<f64>()
        };
        let share = units_of(1) / (units_of(1) + units_of(2));
        within(share, 0.75, 0.02, "the share of the lane of weight 3");
    }
}

/// Four lanes, 1,000/s. One asks for 100 times its share, and has the queue full.
#[test]
fn a_lane_at_100_times_its_share_leaves_the_others_theirs() {
    let lanes: Vec<_> = (1..5).map(|id| lane(id, 1)).collect();
    for max_waiting in [100, 1_024] {
        let rules = declared(Sharing::Shared, &lanes);
        let mut world = World::new(spec(10, max_waiting, rules), SECOND);
        let mut kinds = vec![(of_lane(1), 4 * MS / 100)];
        kinds.extend((2..5).map(|id| (of_lane(id), 4 * MS)));
        let traffic = Traffic {
            kinds,
            hold: 10 * MS,
            timeout: SECOND,
        };
        traffic.run(&mut world, 8 * SECOND, 7);
        for id in 2..5 {
            let got = world.granted_to(|claims| claims.lane == Some(LaneId::new(id)));
            within(got as f64, 2_000.0, 0.05, "a quiet lane");
        }
    }
}

#[test]
fn a_noisy_key_leaves_honest_keys_their_share() {
    let mut world = World::new(spec(10, 1_024, keyed(64)), SECOND);
    // 1,000/s for 20 honest keys that ask for 45/s each, and one that asks for 5,000/s.
    let mut kinds = vec![(of_lane(99), MS / 5)];
    kinds.extend((0..20).map(|id| (of_lane(id), SECOND / 45)));
    let traffic = Traffic {
        kinds,
        hold: 10 * MS,
        timeout: SECOND,
    };
    traffic.run(&mut world, 20 * SECOND, 11);
    for id in 0..20 {
        let asked = world
            .requests
            .iter()
            .filter(|r| r.claims == of_lane(id))
            .count();
        let got = world.granted_to(|claims| *claims == of_lane(id));
        assert!(
            asked - got <= 10,
            "key {id} asked {asked} times and got {got}"
        );
    }
}

#[test]
fn a_million_spoofed_keys_do_not_grow_the_table() {
    let mut world = World::new(spec(10, 50, keyed(100)), SECOND);
    let mut random = numbers(3);
    for key in 0..1_000_000 {
        world.now += 1_000;
        world.arrive(of_lane(key), 1, 200_000);
        if world.held.len() == 10 {
            world.release(random(10) as usize);
        }
        let lanes = world.queue.lines[0].lanes().expect("some").len();
        assert!(lanes <= 101, "{lanes} lanes");
        world.tickets.clear();
    }
}

#[test]
fn a_lane_that_comes_late_is_owed_nothing() {
    // The set in lane 1 waits for another resource, while lane 2 is served a thousand times.
    let rules = declared(Sharing::Shared, &[lane(1, 1), lane(2, 1), lane(3, 1)]);
    let plain = ResourceRules::default();
    let mut queue: Queue<u64> =
        Queue::new([spec(1, 1_000, rules), spec(1, 1_000, plain)], Some(SECOND));
    let mut ledger = Plain::new(&[1, 1]);
    let arrive = |queue: &mut Queue<u64>, ledger: &mut Plain, id, resources: &[u32]| {
        let arrival = Arrival {
            payload: id,
            demands: Demands::collect(resources.iter().map(|r| Demand::new(*r, 1))),
            deadline: SECOND,
            claims: of_lane(id),
            max_waiting: None,
        };
        let (answer, back) = queue.arrive(0, arrival, ledger);
        (answer, back.map(|arrival| arrival.demands))
    };
    arrive(&mut queue, &mut ledger, 9, &[1]);
    let holder = arrive(&mut queue, &mut ledger, 2, &[0]).1.expect("granted");
    arrive(&mut queue, &mut ledger, 1, &[0, 1]);
    let lane_2 = holder[0].lane;
    let release = |queue: &mut Queue<u64>, ledger: &mut Plain, lane| {
        let mut demands = Demands::collect([Demand::new(0, 1)].into_iter());
        demands.set_lanes(|_| lane);
        ledger.release(&demands);
        queue.returned(&demands, 10);
        queue.next_verdict(0, ledger).map(|(id, _)| id)
    };
    for _ in 0..1_000 {
        arrive(&mut queue, &mut ledger, 2, &[0]);
        assert_eq!(release(&mut queue, &mut ledger, lane_2), Some(2));
    }
    let mut served = [0; 4];
    let mut lane = lane_2;
    for _ in 0..10 {
        arrive(&mut queue, &mut ledger, 2, &[0]);
        arrive(&mut queue, &mut ledger, 3, &[0]);
    }
    for _ in 0..10 {
        let id = release(&mut queue, &mut ledger, lane).expect("somebody waits");
        served[id as usize] += 1;
        lane = id as u32 - 1;
    }
    assert_eq!(served, [0, 0, 5, 5]);
}

#[test]
fn strict_lanes_keep_to_their_portions_and_shared_ones_lend() {
    for (sharing, most) in [(Sharing::Strict, 8), (Sharing::Shared, 10)] {
        let mut world = World::new(
            spec(10, 100, declared(sharing, &[lane(1, 4), lane(2, 1)])),
            SECOND,
        );
        for _ in 0..20 {
            world.arrive(of_lane(1), 1, SECOND);
        }
        assert_eq!(world.held.len(), most, "{sharing:?}");
        world.queue.set_limit(world.now, 0, 5, &mut world.ledger);
        for _ in 0..most {
            world.release(0);
        }
        let most = if sharing == Sharing::Strict { 4 } else { 5 };
        assert_eq!(
            world.held.len(),
            most,
            "{sharing:?} after the limit was lowered"
        );
    }
}

// Reserves

/// 20 of 100 are reserved, and 1,000 others wait and come and go.
fn an_interactive_request_is_let_in_at_once(
    beneficiary: Beneficiary,
    interactive: Attributes,
    batch: Attributes,
) {
    let rules = ResourceRules {
        reserves: vec![ReserveRule {
            units: 20,
            beneficiary,
        }],
        ..declared(Sharing::Shared, &[lane(1, 1), lane(2, 1)])
    };
    // Everybody ages.
    let mut world = World::new(spec(100, 5_000, rules), 10);
    let mut random = numbers(5);
    while world.waiting() < 1_000 {
        world.arrive(batch, 1 + random(3) as u32, Nanos::MAX / 2);
    }
    for _ in 0..20_000 {
        world.now += 1;
        let is_interactive = |id: &usize| world.requests[*id].claims == interactive;
        let (own, others): (Vec<_>, Vec<_>) =
            (0..world.held.len()).partition(|i| is_interactive(&world.held[*i]));
        assert!(others.len() <= 80);
        match random(3) {
            0 if own.len() < 20 => {
                assert_eq!(world.arrive(interactive, 1, SECOND), Admission::Granted)
            }
            1 if !own.is_empty() => drop(world.release(own[random(own.len() as u64) as usize])),
            _ => {
                world.release(others[random(others.len() as u64) as usize]);
            }
        }
        while world.waiting() < 1_000 {
            world.arrive(batch, 1 + random(3) as u32, Nanos::MAX / 2);
        }
    }
    assert!(world.granted_to(|claims| *claims == interactive) > 1_000);
}

#[test]
fn a_reserve_by_priority_is_always_there() {
    let by_priority = Beneficiary::Priority(50);
    an_interactive_request_is_let_in_at_once(by_priority, of_priority(100), of_priority(10));
}

#[test]
fn a_reserve_by_lane_is_always_there() {
    let by_lane = Beneficiary::Lane(LaneId::new(1));
    an_interactive_request_is_let_in_at_once(by_lane, of_lane(1), of_lane(2));
}

#[test]
fn reserves_one_above_the_other_are_both_kept() {
    let reserve = |units, least| ReserveRule {
        units,
        beneficiary: Beneficiary::Priority(least),
    };
    let rules = ResourceRules {
        reserves: vec![reserve(10, 50), reserve(10, 100)],
        ..ResourceRules::default()
    };
    let mut world = World::new(spec(25, 100, rules), SECOND);
    for _ in 0..20 {
        assert_eq!(
            world.arrive(of_priority(100), 1, SECOND),
            Admission::Granted
        );
    }
    for _ in 0..10 {
        world.arrive(of_priority(10), 1, SECOND);
    }
    assert_eq!(
        world.held.len(),
        25,
        "what no reserve needs is not kept idle"
    );
    for id in 0..20 {
        let place = world.held.iter().position(|held| *held == id);
        world.release(place.expect("of priority 100"));
    }
    assert_eq!(world.held.len(), 5, "units of both are left idle");
    for _ in 0..20 {
        world.arrive(of_priority(50), 1, SECOND);
    }
    assert_eq!(world.held.len(), 15);
    for _ in 0..10 {
        assert_eq!(
            world.arrive(of_priority(100), 1, SECOND),
            Admission::Granted
        );
    }
}

// Priority

#[test]
fn nobody_is_overtaken_by_whom_came_later_for_longer_than_the_credit() {
    const CREDIT: Nanos = 300;
    for limit in [1, 3] {
        let mut world = World::new(spec(limit, 1_000, ResourceRules::default()), CREDIT);
        let mut random = numbers(limit.into());
        let mut seen = 0;
        for _ in 0..30_000 {
            world.now += random(8);
            if random(2) == 0 && world.waiting() < 100 {
                let units = 1 + random(limit.into()) as u32;
                world.arrive(
                    of_priority([0, 10, 10, 50, 100][random(5) as usize]),
                    units,
                    Nanos::MAX / 2,
                );
            } else if !world.held.is_empty() {
                world.release(random(world.held.len() as u64) as usize);
            }
            for &(_, id) in &world.granted[seen..] {
                let mut earlier = world.tickets.iter().filter(|(other, _)| *other < id);
                let overtaken = earlier.find(|(other, _)| {
                    world.is_waiting(*other) && world.requests[*other].arrived + CREDIT <= world.now
                });
                assert_eq!(overtaken, None, "overtaken by {id} at {}", world.now);
            }
            seen = world.granted.len();
            let waiters = &world.queue.waiters;
            world
                .tickets
                .retain(|(_, ticket)| waiters.contains(*ticket));
        }
        assert!(world.granted.len() > 9_000);
    }
}

#[test]
fn a_higher_priority_goes_first_and_displaces_the_youngest_of_the_lowest() {
    let mut world = World::new(spec(1, 3, ResourceRules::default()), SECOND);
    assert_eq!(world.arrive(of_priority(10), 1, SECOND), Admission::Granted);
    for priority in [10, 5, 5] {
        world.arrive(of_priority(priority), 1, SECOND);
    }
    assert_eq!(
        world.arrive(of_priority(5), 1, SECOND),
        Admission::QueueFull { resource: 0 }
    );
    world.arrive(of_priority(100), 1, SECOND);
    world.arrive(of_priority(50), 1, SECOND);
    assert_eq!(
        world.arrive(of_priority(10), 1, SECOND),
        Admission::QueueFull { resource: 0 }
    );
    let shed = Verdict::Shed { resource: 0 };
    assert_eq!(world.refused, [(3, shed), (2, shed)]);
    for _ in 0..4 {
        world.release(0);
    }
    let order: Vec<usize> = world.granted.iter().map(|(_, id)| *id).collect();
    assert_eq!(order, [0, 5, 6, 1]);
}

// Rates

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn rates_and_concurrency_hold_together(
        seed in any::<u64>(),
        limit in 1..6u32,
        count in 1..30u64,
        load in 10..200u64,
        gap in 1..30u64,
        hold in 1..60u64,
    ) {
        const PERIOD: Nanos = 1_000;
        let rules = rates(&[(By::Request, any_window(count, PERIOD)), (By::Load, any_window(load, PERIOD / 2))]);
        let mut world = World::new(spec(limit, 1_000, rules), SECOND);
        let kinds = (1..5).map(|load| {
            let claims = Attributes { load, ..Attributes::default() };
            (claims, gap * 4)
        });
        let traffic = Traffic { kinds: kinds.collect(), hold, timeout: 5_000 };
        traffic.run(&mut world, 100_000, seed);
        prop_assert!(world.granted.len() > 50);
        let amounts = |by: fn(&Attributes) -> u64| {
            let all = world.granted.iter();
            all.map(|(at, id)| (*at, by(&world.requests[*id].claims))).collect::<Vec<_>>()
        };
        for (spent, count, period) in [
            (amounts(|_| 1), count, PERIOD),
            (amounts(|claims| claims.load), load, PERIOD / 2),
        ] {
            let (mut first, mut sum) = (0, 0);
            for (at, amount) in &spent {
                sum += amount;
                while spent[first].0 + period <= *at {
                    sum -= spent[first].1;
                    first += 1;
                }
                prop_assert!(sum <= count, "{sum} of {count} in the window that ends at {at}");
            }
        }
    }
}

#[test]
fn an_arrival_does_not_pass_whom_a_rate_lets_go() {
    let rules = ResourceRules {
        rates: vec![(By::Request, any_window(1, 100))],
        ..declared(Sharing::Shared, &[lane(1, 1), lane(2, 1)])
    };
    let mut world = World::new(spec(10, 100, rules), SECOND);
    world.arrive(of_lane(2), 1, SECOND);
    world.now = 1;
    assert!(matches!(
        world.arrive(of_lane(1), 1, SECOND),
        Admission::Queued(_)
    ));
    world.now = 100; // before the timer has looked
    world.arrive(of_lane(2), 1, SECOND);
    assert_eq!(world.granted, [(0, 0), (100, 1)]);
}

#[test]
fn what_is_not_admitted_spends_nothing() {
    let rules = rates(&[
        (By::Request, any_window(2, 100)),
        (By::Load, any_window(10, 100)),
    ]);
    let mut world = World::new(spec(1, 100, rules), SECOND);
    let heavy = Attributes {
        load: 9,
        ..Attributes::default()
    };
    assert_eq!(
        world.arrive(Attributes::default(), 1, 0),
        Admission::Granted
    );
    for _ in 0..5 {
        assert!(matches!(
            world.arrive(heavy, 1, 0),
            Admission::NoTime { by_rate: false, .. }
        ));
    }
    world.release(0);
    assert_eq!(world.arrive(heavy, 1, 0), Admission::Granted);
    world.release(0);
    assert_eq!(
        world.arrive(heavy, 1, 0),
        Admission::NoTime {
            short: 0,
            by_rate: true
        }
    );
}

// Live limits

#[test]
fn a_raised_limit_lets_waiters_go_in_order_and_0_pauses() {
    let mut world = World::new(spec(1, 100, ResourceRules::default()), SECOND);
    for _ in 0..11 {
        world.arrive(Attributes::default(), 1, SECOND);
    }
    world.queue.set_limit(world.now, 0, 6, &mut world.ledger);
    world.settle();
    let order: Vec<usize> = world.granted.iter().map(|(_, id)| *id).collect();
    assert_eq!(order, [0, 1, 2, 3, 4, 5]);
    world.queue.set_limit(world.now, 0, 0, &mut world.ledger);
    for _ in 0..6 {
        world.release(0);
    }
    assert_eq!((world.held.len(), world.waiting()), (0, 5));
    assert!(matches!(
        world.arrive(Attributes::default(), 1, 0),
        Admission::NoTime { .. }
    ));
    world.queue.set_limit(world.now, 0, 100, &mut world.ledger);
    world.settle();
    assert_eq!((world.held.len(), world.waiting()), (5, 0));
}

/// The ledger of the test panics at a grant above the limit in force.
#[test]
fn limits_that_move_at_random_lose_nobody() {
    let mut random = numbers(9);
    let mut queue: Queue<Demands> = queue(&[5, 5], 100);
    let mut ledger = Plain::new(&[5, 5]);
    let (mut held, mut tickets): (Vec<Demands>, Vec<Ticket>) = (Vec::new(), Vec::new());
    let (mut now, mut ends, mut arrivals) = (0, 0, 0);
    for op in 0..1_000_000 + 1_000 {
        now += random(2);
        let is_over = op >= 1_000_000; // nobody comes any more
        match random(10) {
            0..4 if !is_over => {
                let first = random(2) as u32;
                let which = (first..2).take(1 + random(2) as usize);
                let demands = Demands::collect(which.map(|r| Demand::new(r, 1 + random(4) as u32)));
                let arrival = Arrival {
                    payload: demands.clone(),
                    demands: demands.clone(),
                    deadline: now + random(100),
                    claims: Attributes::default(),
                    max_waiting: None,
                };
                arrivals += 1;
                match queue.arrive(now, arrival, &mut ledger).0 {
                    Admission::Granted => held.push(demands),
                    Admission::Queued(ticket) => tickets.push(ticket),
                    _ => ends += 1,
                }
            }
            4..8 if !held.is_empty() => {
                let demands = held.swap_remove(random(held.len() as u64) as usize);
                ledger.release(&demands);
                queue.returned(&demands, 10);
                ends += 1;
            }
            8 if !is_over => {
                let (resource, limit) = (random(2) as u32, random(12) as u32);
                queue.set_limit(now, resource, limit, &mut ledger);
            }
            9 if !tickets.is_empty() => {
                let ticket = tickets.swap_remove(random(tickets.len() as u64) as usize);
                ends += usize::from(queue.cancel(ticket, &mut ledger).is_some());
            }
            _ => {}
        }
        while let Some((demands, verdict)) = queue
            .next_verdict(now, &mut ledger)
            .or_else(|| queue.next_expired(now, &mut ledger))
        {
            match verdict {
                Verdict::Granted => held.push(demands),
                _ => ends += 1,
            }
        }
        if tickets.len() > 1_000 {
            tickets.retain(|ticket| queue.waiters.contains(*ticket));
        }
        assert_eq!(
            arrivals,
            ends + held.len() + queue.waiters.len(),
            "everybody gets one end"
        );
        if held.is_empty() {
            let exceeds = |d: &Demand| d.units > ledger.usage(d.resource).limit();
            let mut wanted = queue.waiters.iter().map(|waiter| &waiter.demands);
            let all_exceed = wanted.all(|demands| demands.iter().any(exceeds));
            assert!(all_exceed, "asleep at an idle resource");
        }
    }
    assert_eq!(
        (ledger.in_use(), queue.waiters.len(), held.len()),
        (0, 0, 0)
    );
}

// Retry-After

#[test]
fn a_hint_says_when_the_queue_will_have_drained() {
    let mut world = World::new(spec(1, 1_000, ResourceRules::default()), SECOND);
    assert_eq!(world.queue.retry_after(0, 1, 0), None, "a cold start");
    for _ in 0..80 {
        world.arrive(Attributes::default(), 1, 100 * SECOND);
    }
    for tenth in 1..=29 {
        world.now = tenth * SECOND / 10;
        world.release(0);
    }
    assert_eq!(world.waiting(), 50);
    let hints: Vec<u64> = (0..100)
        .map(|_| {
            world
                .queue
                .retry_after(0, 1, world.now)
                .expect("known")
                .div_ceil(SECOND)
        })
        .collect();
    assert!(hints.iter().all(|hint| (5..=6).contains(hint)), "{hints:?}");
    for _ in 0..900 {
        world.arrive(Attributes::default(), 1, 100 * SECOND);
    }
    let longest = world.queue.retry_after(0, 1, world.now).expect("known");
    assert!((25 * SECOND..=30 * SECOND).contains(&longest), "{longest}");
}

#[test]
fn a_rate_says_to_the_moment_when_it_allows_another() {
    let mut world = World::new(
        spec(
            10,
            0,
            rates(&[(By::Request, any_window(1, 3_600 * SECOND))]),
        ),
        SECOND,
    );
    world.arrive(Attributes::default(), 1, 0);
    assert_eq!(
        world.arrive(Attributes::default(), 1, 0),
        Admission::NoTime {
            short: 0,
            by_rate: true
        }
    );
    assert_eq!(world.queue.retry_after(0, 1, 0), Some(3_600 * SECOND));
}

#[test]
fn whoever_cannot_be_served_in_time_is_told_at_once() {
    let mut world = World::new(spec(1, 1_000, ResourceRules::default()), SECOND);
    for _ in 0..80 {
        world.arrive(Attributes::default(), 1, 100 * SECOND);
    }
    for tenth in 1..=29 {
        world.now = tenth * SECOND / 10;
        world.release(0);
    }
    let fail_fast = Attributes {
        fail_fast: true,
        ..Attributes::default()
    };
    assert!(matches!(
        world.arrive(fail_fast, 1, 4 * SECOND),
        Admission::WouldTimeOut { .. }
    ));
    assert!(matches!(
        world.arrive(fail_fast, 1, 6 * SECOND),
        Admission::Queued(_)
    ));
    let urgent = Attributes {
        priority: 100,
        ..fail_fast
    };
    assert!(
        matches!(world.arrive(urgent, 1, SECOND / 5), Admission::Queued(_)),
        "nobody is before it"
    );
}

// Overload

fn overload() -> ResourceRules {
    ResourceRules {
        overload: Some(OverloadRule {
            target: 20 * MS,
            interval: 100 * MS,
        }),
        ..ResourceRules::default()
    }
}

#[test]
fn a_queue_that_stands_is_served_newest_first_until_it_has_drained() {
    let mut world = World::new(spec(1, 1_000, overload()), SECOND);
    let order = |world: &World| -> Vec<usize> { world.granted.iter().map(|(_, id)| *id).collect() };
    for _ in 0..10 {
        world.arrive(Attributes::default(), 1, 10 * SECOND);
    }
    world.now = 20 * MS; // above the target from here on
    world.release(0);
    world.now = 119 * MS;
    world.release(0);
    assert_eq!(order(&world), [0, 1, 2], "not for an interval yet");
    assert!(world.refused.is_empty());
    world.now = 120 * MS;
    world.release(0);
    world.release(0);
    assert_eq!(order(&world)[3..], [9, 8]);
    assert_eq!(
        world.refused,
        [(3, Verdict::Shed { resource: 0 })],
        "the oldest"
    );
    world.now = 219 * MS;
    world.release(0);
    assert_eq!(world.refused.len(), 1);
    world.now = 220 * MS; // an interval later, and the next after an interval by the root of 2
    world.release(0);
    world.now = 290 * MS;
    world.release(0);
    assert_eq!(world.refused.len(), 2);
    world.now = 291 * MS;
    world.settle();
    while !world.held.is_empty() {
        world.release(0);
    }
    assert_eq!(world.waiting(), 0);
    let before = world.granted.len();
    for _ in 0..4 {
        world.arrive(Attributes::default(), 1, SECOND);
    }
    while !world.held.is_empty() {
        world.release(0);
    }
    assert_eq!(order(&world)[before..], [10, 11, 12, 13], "in order again");
}

/// Those who are served at twice the capacity, with deadlines of 1 s, have hardly waited.
#[test]
fn at_twice_the_capacity_those_who_are_served_come_in_time() {
    let traffic = |hold| Traffic {
        kinds: vec![(Attributes::default(), MS / 2)],
        hold,
        timeout: SECOND,
    };
    let mut fresh = [0.0; 2];
    for (mode, rules) in [(0, ResourceRules::default()), (1, overload())] {
        let mut world = World::new(spec(10, 10_000, rules), SECOND);
        traffic(10 * MS).run(&mut world, 20 * SECOND, 3);
        // What is of use to a client that gives up after half a second.
        let of_use = world
            .granted
            .iter()
            .filter(|(at, id)| at - world.requests[*id].arrived <= SECOND / 2);
        fresh[mode] = of_use.count() as f64 / 20_000.0;
    }
    assert!(fresh[1] >= 0.95, "{fresh:?}");
    assert!(
        fresh[0] < 0.2,
        "first in, first out serves those who are about to give up: {fresh:?}"
    );
}

#[test]
fn nobody_is_let_in_past_the_deadline_by_any_rule() {
    let rules = ResourceRules {
        reserves: vec![ReserveRule {
            units: 2,
            beneficiary: Beneficiary::Priority(50),
        }],
        rates: vec![(By::Request, any_window(5, 50))],
        overload: Some(OverloadRule {
            target: 10,
            interval: 30,
        }),
        ..declared(Sharing::Shared, &[lane(1, 2), lane(2, 1)])
    };
    let mut queue: Queue<Nanos> = Queue::new([spec(5, 1_000, rules)], Some(20));
    let mut ledger = Plain::new(&[5]);
    let mut random = numbers(4);
    let (mut now, mut held) = (0, 0u32);
    for _ in 0..100_000 {
        now += random(4);
        match random(2) {
            0 => {
                let deadline = now + random(40);
                let arrival = Arrival {
                    payload: deadline,
                    demands: Demands::collect([Demand::new(0, 1)].into_iter()),
                    deadline,
                    claims: Attributes {
                        priority: [10, 100][random(2) as usize],
                        lane: Some(LaneId::new(1)),
                        ..Attributes::default()
                    },
                    max_waiting: None,
                };
                held += u32::from(queue.arrive(now, arrival, &mut ledger).0 == Admission::Granted);
            }
            _ => queue.freed(0), // a timer that looks at what can go, and never at who is late
        }
        while let Some((deadline, verdict)) = queue.next_verdict(now, &mut ledger) {
            match verdict {
                Verdict::Granted => {
                    assert!(now <= deadline, "granted at {now}, deadline {deadline}");
                    held += 1;
                }
                Verdict::TimedOut { .. } => assert!(deadline < now),
                other => assert!(matches!(other, Verdict::Shed { .. }), "{other:?}"),
            }
        }
        if held > 0 && random(2) == 0 {
            // Units go back past the rules of the lanes: only the limit is of interest here.
            ledger.release(&[Demand::new(0, 1)]);
            held -= 1;
        }
    }
}
