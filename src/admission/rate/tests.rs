//! Meters against models written for clarity: a list of all that was spent, and the promise of each
//! shape spelled out over every window that starts with something spent.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::{
    gcra::MOST,
    window::{EXACT, GRAINS},
    *,
};

const SECOND: Nanos = 1_000_000_000;
const MINUTE: Nanos = 60 * SECOND;

/// The most entries of a log.
const LONGEST: usize = 249;

fn any_window(count: u64, period: Nanos) -> RateRule {
    RateRule {
        count,
        period,
        shape: Shape::AnyWindow,
    }
}

fn gcra(count: u64, period: Nanos, burst: u64) -> RateRule {
    RateRule {
        count,
        period,
        shape: Shape::Gcra { burst },
    }
}

/// How much a meter has to remember: entries of a log, or bounds for refunds.
fn len(meter: &Meter) -> usize {
    match &meter.0 {
        Spent::Window(window) => window.len(),
        Spent::Gcra(gcra) => gcra.len(),
    }
}

/// All that was ever spent, in order, as it is known by now.
#[derive(Debug)]
struct Model {
    rule: RateRule,
    spent: Vec<(Nanos, u64)>,
}

impl Model {
    fn new(rule: RateRule) -> Self {
        let spent = Vec::new();
        Self { rule, spent }
    }

    fn spend(&mut self, now: Nanos, amount: u64) {
        self.spent.push((now, amount));
    }

    fn settle(&mut self, now: Nanos, spent_at: Nanos, estimated: u64, actual: u64) {
        if actual > estimated {
            self.spend(now, actual - estimated);
        } else {
            let mut refund = estimated - actual;
            for (time, amount) in &mut self.spent {
                if *time == spent_at {
                    let part = refund.min(*amount);
                    *amount -= part;
                    refund -= part;
                }
            }
            assert_eq!(refund, 0, "the test settles what it has spent");
        }
    }

    fn set_rule(&mut self, now: Nanos, rule: RateRule) {
        let forgotten = self.rule.period;
        self.spent.retain(|(time, _)| now - time < forgotten);
        self.rule = rule;
    }

    /// Whether the promise is kept if `amount` more is spent at `now`.
    fn fits(&self, now: Nanos, amount: u64) -> bool {
        let RateRule { count, period, .. } = self.rule;
        let (count, unit) = (u128::from(count), u128::from(period));
        let with_this = self.spent.iter().copied().chain([(now, amount)]);
        match self.rule.shape {
            Shape::AnyWindow => {
                let in_window = with_this.rev().take_while(|(time, _)| now - time < period);
                in_window
                    .map(|(_, amount)| u128::from(amount))
                    .sum::<u128>()
                    <= count
            }
            Shape::Gcra { burst } => {
                let burst = u128::from(burst);
                let mut sum = 0;
                amount as u128 <= burst
                    && with_this.rev().all(|(start, amount)| {
                        sum += u128::from(amount);
                        let window = u128::from(now + 1 - start);
                        start > now || amount == 0 || sum * unit < window * count + burst * unit
                    })
            }
        }
    }

    /// The most in any half-open window of the period.
    fn fullest(&self) -> u64 {
        let window = |start| {
            let inside = self
                .spent
                .iter()
                .filter(move |(time, _)| (start..start + self.rule.period).contains(time));
            inside.map(|(_, amount)| amount).sum()
        };
        self.spent
            .iter()
            .map(|(start, _)| window(*start))
            .max()
            .unwrap_or(0)
    }
}

#[derive(Clone, Debug)]
enum Op {
    Wait(Nanos),
    /// Asks, waits until it is ready, and spends.
    Request(u64),
    /// Asks at the given time before it is ready, and leaves.
    Ask(u64),
    /// Spends without asking.
    Force(u64),
    /// Settles one of the open requests with this many 16ths of the estimate.
    Settle(prop::sample::Index, u64),
}

fn ops(gap: Nanos, amount: u64, settles: u32, len: usize) -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        3 => (0..=gap).prop_map(Op::Wait),
        6 => (1..=amount).prop_map(Op::Request),
        1 => (0..=2 * amount).prop_map(Op::Ask),
        settles => (any::<prop::sample::Index>(), 0..=24u64).prop_map(|(i, n)| Op::Settle(i, n)),
        settles / 4 => (1..=amount).prop_map(Op::Force),
    ];
    prop::collection::vec(op, 1..len)
}

/// Requests at so many instants that entries are shared, each after a pause of at most 2.
fn crowd(amount: u64, settles: u32) -> impl Strategy<Value = Vec<Op>> {
    let ops = prop::collection::vec((ops(0, amount, settles, 2), 0..=2u64), 500..2_500);
    ops.prop_map(|ops| {
        let ops = ops.into_iter();
        ops.flat_map(|(ops, gap)| [Op::Wait(gap)].into_iter().chain(ops))
            .collect()
    })
}

impl Op {
    fn stretched(&self, unit: Nanos) -> Self {
        match self {
            Self::Wait(gap) => Self::Wait(gap * unit),
            other => other.clone(),
        }
    }
}

/// A meter beside its model.
struct Pair {
    meter: Meter,
    model: Model,
    now: Nanos,
    open: Vec<(Nanos, u64)>,
    /// How much later than the model's the meter's answer may be.
    late: Nanos,
}

impl Pair {
    fn new(rule: RateRule, late: Nanos) -> Self {
        Self {
            meter: Meter::new(rule),
            model: Model::new(rule),
            now: 0,
            open: Vec::new(),
            late,
        }
    }

    fn largest(&self) -> u64 {
        match self.model.rule.shape {
            Shape::AnyWindow => self.model.rule.count,
            Shape::Gcra { burst } => burst,
        }
    }

    fn ask(&mut self, amount: u64) -> Nanos {
        let ready = self.meter.ready_at(self.now, amount);
        let at_once = amount.min(self.largest());
        if amount == 0 {
            assert_eq!(ready, self.now, "nothing is always ready");
            return ready;
        }
        assert!(ready >= self.now, "ready in the past");
        assert!(
            self.model.fits(ready, at_once),
            "ready at {ready}, which is too early for {amount}"
        );
        if let Some(before) = ready.checked_sub(self.late + 1).filter(|t| *t >= self.now) {
            assert!(
                !self.model.fits(before, at_once),
                "ready at {ready}, but {amount} would fit at {before}"
            );
        }
        ready
    }

    fn spend(&mut self, amount: u64) {
        self.meter.spend(self.now, amount);
        self.model.spend(self.now, amount);
        self.open.push((self.now, amount));
    }

    fn settle(&mut self, index: usize, actual: u64) {
        let (spent_at, estimated) = self.open.swap_remove(index);
        self.meter.settle(self.now, spent_at, estimated, actual);
        self.model.settle(self.now, spent_at, estimated, actual);
    }

    fn run(&mut self, op: &Op) {
        match op {
            Op::Wait(time) => self.now += time,
            Op::Request(amount) => {
                let amount = (*amount).min(self.largest());
                self.now = self.ask(amount);
                self.spend(amount);
            }
            Op::Ask(amount) => _ = self.ask(*amount),
            Op::Force(amount) => self.spend(*amount),
            Op::Settle(index, sixteenths) => {
                if !self.open.is_empty() {
                    let index = index.index(self.open.len());
                    let actual = (self.open[index].1 * sixteenths).div_ceil(16);
                    self.settle(index, actual);
                }
            }
        }
        let most = match self.model.rule.shape {
            Shape::AnyWindow => LONGEST,
            Shape::Gcra { .. } => MOST,
        };
        assert!(len(&self.meter) <= most, "{} entries", len(&self.meter));
    }
}

fn grain(period: Nanos) -> Nanos {
    period.div_ceil(GRAINS)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 500,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_window_of_a_small_count_is_exact(
        count in 1..=EXACT as u64,
        period in 1..=2_000u64,
        ops in ops(60, 4, 0, 300),
    ) {
        let mut pair = Pair::new(any_window(count, period), 0);
        ops.iter().for_each(|op| pair.run(op));
        prop_assert!(pair.model.fullest() <= count);
    }

    #[test]
    fn a_window_of_a_small_count_settles_exactly(
        count in 1..=40u64,
        period in 1..=500u64,
        ops in ops(30, 9, 4, 300),
    ) {
        let mut pair = Pair::new(any_window(count, period), 0);
        ops.iter().for_each(|op| pair.run(op));
    }

    #[test]
    fn gcra_is_exact(
        count in 1..=50u64,
        period in 1..=2_000u64,
        burst in 1..=20u64,
        ops in ops(200, 4, 0, 200),
    ) {
        let mut pair = Pair::new(gcra(count, period, burst), 0);
        ops.iter().for_each(|op| pair.run(op));
        if ops.iter().all(|op| !matches!(op, Op::Force(_))) {
            prop_assert!(pair.model.fullest() < burst + count);
        }
    }

    /// A burst this small is not divided further, so that refunds are exact.
    #[test]
    fn gcra_settles_exactly_between_few_ticks(
        period in 1..=6u64,
        burst in 1..=5u64,
        ops in ops(9, 5, 4, 200),
    ) {
        let mut pair = Pair::new(gcra(1, period, burst), 0);
        ops.iter().for_each(|op| pair.run(op));
    }

    #[test]
    fn gcra_refunds_nothing_that_was_replenished(
        count in 1..=50u64,
        period in 1..=2_000u64,
        burst in 1..=90u64,
        ops in ops(200, 40, 4, 300),
    ) {
        let mut pair = Pair::new(gcra(count, period, burst), Nanos::MAX / 2);
        ops.iter().for_each(|op| pair.run(op));
    }

    #[test]
    fn a_window_follows_changes_of_its_rule(
        first in (1..=40u64, 1..=500u64),
        parts in prop::collection::vec((ops(30, 9, 4, 40), 1..=40u64, 1..=500u64), 1..8),
    ) {
        let mut pair = Pair::new(any_window(first.0, first.1), 0);
        for (ops, count, period) in parts {
            ops.iter().for_each(|op| pair.run(op));
            // What is forgotten can no longer be settled in the model either.
            let old = pair.model.rule.period;
            let now = pair.now;
            pair.open.retain(|(spent_at, _)| now - spent_at < old);
            let rule = any_window(count, period);
            pair.meter.set_rule(pair.now, rule);
            pair.model.set_rule(pair.now, rule);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 60,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_window_of_a_large_count_is_at_most_a_grain_late(
        count in 300..=900u64,
        period in 100_000..=1_000_000u64,
        ops in crowd(2, 0),
    ) {
        let mut pair = Pair::new(any_window(count, period), grain(period) - 1);
        ops.iter().for_each(|op| pair.run(&op.stretched(period / (2 * count))));
        prop_assert!(pair.model.fullest() <= count);
    }

    #[test]
    fn a_window_of_a_large_count_settles_within_a_grain(
        count in 600..=1_800u64,
        period in 100_000..=1_000_000u64,
        ops in crowd(6, 4),
    ) {
        let mut pair = Pair::new(any_window(count, period), grain(period) - 1);
        ops.iter().for_each(|op| pair.run(&op.stretched(period / count)));
    }

    #[test]
    fn changes_of_the_period_leave_no_entries_behind(
        parts in prop::collection::vec((ops(100, 30, 4, 300), 200..=5_000u64, 100..=100_000u64), 1..12),
    ) {
        let mut pair = Pair::new(any_window(1_000, 1_000), 3 * grain(100_000));
        for (ops, count, period) in parts {
            ops.iter().for_each(|op| pair.run(op));
            let old = pair.model.rule.period;
            let now = pair.now;
            pair.open.retain(|(spent_at, _)| now - spent_at < old);
            let rule = any_window(count, period);
            pair.meter.set_rule(pair.now, rule);
            pair.model.set_rule(pair.now, rule);
            prop_assert!(len(&pair.meter) <= LONGEST);
        }
    }

    /// Also when rules change shape, nothing panics or overflows, and nobody waits for ever.
    #[test]
    fn any_amounts_under_any_rules(
        rules in prop::collection::vec(any_rule(), 1..6),
        ops in prop::collection::vec((any::<u64>(), 0..4u8, any::<u64>()), 1..200),
    ) {
        let mut meter = Meter::new(rules[0]);
        let mut now = 0;
        for (index, (amount, op, time)) in ops.into_iter().enumerate() {
            now += time >> 16;
            match op {
                0 => meter.spend(now, amount),
                1 => meter.settle(now, now - now / 7, amount, time),
                2 => meter.set_rule(now, rules[index % rules.len()]),
                _ => prop_assert!(meter.ready_at(now, amount) >= now),
            }
            prop_assert!(len(&meter) <= LONGEST);
        }
    }
}

fn any_rule() -> impl Strategy<Value = RateRule> {
    let count = prop_oneof![1..=100u64, 1..=1u64 << 53];
    let period = prop_oneof![1..=100u64, 1..=3_650 * 86_400 * SECOND];
    let burst = prop::option::of(prop_oneof![1..=100u64, 1..=1u64 << 53]);
    (count, period, burst).prop_map(|(count, period, burst)| match burst {
        None => any_window(count, period),
        Some(burst) => gcra(count, period, burst),
    })
}

/// What a meter admits by `end` to requests that are always waiting; the last time with it.
fn saturate(
    meter: &mut Meter,
    from: Nanos,
    end: Nanos,
    mut amount: impl FnMut() -> u64,
) -> (u64, Nanos) {
    let (mut total, mut now) = (0, from);
    loop {
        let amount = amount();
        now = meter.ready_at(now, amount);
        if now >= end {
            return (total, now);
        }
        meter.spend(now, amount);
        total += amount;
    }
}

/// Numbers that look random (a linear congruence), from 1 to `most`.
fn numbers(most: u64) -> impl FnMut() -> u64 {
    let mut state = 7u64;
    move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % most + 1
    }
}

#[test]
fn a_busy_window_admits_98_percent_of_a_large_count() {
    for (count, step) in [(500, 1), (1_000, 1), (90_000, 1), (90_000, 7)] {
        let mut meter = Meter::new(any_window(count, MINUTE));
        // Spread over a period, so that neighbours share entries; then a queue that never empties.
        let mut gaps = numbers(2 * MINUTE * step / count);
        let (mut now, mut ramp) = (0, 0);
        while now < MINUTE {
            now = meter.ready_at(now + gaps(), step);
            meter.spend(now, step);
            ramp += step;
        }
        assert!(ramp > count / 2, "the ramp fills the window");
        let (admitted, _) = saturate(&mut meter, now, now + 100 * MINUTE, || step);
        let share = admitted as f64 / (100 * count) as f64;
        assert!((0.98..=1.01).contains(&share), "{share} of {count}");
        assert!(len(&meter) <= LONGEST);
    }
}

#[test]
fn a_busy_window_admits_98_percent_of_what_an_exact_one_does_in_loads() {
    let mut meter = Meter::new(any_window(90_000, MINUTE));
    let (admitted, _) = saturate(&mut meter, 0, 500 * MINUTE, numbers(900));

    let mut exact = VecDeque::<(Nanos, u64)>::new();
    let (mut now, mut sum, mut expected) = (0, 0, 0);
    let mut amounts = numbers(900);
    while now < 500 * MINUTE {
        let amount = amounts();
        while sum + amount > 90_000 {
            let (time, amount) = exact.pop_front().expect("the sum of the list");
            now = time + MINUTE;
            sum -= amount;
        }
        exact.push_back((now, amount));
        sum += amount;
        expected += amount;
    }
    let share = admitted as f64 / expected as f64;
    assert!(share >= 0.98, "{admitted} of {expected}");
}

#[test]
fn a_window_is_half_open() {
    let mut meter = Meter::new(any_window(2, 100));
    meter.spend(10, 1);
    meter.spend(60, 1);
    assert_eq!(meter.ready_at(60, 1), 110);
    assert_eq!(meter.ready_at(109, 1), 110);
    assert_eq!(meter.ready_at(110, 1), 110);
    assert_eq!(meter.ready_at(110, 2), 160);
}

#[test]
fn more_than_can_ever_pass_waits_for_an_empty_window_and_is_spent_in_full() {
    let mut meter = Meter::new(any_window(10, 100));
    meter.spend(0, 1);
    assert_eq!(meter.ready_at(5, 25), 100);
    meter.spend(100, 25);
    assert_eq!(meter.ready_at(100, 1), 200);

    let mut meter = Meter::new(gcra(10, 100, 2));
    meter.spend(0, 1);
    assert_eq!(meter.ready_at(5, 25), 10);
    meter.spend(10, 25);
    assert_eq!(meter.ready_at(10, 1), 250, "24 of them at 10 ns each");
}

#[test]
fn gcra_lets_a_burst_pass_at_once_and_then_paces() {
    let mut meter = Meter::new(gcra(10, SECOND, 5));
    let start = 3 * SECOND;
    for _ in 0..5 {
        assert_eq!(meter.ready_at(start, 1), start);
        meter.spend(start, 1);
    }
    for n in 1..=20 {
        let next = start + n * SECOND / 10;
        assert_eq!(meter.ready_at(start, 1), next);
        meter.spend(next, 1);
    }
}

#[test]
fn smooth_holds_no_more_than_the_count_in_any_window() {
    // 7 per second do not divide it.
    let rule = gcra(7, SECOND, 1);
    let mut meter = Meter::new(rule);
    let mut model = Model::new(rule);
    let mut now = 12_345;
    for _ in 0..500 {
        now = meter.ready_at(now, 1);
        meter.spend(now, 1);
        model.spend(now, 1);
    }
    assert_eq!(model.fullest(), 7);
    assert_eq!(now, 12_345 + 499 * SECOND / 7, "on time after 499");
}

#[test]
fn gcra_does_not_drift_in_a_billion_units() {
    // Neither a unit nor a nanosecond divides the other.
    for (count, period, burst, step) in [
        (7_000_003, SECOND, 1_000, 1_000),
        (999_983, SECOND, 2_500, 1_250),
        (3_000_000_019, SECOND, 700, 700),
        (90_001, MINUTE, 1_000, 997),
    ] {
        let mut meter = Meter::new(gcra(count, period, burst));
        let (mut now, mut total) = (0, 0u64);
        while total < 1_000_000_000 {
            now = meter.ready_at(now, step);
            meter.spend(now, step);
            total += step;
        }
        let on_time = u128::from(total - burst) * u128::from(period) / u128::from(count);
        assert_eq!(u128::from(now), on_time, "{count} per {period}");
    }
    // One by one, from a late start, with an even number of nanoseconds in between and without.
    for count in [3, 333_333_333, 1_000_000_007] {
        let mut meter = Meter::new(gcra(count, SECOND, 1));
        let start = 400 * 365 * 86_400 * SECOND;
        let mut now = start;
        for _ in 0..=1_000_000 {
            now = meter.ready_at(now, 1);
            meter.spend(now, 1);
        }
        assert_eq!(
            now - start,
            1_000_000 * SECOND / count,
            "{count} per second"
        );
    }
}

#[test]
fn a_window_refunds_at_once_and_demands_the_rest_for_a_period() {
    let mut meter = Meter::new(any_window(100, 1_000));
    meter.spend(0, 60);
    meter.spend(10, 40);
    assert_eq!(meter.ready_at(20, 50), 1_000);
    meter.settle(20, 0, 60, 10);
    assert_eq!(meter.ready_at(20, 50), 20, "50 were refunded");
    meter.settle(30, 10, 40, 90);
    assert_eq!(meter.ready_at(30, 1), 1_000, "the 50 again, as a debt");
    assert_eq!(meter.ready_at(1_010, 51), 1_030, "the debt leaves last");
}

#[test]
fn what_has_left_the_window_is_not_refunded() {
    let mut meter = Meter::new(any_window(100, 1_000));
    meter.spend(0, 100);
    meter.spend(1_000, 100);
    meter.settle(1_500, 0, 100, 0);
    assert_eq!(meter.ready_at(1_500, 1), 2_000);
}

#[test]
fn a_refund_from_a_shared_entry_leaves_the_others_in_it() {
    let period = 1_280_000;
    let mut meter = Meter::new(any_window(100_000, period));
    let times = |n: u64| n * 1_000;
    (0..600).for_each(|n| meter.spend(times(n), 100));
    assert!(len(&meter) < 200, "entries are shared");
    (0..600).for_each(|n| meter.settle(times(600), times(n), 100, 1));
    assert_eq!(meter.ready_at(times(600), 99_400), times(600));
    let late = meter.ready_at(times(600), 99_401);
    assert!(
        (period..period + grain(period)).contains(&late),
        "at {late}"
    );
}

#[test]
fn what_was_refunded_whole_leaves_the_log_exact() {
    let mut meter = Meter::new(any_window(10, 100_000));
    for n in 0..500 {
        meter.spend(n * 10, 1);
        meter.settle(n * 10 + 5, n * 10, 1, 0);
    }
    (0..10).for_each(|n| meter.spend(5_000 + n, 1));
    for n in 0..10 {
        assert_eq!(meter.ready_at(6_000, n + 1), 105_000 + n);
    }
}

#[test]
fn longer_and_longer_periods_leave_no_entries_behind() {
    let (mut now, mut period) = (0, GRAINS);
    let mut meter = Meter::new(any_window(1, period));
    for _ in 0..12 {
        for _ in 0..GRAINS / 2 {
            now += period / GRAINS;
            meter.spend(now, 1);
            assert!(len(&meter) <= LONGEST);
        }
        period *= 2;
        meter.set_rule(now, any_window(1, period));
        assert!(len(&meter) <= LONGEST);
    }
}

#[test]
fn debts_leave_few_bounds_behind() {
    let mut meter = Meter::new(gcra(1, 100, 1));
    (0..1_000).for_each(|now| meter.spend(now, 1));
    assert_eq!(len(&meter), MOST);
    assert_eq!(meter.ready_at(1_000, 1), 100_000);
    (0..1_000).for_each(|spent_at| meter.settle(1_000, spent_at, 1, 0));
    assert!(
        meter.ready_at(1_000, 1) < 100_000,
        "what is known is refunded"
    );
}

#[test]
fn what_was_replenished_in_a_pause_is_not_refunded() {
    let mut meter = Meter::new(gcra(1, 10, 10));
    meter.spend(0, 10);
    meter.spend(200, 10);
    meter.settle(200, 0, 10, 0);
    assert_eq!(meter.ready_at(200, 1), 210, "a burst was spent just now");
    meter.settle(200, 200, 10, 3);
    assert_eq!(meter.ready_at(200, 7), 200);
    assert_eq!(meter.ready_at(200, 8), 210);
    meter.settle(500, 200, 3, 0);
    assert_eq!(meter.ready_at(500, 10), 500);
    meter.spend(500, 10);
    assert_eq!(
        meter.ready_at(500, 1),
        510,
        "a full burst does not get fuller"
    );
}

#[test]
fn gcra_waits_until_a_debt_is_paid() {
    let mut meter = Meter::new(gcra(1, 10, 10));
    meter.spend(0, 10);
    meter.settle(50, 0, 10, 40);
    assert_eq!(meter.ready_at(50, 1), 310);
}

/// Estimates four times too high do not throttle a paced rate, whose log is long gone.
#[test]
fn gcra_admits_the_rate_in_actual_amounts() {
    let mut meter = Meter::new(gcra(90_000, MINUTE, 90_000));
    let mut delays = numbers(9 * SECOND);
    let mut running: Vec<(Nanos, Nanos)> = Vec::new();
    let (mut now, mut total) = (0, 0);
    while now < 60 * MINUTE {
        let ready = meter.ready_at(now, 4_000);
        let done = running
            .iter()
            .copied()
            .min()
            .filter(|(end, _)| *end <= ready);
        match done {
            Some((end, spent_at)) => {
                now = now.max(end);
                meter.settle(now, spent_at, 4_000, 1_000);
                running.retain(|r| *r != (end, spent_at));
                total += 1_000;
            }
            None => {
                now = ready;
                meter.spend(now, 4_000);
                running.push((now + SECOND + delays(), now));
            }
        }
    }
    let share = total as f64 / (60.0 * 90_000.0);
    assert!((0.95..1.02).contains(&share), "{share} of the rate");
}

#[test]
fn a_window_raised_and_lowered_keeps_what_was_spent() {
    let mut meter = Meter::new(any_window(10, 1_000));
    meter.spend(0, 6);
    meter.spend(100, 4);
    meter.set_rule(200, any_window(15, 1_000));
    assert_eq!(meter.ready_at(200, 5), 200);
    assert_eq!(meter.ready_at(200, 6), 1_000);
    meter.set_rule(200, any_window(5, 1_000));
    assert_eq!(meter.ready_at(200, 1), 1_000);
    assert_eq!(meter.ready_at(200, 2), 1_100);
    meter.set_rule(200, any_window(5, 150));
    assert_eq!(meter.ready_at(200, 2), 250);
    meter.settle(200, 100, 4, 1);
    assert_eq!(meter.ready_at(200, 2), 200);
}

#[test]
fn gcra_raised_and_lowered_keeps_the_units_owed() {
    let mut meter = Meter::new(gcra(1, 10, 10));
    meter.spend(0, 10);
    meter.set_rule(20, gcra(1, 100, 10));
    assert_eq!(meter.ready_at(20, 2), 20, "8 are owed");
    assert_eq!(meter.ready_at(20, 3), 120);
    meter.set_rule(20, gcra(3, 10, 4));
    assert_eq!(meter.ready_at(20, 4), 20 + 8 * 10 / 3);
    meter.settle(20, 0, 10, 4);
    assert_eq!(meter.ready_at(20, 2), 20, "2 are owed");
    assert_eq!(meter.ready_at(20, 3), 20 + 10 / 3);
}

#[test]
fn a_rule_set_again_changes_nothing() {
    for rule in [any_window(10, 1_000), gcra(7, 1_000, 5)] {
        let mut meter = Meter::new(rule);
        meter.spend(0, 3);
        meter.spend(50, 2);
        let before = meter.ready_at(60, 5);
        meter.set_rule(60, rule);
        assert_eq!(meter.ready_at(60, 5), before);
    }
}

#[test]
fn another_shape_keeps_what_the_old_one_remembers() {
    let mut meter = Meter::new(any_window(10, 1_000));
    meter.spend(0, 6);
    meter.spend(300, 4);
    meter.set_rule(400, gcra(10, 1_000, 8));
    assert_eq!(
        meter.ready_at(400, 2),
        400,
        "4 of the first 6 are replenished by now"
    );
    assert_eq!(meter.ready_at(400, 3), 500);
    meter.settle(400, 300, 4, 1);
    assert_eq!(meter.ready_at(400, 5), 400, "refunds go on");

    let mut meter = Meter::new(gcra(10, 1_000, 8));
    meter.spend(0, 8);
    meter.set_rule(150, any_window(10, 1_000));
    assert_eq!(meter.ready_at(150, 3), 150, "7 are left");
    assert_eq!(meter.ready_at(150, 4), 1_150);
}
