//! Who held how much over time, in steps that can be drawn.

use std::ops::RangeInclusive;

use test_support::holders::{Change, Nanos};

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Course {
    /// The length of a step, in seconds.
    pub(crate) step: f64,
    /// For each process, what it held in each step on average.
    pub(crate) by: Vec<Vec<f64>>,
    /// The most that all held at once in each step.
    pub(crate) most: Vec<f64>,
}

impl Course {
    /// From the changes, in the order of time, what was held between two times.
    pub(crate) fn new(
        changes: &[Change],
        processes: RangeInclusive<u32>,
        (from, to): (Nanos, Nanos),
        steps: usize,
    ) -> Self {
        let step = (to - from) as f64 / steps as f64;
        let mut course = Self {
            step: step / 1e9,
            by: vec![vec![0.0; steps]; processes.clone().count()],
            most: vec![0.0; steps],
        };
        let mut held = vec![0_i64; course.by.len()];
        for (index, change) in changes.iter().enumerate() {
            held[(change.process - processes.start()) as usize] += change.units;
            let until = changes.get(index + 1).map_or(to, |next| next.at);
            // In steps from the beginning.
            let [begin, end] =
                [change.at, until].map(|at| (at.clamp(from, to) - from) as f64 / step);
            if begin < end {
                course.add(begin, end, &held);
            }
        }
        course
    }

    fn add(&mut self, begin: f64, end: f64, held: &[i64]) {
        let all = held.iter().sum::<i64>() as f64;
        let last = (end.ceil() as usize).min(self.most.len());
        for step in begin as usize..last {
            let part = end.min((step + 1) as f64) - begin.max(step as f64);
            self.most[step] = self.most[step].max(all);
            for (by, &held) in self.by.iter_mut().zip(held) {
                by[step] += held as f64 * part;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(changes: &[(Nanos, i64, u32)], to: Nanos, steps: usize) -> Course {
        let change = |&(at, units, process)| Change { at, units, process };
        let changes: Vec<_> = changes.iter().map(change).collect();
        Course::new(&changes, 1..=2, (100, to), steps)
    }

    #[test]
    fn each_process_has_its_means_and_all_have_their_most() {
        let changes = [(104, 2, 1), (108, 4, 2), (110, -2, 1), (116, -4, 2)];
        let course = course(&changes, 124, 3);
        assert_eq!(course.by, [vec![1.0, 0.5, 0.0], vec![0.0, 4.0, 0.0]]);
        assert_eq!(course.most, [2.0, 6.0, 0.0]);
    }

    #[test]
    fn what_begins_before_and_ends_after_is_cut() {
        let course = course(&[(50, 3, 1), (300, -3, 1)], 200, 2);
        assert_eq!(course.by[0], [3.0, 3.0]);
        assert_eq!(course.most, [3.0, 3.0]);
    }

    #[test]
    fn what_is_handed_over_at_an_instant_is_not_held_twice() {
        let course = course(&[(100, 1, 1), (105, -1, 1), (105, 1, 2)], 110, 1);
        assert_eq!(course.most, [1.0]);
    }
}
