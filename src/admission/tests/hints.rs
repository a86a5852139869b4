//! What is known of the pace of a queue, and when those who are refused should come back.

use super::*;
use crate::admission::{
    drain::Drain,
    scatter::{Scatter, Slots},
};

const MS: Nanos = 1_000_000;
const SECOND: Nanos = 1_000 * MS;
const HOUR: Nanos = 3_600 * SECOND;

/// A queue that is measured, of a resource with this limit.
struct Measured {
    drain: Drain,
    limit: u32,
    now: Nanos,
}

impl Measured {
    fn new(limit: u32) -> Self {
        Self {
            drain: Drain::UNKNOWN,
            limit,
            now: 0,
        }
    }

    /// A busy stretch: so many grants, one after the other.
    fn serve(&mut self, grants: usize, each: Nanos) -> &mut Self {
        self.drain.start(self.now);
        for _ in 0..grants {
            self.now += each;
            self.drain.count(self.now, Nanos::MAX);
        }
        self
    }

    fn pause(&mut self, time: Nanos) -> &mut Self {
        self.now += time;
        self
    }

    /// The time for 100 grants, for those who begin to wait now.
    fn forecast(&mut self) -> Option<Nanos> {
        self.drain.start(self.now);
        self.drain.time_for(100, self.limit, self.now)
    }

    fn hint(&self, waiting: usize) -> Option<Nanos> {
        let scatter = &mut Scatter::default();
        self.drain.hint(waiting, self.limit, self.now, scatter)
    }
}

#[test]
fn nothing_is_known_at_first() {
    let mut queue = Measured::new(1);
    assert_eq!((queue.forecast(), queue.hint(1)), (None, None));
    queue.serve(7, 10 * MS);
    assert_eq!((queue.forecast(), queue.hint(1)), (None, None), "too few");
}

#[test]
fn a_long_stretch_is_measured() {
    let mut queue = Measured::new(1);
    assert_eq!(queue.serve(60, 100 * MS).forecast(), Some(10 * SECOND));
}

#[test]
fn a_short_stretch_is_enough_once_all_holders_have_returned_twice() {
    let mut one = Measured::new(1);
    assert_eq!(one.serve(8, 10 * MS).forecast(), Some(SECOND));
    let mut ten = Measured::new(10);
    assert_eq!(ten.serve(19, MS).forecast(), None);
    assert_eq!(ten.serve(1, MS).forecast(), Some(100 * MS));
}

#[test]
fn short_stretches_add_up_and_pauses_do_not_count() {
    let mut queue = Measured::new(1_000);
    for _ in 0..5 {
        queue.serve(20, 10 * MS).pause(2 * SECOND);
    }
    assert_eq!(queue.forecast(), Some(SECOND));
}

#[test]
fn what_nothing_has_confirmed_for_some_seconds_is_dropped() {
    let mut queue = Measured::new(1);
    queue.serve(60, SECOND).pause(4 * SECOND);
    assert_eq!(queue.forecast(), Some(100 * SECOND));
    queue.pause(2 * SECOND);
    assert_eq!((queue.forecast(), queue.hint(0)), (None, None));
    let mut queue = Measured::new(1);
    queue.serve(60, SECOND).pause(100 * 365 * 24 * HOUR);
    assert_eq!((queue.forecast(), queue.hint(20)), (None, None));
    assert_eq!(queue.serve(8, 10 * MS).forecast(), Some(SECOND));
}

#[test]
fn a_slow_resource_is_known_while_its_next_grant_may_still_come() {
    let mut queue = Measured::new(1);
    queue.serve(8, 10 * SECOND);
    let forecast = |queue: &Measured| queue.drain.time_for(1, 1, queue.now);
    queue.pause(19 * SECOND);
    assert_eq!(forecast(&queue), Some(10 * SECOND));
    queue.pause(2 * SECOND);
    assert_eq!(forecast(&queue), None, "it stands");
}

#[test]
fn a_resource_that_has_become_fast_again_is_fast_at_once() {
    for each in [SECOND, 10 * SECOND, 60 * SECOND] {
        let mut queue = Measured::new(1);
        queue.serve(20, each).serve(16, 10 * MS);
        assert_eq!(queue.forecast(), Some(SECOND), "after {each}");
    }
}

#[test]
fn a_stall_is_over_when_it_is_over() {
    let mut queue = Measured::new(1);
    queue.serve(150, 10 * MS).serve(1, 60 * SECOND);
    assert_eq!(queue.serve(8, 10 * MS).forecast(), Some(SECOND));
}

#[test]
fn a_resource_that_has_become_slow_is_slow_within_a_stretch() {
    let mut queue = Measured::new(1);
    queue.serve(500, 10 * MS).serve(16, 500 * MS);
    assert_eq!(queue.forecast(), Some(50 * SECOND));
}

/// Ten hold it, and all return it at the same moment, once in a second.
#[test]
fn holders_that_return_together_count_as_they_are() {
    let mut queue = Measured::new(10);
    queue.drain.start(0);
    for grant in 0..95 {
        queue.now = (grant / 10 + 1) * SECOND;
        queue.drain.count(queue.now, Nanos::MAX);
        if grant > 30 {
            let wait = queue.drain.time_for(100, 10, queue.now).expect("known");
            assert!((5 * SECOND..15 * SECOND).contains(&wait), "{wait}");
        }
    }
}

#[test]
fn a_hint_is_never_below_the_estimate_and_at_most_a_fifth_above_it() {
    let mut queue = Measured::new(1);
    queue.serve(100, 100 * MS);
    let mut scatter = Scatter::default();
    let mut hints: Vec<Nanos> = (0..1_000)
        .map(|_| queue.drain.hint(30, 1, queue.now, &mut scatter))
        .map(|hint| hint.expect("known"))
        .collect();
    hints.sort_unstable();
    assert!((3 * SECOND..3 * SECOND + 10 * MS).contains(&hints[0]));
    assert!((3_590 * MS..=3_600 * MS).contains(&hints[999]));
    hints.dedup();
    assert_eq!(hints.len(), 1_000, "no two at the same time");
    let longest = queue.hint(1_000_000).expect("known");
    assert!((25 * SECOND..=30 * SECOND).contains(&longest));
}

// Rates

#[test]
fn the_first_whom_a_rate_refuses_comes_back_when_it_allows_it() {
    let mut slots = Slots::default();
    assert_eq!(slots.next(0, MS, SECOND), MS);
    assert_eq!(slots.next(HOUR, HOUR + MS, SECOND), HOUR + MS, "later on");
}

#[test]
fn the_others_are_spread_over_what_the_rate_needs_for_them() {
    for (ready, interval, count, spread) in [
        (60 * SECOND, SECOND, 30, 30 * SECOND),
        (60 * SECOND, SECOND, 1_000, 60 * SECOND),
        (SECOND / 10, SECOND / 10, 1_000, 10 * SECOND),
        (HOUR, HOUR, 1_000, HOUR),
    ] {
        let mut slots = Slots::default();
        let mut next = || slots.next(0, ready, interval);
        let mut times: Vec<Nanos> = (0..count).map(|_| next()).collect();
        times.sort_unstable();
        assert_eq!(times[0], ready);
        let last = times[count - 1];
        assert!(last <= ready + spread && last >= ready + spread / 2);
        let second = |time: Nanos| time.div_ceil(SECOND);
        let mut seconds: Vec<Nanos> = times.into_iter().map(second).collect();
        seconds.dedup();
        let wanted = (spread / SECOND).min(count as u64) as usize;
        assert!(seconds.len() >= wanted / 2, "{} of {wanted}", seconds.len());
    }
}

#[test]
fn no_time_is_too_far() {
    let mut slots = Slots::default();
    for _ in 0..10 {
        assert_eq!(slots.next(0, Nanos::MAX, Nanos::MAX), Nanos::MAX);
    }
}

/// A light request is allowed soon, a heavy one only when much more has been replenished.
#[test]
fn a_rate_tells_each_load_its_own_time() {
    let rule = RateRule {
        count: 10,
        period: 10 * SECOND,
        shape: Shape::Gcra { burst: 10 },
    };
    let mut queue = one(ResourceRules {
        rates: vec![(By::Load, rule)],
        ..ResourceRules::default()
    });
    let mut ledger = Plain::new(&[10]);
    let mut ask = |load| {
        let claims = Attributes {
            load,
            ..Attributes::default()
        };
        let (answer, _) = queue.arrive(0, arrival(claims, &[0], 0), &mut ledger);
        let is_refused = answer != Admission::Granted;
        is_refused.then(|| queue.retry_after(0, load, 0).expect("known"))
    };
    assert_eq!(ask(10), None, "granted");
    assert_eq!(ask(1), Some(SECOND));
    let heavy = ask(9);
    assert!(heavy >= Some(9 * SECOND), "{heavy:?}");
}

// The pace of others

fn one(rules: ResourceRules) -> Queue<()> {
    let spec = ResourceSpec {
        max_waiting: 1_000,
        limit: 10,
        rules,
    };
    Queue::new([spec], None)
}

fn arrival(claims: Attributes, resources: &[u32], deadline: Nanos) -> Arrival<()> {
    let demands = resources.iter().map(|&resource| Demand::new(resource, 1));
    Arrival {
        payload: (),
        demands: Demands::collect(demands),
        deadline,
        claims,
        max_waiting: None,
    }
}

/// One unit each of two resources, and those who hold them.
struct Two {
    queue: Queue<()>,
    ledger: Plain,
    now: Nanos,
}

impl Two {
    fn new() -> Self {
        Self {
            queue: queue(&[1, 1], 1_000),
            ledger: Plain::new(&[1, 1]),
            now: 0,
        }
    }

    fn ask(&mut self, resources: &[u32], deadline: Option<Nanos>) -> Admission {
        let claims = Attributes {
            fail_fast: deadline.is_some(),
            ..Attributes::default()
        };
        let deadline = self.now + deadline.unwrap_or(HOUR);
        let arrival = arrival(claims, resources, deadline);
        let (answer, _) = self.queue.arrive(self.now, arrival, &mut self.ledger);
        answer
    }

    /// After some time the holders return, and the next one goes.
    fn serve(&mut self, after: Nanos, resources: &[u32]) {
        self.now += after;
        let demands = resources.iter().map(|&resource| Demand::new(resource, 1));
        let demands = Demands::collect(demands);
        self.ledger.release(&demands);
        self.queue.returned(&demands, 10);
        while self.queue.is_dirty() {
            self.queue.next_verdict(self.now, &mut self.ledger);
        }
    }
}

/// Those who wait for `0` and `1` wait long, for `1`: that is not the pace of those who want `0`
/// alone.
#[test]
fn a_set_that_waits_for_something_else_does_not_make_the_others_hopeless() {
    let mut two = Two::new();
    assert_eq!(two.ask(&[0, 1], None), Admission::Granted);
    for _ in 0..20 {
        two.ask(&[0, 1], None);
    }
    for _ in 0..12 {
        two.serve(10 * SECOND, &[0, 1]);
    }
    assert!(matches!(
        two.ask(&[0, 1], Some(10 * SECOND)),
        Admission::WouldTimeOut { .. }
    ));
    for _ in 0..3 {
        assert!(matches!(two.ask(&[0], Some(SECOND)), Admission::Queued(_)));
    }
}

#[test]
fn another_limit_is_another_pace() {
    for limit in [0, 2, 10] {
        let mut two = Two::new();
        two.ask(&[0], None);
        for _ in 0..30 {
            two.ask(&[0], None);
        }
        for _ in 0..10 {
            two.serve(SECOND, &[0]);
        }
        assert!(matches!(
            two.ask(&[0], Some(SECOND)),
            Admission::WouldTimeOut { .. }
        ));
        two.queue.set_limit(two.now, 0, limit, &mut two.ledger);
        two.now += HOUR / 2;
        while two.queue.is_dirty() {
            two.queue.next_verdict(two.now, &mut two.ledger);
        }
        assert!(matches!(two.ask(&[0], Some(SECOND)), Admission::Queued(_)));
        assert_eq!(two.queue.retry_after(0, 1, two.now), None);
    }
}

/// The pace outlives the flow that it was measured in, for as long as it is fresh.
#[test]
fn a_flow_that_fills_again_has_its_pace() {
    for (pause, is_known) in [(4 * SECOND, true), (6 * SECOND, false)] {
        let mut two = Two::new();
        two.ask(&[0], None);
        for _ in 0..10 {
            two.ask(&[0], None);
        }
        for _ in 0..11 {
            two.serve(SECOND, &[0]);
        }
        two.now += pause;
        two.ask(&[0], None);
        two.ask(&[0], None);
        two.ask(&[0], None);
        let answer = two.ask(&[0], Some(SECOND));
        assert_eq!(matches!(answer, Admission::WouldTimeOut { .. }), is_known);
    }
}
