//! What no samples and no numbers can do.

use proptest::prelude::*;

use super::*;

fn any_held() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::ZERO),
        Just(Duration::MAX),
        Just(Duration::from_nanos(1)),
        (1_u64..100).prop_map(Duration::from_millis),
        any::<Duration>(),
    ]
}

fn any_sample() -> impl Strategy<Value = Sample> {
    let in_use = prop_oneof![Just(0), Just(usize::MAX), 0_usize..50, any::<usize>()];
    let outcome = prop_oneof![
        8 => Just(Outcome::Success),
        1 => Just(Outcome::Overload),
        1 => Just(Outcome::Ignore),
        1 => Just(Outcome::Dropped),
    ];
    let units = prop_oneof![8 => Just(1), 1 => 1_usize..20, 1 => Just(usize::MAX)];
    (any_held(), in_use, units, outcome).prop_map(|(held, in_use, units, outcome)| {
        Sample::new(held, in_use, outcome).with_units(units)
    })
}

/// Some floor, start and ceiling, in order.
fn any_range() -> impl Strategy<Value = [usize; 3]> {
    let units = || prop_oneof![1_usize..30, 1..=usize::MAX];
    [units(), units(), units()].prop_map(|mut range| {
        range.sort_unstable();
        range
    })
}

fn any_aimd() -> impl Strategy<Value = ([usize; 3], Aimd)> {
    let increase = prop_oneof![1_usize..5, 1..=usize::MAX];
    let backoff = prop_oneof![
        Just(f64::MIN_POSITIVE),
        0.01..0.99,
        Just(1.0 - f64::EPSILON)
    ];
    let timeout = any_held().prop_filter("valid", |held| !held.is_zero());
    (
        any_range(),
        increase,
        backoff,
        proptest::option::of(timeout),
    )
        .prop_map(|([floor, start, ceiling], increase, backoff, timeout)| {
            let limit = Aimd::between(floor, ceiling).start(start);
            let limit = limit.increase(increase).backoff(backoff);
            let limit = match timeout {
                Some(timeout) => limit.timeout(timeout),
                None => limit,
            };
            ([floor, start, ceiling], limit.build())
        })
}

fn any_gradient2() -> impl Strategy<Value = ([usize; 3], Gradient2)> {
    let queue_size = prop_oneof![1_usize..5, 1..=usize::MAX];
    let smoothing = prop_oneof![Just(f64::MIN_POSITIVE), 0.01..0.99, Just(1.0)];
    let tolerance = prop_oneof![1.0..3.0, Just(f64::MAX)];
    let long_window = prop_oneof![1_usize..30, 1..=usize::MAX];
    (any_range(), queue_size, smoothing, tolerance, long_window).prop_map(
        |([floor, start, ceiling], queue_size, smoothing, tolerance, long_window)| {
            let limit = Gradient2::between(floor, ceiling).start(start);
            let limit = limit.queue_size(queue_size).smoothing(smoothing);
            let limit = limit.tolerance(tolerance).long_window(long_window);
            ([floor, start, ceiling], limit.build())
        },
    )
}

fn stays_in_range(
    [floor, _, ceiling]: [usize; 3],
    mut limit: impl AdaptiveLimit,
    samples: &[Sample],
) -> Result<(), TestCaseError> {
    prop_assert!((floor..=ceiling).contains(&limit.limit()));
    for sample in samples {
        let now = limit.update(sample);
        prop_assert!((floor..=ceiling).contains(&now), "{now} after {sample:?}");
        prop_assert_eq!(limit.limit(), now);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_samples_lead_aimd_out_of_its_range(
        (range, limit) in any_aimd(),
        samples in prop::collection::vec(any_sample(), 0..500),
    ) {
        stays_in_range(range, limit, &samples)?;
    }

    #[test]
    fn no_samples_lead_gradient2_out_of_its_range(
        (range, limit) in any_gradient2(),
        samples in prop::collection::vec(any_sample(), 0..500),
    ) {
        stays_in_range(range, limit, &samples)?;
    }

    /// The best news and the worst of it: a limit that was led anywhere still moves both ways.
    #[test]
    fn no_samples_lead_to_a_standstill(
        samples in prop::collection::vec(any_sample(), 0..500),
        is_aimd in any::<bool>(),
    ) {
        let mut limit = if is_aimd { aimd_without_timeout(20) } else { gradient2(20) };
        for sample in &samples {
            limit.update(sample);
        }
        for _ in 0..20_000 {
            let in_use = limit.limit();
            limit.update(&overload(in_use));
        }
        prop_assert_eq!(limit.limit(), 1);
        let held = Duration::from_millis(10);
        for _ in 0..20_000 {
            let in_use = limit.limit();
            limit.update(&success(held, in_use));
        }
        prop_assert!(limit.limit() > 20, "{}", limit.limit());
    }

    /// It ends rounds and probes, and is no news.
    #[test]
    fn what_is_ignored_moves_no_limit(
        samples in prop::collection::vec((any_sample(), any_sample()), 0..300),
        is_aimd in any::<bool>(),
    ) {
        let make = if is_aimd { aimd } else { gradient2 };
        let mut limit = make(20);
        let mut highest = limit.limit();
        for (sample, other) in &samples {
            highest = highest.max(limit.update(sample));
            let before = limit.limit();
            let ignored = Sample::new(other.held(), other.in_use(), Outcome::Ignore);
            let after = limit.update(&ignored);
            prop_assert!(before <= after && after <= highest, "a probe may end: {before}, {after}");
        }
    }

    #[test]
    fn no_number_panics_in_try_build(
        sizes in any::<[usize; 5]>(),
        ratios in any::<[f64; 2]>(),
        timeout in any_held(),
    ) {
        let [floor, ceiling, start, a, b] = sizes;
        let limit = Aimd::between(floor, ceiling).start(start);
        let _ = limit.increase(a).backoff(ratios[0]).timeout(timeout).try_build();
        let limit = Gradient2::between(floor, ceiling).start(start);
        let limit = limit.smoothing(ratios[0]).tolerance(ratios[1]);
        let _ = limit.queue_size(a).long_window(b).try_build();
    }
}
