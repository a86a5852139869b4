//! Where the limits settle when they drive what they measure.
//!
//! The resource serves 20 jobs at once, in 10 ms each, unless a test says otherwise.

use std::ops::RangeInclusive;

use super::simulation::{Length, Seen, Simulation};
use super::*;

/// Far below what the resource can serve, just there, and far above.
const STARTS: [usize; 3] = [1, 20, 400];

#[track_caller]
fn stays_within(band: RangeInclusive<usize>, seen: &Seen) {
    let inside = band.contains(&seen.least) && band.contains(&seen.most);
    assert!(inside, "expected limits within {band:?}: {seen:?}");
    is_busy(seen);
}

/// As [`stays_within`] for [`Gradient2`], whose probes are far below its mean.
#[track_caller]
fn settles_within(means: RangeInclusive<usize>, most: usize, seen: &Seen) {
    let inside = means.contains(&(seen.mean as usize)) && seen.most <= most;
    assert!(
        inside,
        "expected a mean within {means:?} and at most {most}: {seen:?}"
    );
    is_busy(seen);
}

#[track_caller]
fn is_busy(seen: &Seen) {
    let is_busy = seen.utilization > 0.96;
    assert!(is_busy, "expected a resource that is kept busy: {seen:?}");
}

#[test]
fn aimd_stays_below_what_is_late() {
    for start in STARTS {
        let mut resource = Simulation::new(Length::Even, [aimd(start)]);
        resource.run_alone(seconds(5));
        stays_within(16..=42, &resource.run_alone(seconds(20)));
    }
}

#[test]
fn aimd_stays_below_what_is_refused() {
    for start in STARTS {
        let mut resource = Simulation::new(Length::Uneven, [aimd_without_timeout(start)]);
        resource.capacity = 25;
        resource.run_alone(seconds(5));
        stays_within(16..=27, &resource.run_alone(seconds(20)));
    }
}

#[test]
fn aimd_follows_the_capacity_within_a_second() {
    let mut resource = Simulation::new(Length::Even, [aimd(20)]);
    resource.run_alone(seconds(5));
    resource.servers = 10;
    resource.run_alone(seconds(1));
    stays_within(8..=22, &resource.run_alone(seconds(20)));
    resource.servers = 20;
    resource.run_alone(seconds(1));
    stays_within(16..=42, &resource.run_alone(seconds(20)));
}

/// Around 1.5 * 20 + 4.
#[test]
fn gradient2_settles_where_a_short_queue_is() {
    for start in STARTS {
        let mut resource = Simulation::new(Length::Even, [gradient2(start)]);
        resource.run_alone(seconds(20));
        settles_within(30..=42, 44, &resource.run_alone(seconds(60)));
    }
}

/// A probe that finds a queue is soon followed by another.
#[test]
fn gradient2_comes_down_from_far_above_within_ten_seconds() {
    let mut resource = Simulation::new(Length::Even, [gradient2(400)]);
    resource.run_alone(seconds(10));
    settles_within(30..=42, 44, &resource.run_alone(seconds(20)));
}

#[test]
fn gradient2_finds_a_wider_band_for_uneven_work() {
    for start in STARTS {
        let mut resource = Simulation::new(Length::Uneven, [gradient2(start)]);
        resource.run_alone(seconds(40));
        settles_within(30..=80, 120, &resource.run_alone(seconds(60)));
    }
}

#[test]
fn gradient2_follows_the_capacity_within_five_seconds() {
    let mut resource = Simulation::new(Length::Even, [gradient2(20)]);
    resource.run_alone(seconds(20));
    resource.servers = 10;
    resource.run_alone(seconds(5));
    settles_within(16..=24, 26, &resource.run_alone(seconds(20)));
    resource.servers = 20;
    resource.run_alone(seconds(5));
    settles_within(30..=42, 44, &resource.run_alone(seconds(20)));
}

#[test]
fn gradient2_tells_slower_work_from_more_load() {
    let mut resource = Simulation::new(Length::Even, [gradient2(20)]);
    resource.run_alone(seconds(20));
    resource.service *= 3;
    resource.run_alone(seconds(10));
    settles_within(30..=42, 44, &resource.run_alone(seconds(60)));
    resource.service /= 3;
    resource.run_alone(seconds(10));
    settles_within(30..=42, 44, &resource.run_alone(seconds(60)));
}

/// Without probes it creeps to the ceiling.
#[test]
fn gradient2_does_not_take_a_load_that_stays_for_usual() {
    let mut resource = Simulation::new(Length::Even, [gradient2(20)]);
    resource.run_alone(seconds(20));
    settles_within(30..=42, 44, &resource.run_alone(seconds(600)));
}

#[test]
fn gradient2_stays_near_what_is_refused() {
    for start in STARTS {
        let mut resource = Simulation::new(Length::Uneven, [gradient2(start)]);
        resource.capacity = 25;
        resource.run_alone(seconds(20));
        settles_within(20..=27, 30, &resource.run_alone(seconds(20)));
    }
}

#[test]
fn gradient2_meets_a_spike_with_what_it_learned_before() {
    let mut resource = Simulation::new(Length::Even, [gradient2(400)]);
    resource.users[0].demand = 10;
    resource.run_alone(seconds(5));
    resource.users[0].demand = 1000;
    resource.run_alone(seconds(5));
    settles_within(30..=42, 60, &resource.run_alone(seconds(60)));
}

#[test]
fn aimd_limits_of_one_resource_come_to_a_fair_share() {
    let mut resource = Simulation::new(Length::Even, [aimd(2), aimd(200)]);
    resource.run(seconds(10));
    for seen in resource.run(seconds(20)) {
        let share = seen.utilization;
        assert!((0.45..0.55).contains(&share), "expected half: {seen:?}");
        assert!(seen.most < 40, "expected a share of 40: {seen:?}");
    }
}

/// Why the guide keeps it to resources with one limit.
#[test]
fn gradient2_limits_of_one_resource_push_each_other_up() {
    // Not at the same pace, or each probes while the other does.
    let other = Gradient2::between(1, 400).start(30).long_window(430);
    let other: Box<dyn AdaptiveLimit> = Box::new(other.build());
    let mut resource = Simulation::new(Length::Even, [gradient2(20), other]);
    resource.run(seconds(100));
    for seen in resource.run(seconds(20)) {
        assert!(seen.mean > 100.0, "expected no rest: {seen:?}");
    }
}

#[test]
fn a_limit_that_nobody_reaches_does_not_grow() {
    for limit in [aimd(20), aimd_without_timeout(20), gradient2(20)] {
        let mut resource = Simulation::new(Length::Even, [limit]);
        resource.users[0].demand = 9;
        let seen = resource.run_alone(seconds(5));
        assert_eq!((seen.least, seen.most), (20, 20), "9 are less than half");
        resource.users[0].demand = 10;
        let seen = resource.run_alone(seconds(5));
        assert!((21..=22).contains(&seen.most), "10 are half: {seen:?}");
    }
}
