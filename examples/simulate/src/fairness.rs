//! Who got their share.

/// Jain's index (Jain, Chiu and Hawe, 1984): 1 when all values are the same, 1/n when one has it
/// all. `None` without any.
pub(crate) fn jain(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (mut count, mut sum, mut squares) = (0.0, 0.0, 0.0);
    for value in values {
        count += 1.0;
        sum += value;
        squares += value * value;
    }
    (squares > 0.0).then(|| sum * sum / (count * squares))
}

/// The most that anybody gets when `capacity` is divided so that nobody gets more than they ask
/// for, and whoever gets less than that gets as much as anybody (max-min). Infinite if it is enough
/// for all.
pub(crate) fn level(demands: &[u64], capacity: f64) -> f64 {
    let mut sorted: Vec<u64> = demands.to_vec();
    sorted.sort_unstable();
    let mut left = capacity;
    let mut others = sorted.len() as f64;
    for demand in sorted {
        let equal = left / others;
        if demand as f64 > equal {
            return equal;
        }
        left -= demand as f64;
        others -= 1.0;
    }
    f64::INFINITY
}

/// Jain's index over what each got of its max-min share. Who asked for nothing does not count.
pub(crate) fn fairness(demands: &[u64], got: &[u64], capacity: f64) -> Option<f64> {
    let level = level(demands, capacity);
    let asked = demands.iter().zip(got).filter(|(demand, _)| **demand > 0);
    jain(asked.map(|(&demand, &got)| got as f64 / level.min(demand as f64)))
}

/// What all but the first got together, of what would have been their max-min shares.
pub(crate) fn but_the_first(demands: &[u64], got: &[u64], capacity: f64) -> f64 {
    let level = level(demands, capacity);
    let shares = demands.iter().map(|&demand| level.min(demand as f64));
    got.iter().skip(1).sum::<u64>() as f64 / shares.skip(1).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jains_index_of_equals_is_1() {
        assert_eq!(jain([3.0, 3.0, 3.0].into_iter()), Some(1.0));
        assert_eq!(jain([7.0].into_iter()), Some(1.0));
    }

    #[test]
    fn jains_index_falls_to_the_share_of_those_who_get_anything() {
        assert_eq!(jain([5.0, 0.0, 0.0, 0.0].into_iter()), Some(0.25));
        assert_eq!(jain([1.0, 1.0, 0.0, 0.0].into_iter()), Some(0.5));
        // (1 + 2 + 3)^2 / (3 * 14)
        assert_eq!(jain([1.0, 2.0, 3.0].into_iter()), Some(36.0 / 42.0));
    }

    #[test]
    fn jains_index_of_nothing_is_unknown() {
        assert_eq!(jain([].into_iter()), None);
        assert_eq!(jain([0.0, 0.0].into_iter()), None);
    }

    #[test]
    fn the_level_is_what_the_greedy_get() {
        assert_eq!(level(&[2, 10, 4, 10], 16.0), 5.0); // 2 + 4 + 5 + 5
        assert_eq!(level(&[10, 10], 6.0), 3.0);
        assert_eq!(level(&[1, 2, 3], 6.0), f64::INFINITY);
        assert_eq!(level(&[0, 9], 4.0), 4.0);
    }

    #[test]
    fn max_min_shares_are_fair_and_equal_parts_of_unequal_demands_are_too() {
        assert_eq!(
            fairness(&[2, 10, 4, 10, 0], &[2, 5, 4, 5, 0], 16.0),
            Some(1.0)
        );
        assert_eq!(fairness(&[2, 4], &[1, 2], 10.0), Some(1.0));
    }

    #[test]
    fn who_takes_the_share_of_others_is_unfair() {
        // In proportion to what they ask for, of 8: the levels are 2 and 6.
        let by_demand = fairness(&[2, 14], &[1, 7], 8.0).unwrap();
        assert!(by_demand < 0.9, "{by_demand}");
    }

    #[test]
    fn what_the_noisy_one_takes_is_missed_by_the_others() {
        assert_eq!(but_the_first(&[9, 2, 4], &[7, 1, 2], 10.0), 0.5);
        assert_eq!(but_the_first(&[9, 2, 4], &[4, 2, 4], 10.0), 1.0);
    }
}
