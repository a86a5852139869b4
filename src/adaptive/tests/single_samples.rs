//! What single samples do, and what the builders refuse.

use super::*;

#[test]
fn a_limit_that_nobody_reaches_is_not_what_is_slow() {
    let mut limit = gradient2(100);
    for held in (1..20).map(seconds) {
        for _ in 0..100 {
            assert_eq!(limit.update(&success(held, 10)), 100, "held for {held:?}");
        }
    }
}

#[test]
fn overload_counts_however_little_is_in_use() {
    for mut limit in [aimd(100), gradient2(100)] {
        for _ in 0..100 {
            limit.update(&overload(1));
        }
        assert!(limit.limit() <= 90, "expected less: {}", limit.limit());
    }
}

#[test]
fn a_resource_that_is_down_gets_the_floor() {
    for mut limit in [aimd(400), gradient2(400)] {
        for _ in 0..10_000 {
            let in_use = limit.limit();
            limit.update(&overload(in_use));
        }
        assert_eq!(limit.limit(), 1);
    }
}

#[test]
fn aimd_grows_by_its_increase_in_a_round() {
    let mut limit = Aimd::between(1, 100).start(50).increase(5).build();
    for _ in 0..50 {
        limit.update(&success(seconds(1), 50));
    }
    assert_eq!(
        limit.limit(),
        54,
        "5 units, less what the growth itself took"
    );
    limit.update(&success(seconds(1), 50));
    limit.update(&success(seconds(1), 50));
    limit.update(&success(seconds(1), 50));
    assert_eq!(limit.limit(), 55);
}

#[test]
fn aimd_takes_a_burst_of_overload_for_one() {
    let mut limit = Aimd::between(1, 100).start(100).backoff(0.5).build();
    for in_use in (1..=100).rev() {
        limit.update(&overload(in_use));
        assert_eq!(limit.limit(), 50, "the other 99 began at 100");
    }
    limit.update(&overload(50));
    assert_eq!(limit.limit(), 25);
}

#[test]
fn aimd_falls_by_a_unit_at_least() {
    let mut limit = Aimd::between(1, 100).start(3).backoff(0.99).build();
    assert_eq!(limit.update(&overload(1)), 2);
    assert_eq!(limit.update(&overload(1)), 1);
    assert_eq!(limit.update(&overload(1)), 1);
}

#[test]
fn aimd_takes_what_is_held_too_long_for_overload() {
    let late = seconds(1);
    let mut limit = Aimd::between(1, 100).start(10).timeout(late).build();
    assert_eq!(limit.update(&success(late, 10)), 10, "just in time");
    assert_eq!(limit.update(&success(late + Duration::from_nanos(1), 1)), 7);
}

/// Ends as many permits as `rounds` rounds at the limit have.
fn rounds(limit: &mut impl AdaptiveLimit, rounds: usize, held: Duration) {
    for _ in 0..rounds {
        for _ in 0..limit.limit().max(10) {
            let in_use = limit.limit();
            limit.update(&success(held, in_use));
        }
    }
}

/// If it did, the times after the outage would look slow beside it.
#[test]
fn gradient2_does_not_take_quick_refusals_for_speed() {
    let usual = Duration::from_millis(10);
    let mut limit = gradient2(10);
    for permit in 0..5000 {
        match permit % 10 {
            0 => limit.update(&success(usual, 1)),
            _ => limit.update(&overload(1)),
        };
    }
    assert_eq!(limit.limit(), 1, "9 in 10 were refused");
    rounds(&mut limit, 9, usual);
    assert!(limit.limit() > 5, "expected growth: {}", limit.limit());
}

#[test]
fn gradient2_comes_down_to_the_floor_though_some_succeed() {
    let mut limit = gradient2(100);
    for permit in 0..5000 {
        let in_use = limit.limit();
        match permit % 10 {
            0 => limit.update(&success(seconds(1), in_use)),
            _ => limit.update(&overload(in_use)),
        };
    }
    assert_eq!(limit.limit(), 1);
}

#[test]
fn gradient2_forgets_a_slow_time_soon() {
    let mut limit = gradient2(100);
    // With a few units in use, so that no probe does it.
    for held in [1000, 10] {
        for _ in 0..100 * 100 {
            limit.update(&success(Duration::from_millis(held), 10));
        }
    }
    rounds(&mut limit, 5, Duration::from_millis(50));
    let now = limit.limit();
    assert!(now < 80, "expected 50 ms to be slow beside 10 ms: {now}");
}

#[test]
fn gradient2_learns_in_a_long_window_that_work_is_slower() {
    let mut limit = gradient2(100);
    // With a few units in use, so that no probe does it.
    for (held, rounds) in [(10, 100), (40, 600)] {
        for _ in 0..100 * rounds {
            limit.update(&success(Duration::from_millis(held), 10));
        }
    }
    rounds(&mut limit, 5, Duration::from_millis(40));
    let now = limit.limit();
    assert!(now > 100, "expected 40 ms to be usual: {now}");
}

#[test]
fn gradient2_grows_where_nothing_takes_time() {
    let mut limit = gradient2(1);
    rounds(&mut limit, 50, Duration::ZERO);
    assert!(limit.limit() > 20, "expected growth: {}", limit.limit());
}

#[test]
fn gradient2_probes_and_comes_back() {
    let mut limit = Gradient2::between(1, 400).start(60).long_window(50).build();
    let mut seen = Vec::new();
    for _ in 0..2000 {
        let in_use = limit.limit();
        seen.push(limit.update(&success(seconds(1), in_use)));
    }
    let probes = seen.windows(2).filter(|pair| pair[1] < pair[0] / 2).count();
    assert_eq!(
        probes, 4,
        "one after 5 rounds of 60 and more, and about a round long"
    );
    let last = seen.last().expect("a limit");
    assert!(*last > 70, "a probe is no step down: {last}");
}

#[test]
fn it_starts_at_the_floor_unless_told() {
    assert_eq!(Aimd::between(7, 9).build().limit(), 7);
    assert_eq!(Aimd::between(7, 9).start(9).build().limit(), 9);
    assert_eq!(Gradient2::between(7, 9).build().limit(), 7);
    assert_eq!(Gradient2::between(7, 9).start(9).build().limit(), 9);
}

#[test]
fn mistakes_name_the_cure() {
    let aimd = || Aimd::between(1, 10);
    let gradient2 = || Gradient2::between(1, 10);
    let aimds = [
        (
            Aimd::between(0, 10),
            "a floor of 0 would let the limit fall to 0, from where no permit could raise it; pass 1 or more",
        ),
        (
            Aimd::between(9, 5),
            "the floor 9 is above the ceiling 5; pass the smaller one first, as `between(5, 9)`",
        ),
        (
            aimd().start(11),
            "a start at 11 is not between the floor 1 and the ceiling 10; pass one that is to `.start(units)`, or leave it out to start at the floor",
        ),
        (
            aimd().increase(0),
            "an increase of 0 would let the limit fall but never rise; pass 1 or more to `.increase(units)`",
        ),
        (
            aimd().backoff(1.0),
            "a backoff to 1 of the limit is not between 0 and 1; pass a ratio above 0 and below 1 to `.backoff(ratio)`, such as 0.7",
        ),
        (
            aimd().backoff(0.0),
            "a backoff to 0 of the limit is not between 0 and 1; pass a ratio above 0 and below 1 to `.backoff(ratio)`, such as 0.7",
        ),
        (
            aimd().backoff(f64::NAN),
            "a backoff to NaN of the limit is not between 0 and 1; pass a ratio above 0 and below 1 to `.backoff(ratio)`, such as 0.7",
        ),
        (
            aimd().timeout(Duration::ZERO),
            "a timeout of zero would count every permit as overload; pass a longer one to `.timeout(duration)`, or leave it out",
        ),
    ];
    for (mistake, words) in aimds {
        let error = mistake.try_build().expect_err("a mistake");
        assert_eq!(error.to_string(), words);
    }
    let gradients = [
        (
            Gradient2::between(0, 10),
            "a floor of 0 would let the limit fall to 0, from where no permit could raise it; pass 1 or more",
        ),
        (
            gradient2().smoothing(0.0),
            "a smoothing of 0 is not a share of the way to the new limit; pass one above 0 and at most 1 to `.smoothing(share)`, such as 0.2",
        ),
        (
            gradient2().smoothing(f64::NAN),
            "a smoothing of NaN is not a share of the way to the new limit; pass one above 0 and at most 1 to `.smoothing(share)`, such as 0.2",
        ),
        (
            gradient2().tolerance(0.9),
            "a tolerance of 0.9 is not a ratio of 1 or more; pass a finite one to `.tolerance(ratio)`, such as 1.5",
        ),
        (
            gradient2().tolerance(f64::INFINITY),
            "a tolerance of inf is not a ratio of 1 or more; pass a finite one to `.tolerance(ratio)`, such as 1.5",
        ),
        (
            gradient2().queue_size(0),
            "a queue size of 0 would let the limit fall but never rise; pass 1 or more to `.queue_size(units)`",
        ),
        (
            gradient2().long_window(0),
            "a long window of 0 rounds has no average; pass 1 or more to `.long_window(rounds)`, such as 600",
        ),
    ];
    for (mistake, words) in gradients {
        let error = mistake.try_build().expect_err("a mistake");
        assert_eq!(error.to_string(), words);
    }
}

fn ended(outcome: Outcome, held: Duration, in_use: usize) -> Sample {
    Sample::new(held, in_use, outcome)
}

#[test]
fn aimd_takes_what_was_dropped_too_late_for_overload() {
    let aimd = || Aimd::between(1, 100).start(10).timeout(seconds(1)).build();
    let late = seconds(2);
    assert_eq!(aimd().update(&ended(Outcome::Dropped, late, 10)), 7);
    assert_eq!(aimd().update(&ended(Outcome::Dropped, seconds(1), 10)), 10);
    assert_eq!(aimd().update(&ended(Outcome::Ignore, late, 10)), 10);
    let mut without = Aimd::between(1, 100).start(10).build();
    assert_eq!(without.update(&ended(Outcome::Dropped, late, 10)), 10);
}

#[test]
fn aimd_counts_every_permit_that_ends_whatever_its_outcome() {
    for outcome in [Outcome::Dropped, Outcome::Ignore, Outcome::Success] {
        let mut limit = Aimd::between(1, 500).start(500).backoff(0.5).build();
        assert_eq!(limit.update(&overload(500)), 250);
        for in_use in (1..500).rev() {
            limit.update(&ended(outcome, seconds(0), in_use));
        }
        assert_eq!(limit.limit(), 250, "these began before");
        assert_eq!(limit.update(&overload(1)), 125, "after 499 {outcome:?}");
    }
}

#[test]
fn aimd_counts_a_wide_permit_by_its_units() {
    let mut limit = Aimd::between(1, 100).start(40).build();
    let wide = |outcome, in_use| Sample::new(seconds(1), in_use, outcome).with_units(10);
    for in_use in [40, 30, 20, 10] {
        limit.update(&wide(Outcome::Overload, in_use));
        assert_eq!(limit.limit(), 28, "the other 3 began at 40");
    }
    assert_eq!(limit.update(&wide(Outcome::Overload, 20)), 19);
    let mut limit = Aimd::between(1, 100).start(40).build();
    for _ in 0..4 {
        limit.update(&wide(Outcome::Success, 40));
    }
    limit.update(&wide(Outcome::Success, 40));
    assert_eq!(limit.limit(), 41, "a round of 40 units is over");
}

/// A limit of 60 in its first probe.
fn probing() -> Gradient2 {
    let mut limit = Gradient2::between(1, 400).start(60).build();
    while limit.limit() >= 60 {
        let in_use = limit.limit();
        limit.update(&success(seconds(1), in_use));
    }
    limit
}

#[test]
fn gradient2_ends_a_probe_with_its_round_whatever_the_outcomes() {
    for outcome in [Outcome::Dropped, Outcome::Ignore, Outcome::Overload] {
        let mut limit = probing();
        let permits = (0..200).take_while(|_| {
            let in_use = limit.limit();
            let held = Duration::from_millis(1); // dropped before the usual time
            limit.update(&ended(outcome, held, in_use)) < 50
        });
        let permits = permits.count();
        assert!(permits < 130, "{permits} permits, all {outcome:?}");
    }
}

#[test]
fn gradient2_gives_up_a_probe_in_which_nothing_ends() {
    let mut limit = probing();
    assert!(limit.limit() < 30);
    assert!(limit.stalled(seconds(10)) > 60);
    assert!(limit.limit() > 60);
    let before = limit.limit();
    assert_eq!(limit.stalled(seconds(10)), before, "no probe, no change");
}

#[test]
fn gradient2_takes_the_time_of_dropped_work_for_a_lower_bound() {
    let with = |outcome, held| {
        let mut limit = gradient2(100);
        rounds(&mut limit, 3, Duration::from_millis(10));
        let before = limit.limit();
        for permit in 0..before * 3 {
            let in_use = limit.limit();
            match permit % 2 {
                0 => limit.update(&success(Duration::from_millis(10), in_use)),
                _ => limit.update(&ended(outcome, held, in_use)),
            };
        }
        limit.limit() as isize - before as isize
    };
    assert!(with(Outcome::Dropped, Duration::from_millis(90)) < 0);
    assert!(with(Outcome::Ignore, Duration::from_millis(90)) > 0);
    assert!(with(Outcome::Dropped, Duration::from_millis(5)) > 0);
}

#[test]
fn gradient2_comes_down_where_all_work_is_dropped() {
    for warm_up in [0, 3] {
        let mut limit = gradient2(100);
        rounds(&mut limit, warm_up, Duration::from_millis(10));
        for _ in 0..5000 {
            let in_use = limit.limit();
            limit.update(&ended(Outcome::Dropped, seconds(1), in_use));
        }
        assert_eq!(limit.limit(), 1);
    }
}

#[test]
fn gradient2_does_not_take_a_stream_that_ends_for_the_usual_time() {
    let mut limit = gradient2(100);
    rounds(&mut limit, 3, Duration::from_millis(10));
    let in_use = limit.limit();
    limit.update(&success(seconds(3600), in_use));
    rounds(&mut limit, 2, Duration::from_millis(10));
    rounds(&mut limit, 4, Duration::from_millis(80));
    let now = limit.limit();
    assert!(now < 80, "expected 80 ms to be slow beside 10 ms: {now}");
}

#[test]
fn the_range_is_known_outside() {
    let limits: [Box<dyn AdaptiveLimit>; 2] = [
        Box::new(Aimd::between(4, 200).build()),
        Box::new(Gradient2::between(4, 200).build()),
    ];
    for limit in limits {
        assert_eq!((limit.floor(), limit.ceiling()), (4, 200));
    }
}
