//! Requests counted by the second, and what can be said about the counts.

use std::ops::Range;

use example_support::Outcome;

use crate::{
    load::{Load, Phase, SMOOTHING},
    route::{Route, Sample},
};

/// The server has recovered when it serves this share of what it served before the ramp.
const RECOVERED: f64 = 0.9;

/// The requests of one route and outcome that ended in each second of a run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Series(Vec<f64>);

impl Series {
    pub(crate) fn count(samples: &[Sample], route: Route, outcome: Outcome, load: &Load) -> Self {
        let mut counts = vec![0.0; load.seconds() as usize];
        for sample in samples
            .iter()
            .filter(|sample| sample.scenario == route && sample.outcome == outcome)
        {
            // Requests that end after the run are answers to a load that is no longer there.
            if let Some(count) = counts.get_mut(sample.at as usize) {
                *count += 1.0;
            }
        }
        Self(counts)
    }

    /// Requests per second in a window.
    pub(crate) fn mean(&self, window: Range<usize>) -> f64 {
        let seconds = window.len() as f64;
        self.0[window].iter().sum::<f64>() / seconds
    }

    /// Requests per second over the few seconds that begin at each second.
    fn smoothed(&self) -> impl Iterator<Item = f64> {
        (0..=self.0.len() - SMOOTHING).map(|begin| self.mean(begin..begin + SMOOTHING))
    }

    /// The smoothed rates, each at the middle of its seconds.
    pub(crate) fn curve(&self) -> impl Iterator<Item = (f64, f64)> {
        let middle = SMOOTHING as f64 / 2.0;
        (self.smoothed().enumerate()).map(move |(begin, rate)| (begin as f64 + middle, rate))
    }

    /// Seconds from the drop of the users until the smoothed rate is back at 0.9 of its mean before
    /// the ramp. The mean looks ahead: looking back, it would add its own seconds to every
    /// recovery. 0: it was never below. `None`: not within the run.
    pub(crate) fn recovery(&self, load: &Load) -> Option<f64> {
        let before = self.mean(load.window(Phase::Before));
        let enough = RECOVERED * before;
        self.smoothed()
            .skip(load.drop_at() as usize)
            .position(|rate| rate >= enough && before > 0.0)
            .map(|seconds| seconds as f64)
    }
}

/// The smallest value that a share of the values does not exceed (nearest rank). Sorts the values.
pub(crate) fn percentile(values: &mut [f64], share: f64) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let rank = (share * values.len() as f64).ceil() as usize;
    values.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::QUICK;

    /// Served at `before` until the ramp, at `peak` until `back` seconds after the drop, then as
    /// before.
    fn series(before: f64, peak: f64, back: u32) -> Series {
        let load = &QUICK.load;
        Series(
            (0..load.seconds())
                .map(|second| {
                    if (load.steady..load.drop_at() + back).contains(&second) {
                        peak
                    } else {
                        before
                    }
                })
                .collect(),
        )
    }

    #[test]
    fn requests_are_counted_in_the_second_in_which_they_end() {
        let load = &QUICK.load;
        let sample = |at, scenario, outcome| Sample {
            at,
            scenario,
            outcome,
            latency_ms: 1.0,
        };
        let samples = [
            sample(0.0, Route::File, Outcome::Ok),
            sample(0.999, Route::File, Outcome::Ok),
            sample(1.0, Route::File, Outcome::Ok),
            sample(1.5, Route::File, Outcome::Timeout),
            sample(1.5, Route::Messages, Outcome::Ok),
            sample(f64::from(load.seconds()), Route::File, Outcome::Ok),
        ];
        let series = Series::count(&samples, Route::File, Outcome::Ok, load);
        assert_eq!((series.0[0], series.0[1]), (2.0, 1.0));
        assert_eq!(
            series.0.iter().sum::<f64>(),
            3.0,
            "what ends after the run does not count"
        );
    }

    #[test]
    fn a_server_that_was_never_down_recovers_at_once() {
        assert_eq!(series(10.0, 9.0, 0).recovery(&QUICK.load), Some(0.0));
    }

    #[test]
    fn recovery_ends_where_three_good_seconds_begin() {
        assert_eq!(series(10.0, 0.0, 5).recovery(&QUICK.load), Some(5.0));
        let at_most = "(8.5 + 8.5 + 10) / 3 is 9";
        assert_eq!(
            series(10.0, 8.5, 5).recovery(&QUICK.load),
            Some(3.0),
            "{at_most}"
        );
    }

    #[test]
    fn a_server_that_stays_down_does_not_recover() {
        assert_eq!(series(10.0, 0.0, 17).recovery(&QUICK.load), None);
    }

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let mut values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(percentile(&mut values, 0.5), Some(50.0));
        assert_eq!(percentile(&mut values, 0.99), Some(99.0));
        assert_eq!(percentile(&mut [7.0], 0.95), Some(7.0));
        assert_eq!(percentile(&mut [], 0.95), None);
    }
}
