//! The figures of the table, by run, route and phase: what `summary.json` holds.

use std::collections::BTreeMap;

use example_support::Outcome;
use serde::Serialize;

use crate::{
    load::{Load, Phase},
    route::{Route, Sample},
    run::{Measured, Run},
    series::{Series, percentile},
};

/// Figures of all runs, by name; medians where there were repetitions.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    pub(crate) repetitions: u32,
    pub(crate) load: Load,
    #[serde(flatten)]
    runs: BTreeMap<&'static str, RunFigures>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct RunFigures {
    pub(crate) messages: RouteFigures,
    pub(crate) file: RouteFigures,
    /// Of `/messages`; null when it did not recover within the run.
    pub(crate) recovery_s: Option<f64>,
    /// The most threads that the server had; null where this cannot be seen.
    pub(crate) threads: Option<f64>,
    pub(crate) peak_rss_mb: Option<f64>,
    /// Those of the k6 script, in every repetition.
    pub(crate) thresholds_passed: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct RouteFigures {
    pub(crate) before: Figures,
    pub(crate) peak: Figures,
    pub(crate) after: Figures,
}

/// Latencies are those of the requests that were served; null when there were none.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Figures {
    pub(crate) ok_per_s: f64,
    pub(crate) refused_503_per_s: f64,
    pub(crate) timeouts_per_s: f64,
    pub(crate) errors_per_s: f64,
    pub(crate) p50_ms: Option<f64>,
    pub(crate) p95_ms: Option<f64>,
    pub(crate) p99_ms: Option<f64>,
}

impl Summary {
    pub(crate) fn new(load: &Load, repetitions: &[Vec<(Run, Measured)>]) -> Self {
        let mut all: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (run, measured) in repetitions.iter().flatten() {
            let figures = RunFigures::new(&run.load, measured);
            all.entry(run.name).or_default().push(figures);
        }
        let medians = all
            .into_iter()
            .map(|(name, all)| (name, RunFigures::median(&all)));
        Self::of(load, repetitions.len() as u32, medians)
    }

    pub(crate) fn of(
        load: &Load,
        repetitions: u32,
        runs: impl IntoIterator<Item = (&'static str, RunFigures)>,
    ) -> Self {
        Self {
            repetitions,
            load: load.clone(),
            runs: runs.into_iter().collect(),
        }
    }

    pub(crate) fn run(&self, name: &str) -> Option<&RunFigures> {
        self.runs.get(name)
    }
}

impl RunFigures {
    fn new(load: &Load, measured: &Measured) -> Self {
        let samples = &measured.samples;
        let route = |route| RouteFigures {
            before: Figures::new(load, samples, route, Phase::Before),
            peak: Figures::new(load, samples, route, Phase::Peak),
            after: Figures::new(load, samples, route, Phase::After),
        };
        Self {
            messages: route(Route::Messages),
            file: route(Route::File),
            recovery_s: Series::count(samples, Route::Messages, Outcome::Ok, load).recovery(load),
            threads: measured.usage.threads,
            peak_rss_mb: measured.usage.peak_rss_mb,
            thresholds_passed: measured.thresholds_passed,
        }
    }

    fn median(all: &[Self]) -> Self {
        let route = |route: fn(&Self) -> &RouteFigures| {
            let phase = |phase: Phase| {
                Figures::median(
                    &all.iter()
                        .map(|run| route(run).phase(phase))
                        .collect::<Vec<_>>(),
                )
            };
            RouteFigures {
                before: phase(Phase::Before),
                peak: phase(Phase::Peak),
                after: phase(Phase::After),
            }
        };
        Self {
            messages: route(|run| &run.messages),
            file: route(|run| &run.file),
            // A run that did not recover took longer than any that did.
            recovery_s: median(
                all.iter()
                    .map(|run| Some(run.recovery_s.unwrap_or(f64::INFINITY))),
            )
            .filter(|seconds| seconds.is_finite()),
            threads: median(all.iter().map(|run| run.threads)),
            peak_rss_mb: median(all.iter().map(|run| run.peak_rss_mb)),
            thresholds_passed: all.iter().all(|run| run.thresholds_passed),
        }
    }
}

impl RouteFigures {
    pub(crate) fn phase(&self, phase: Phase) -> &Figures {
        match phase {
            Phase::Before => &self.before,
            Phase::Peak => &self.peak,
            Phase::After => &self.after,
        }
    }
}

impl Figures {
    fn new(load: &Load, samples: &[Sample], route: Route, phase: Phase) -> Self {
        let window = load.window(phase);
        let mean = |outcome| Series::count(samples, route, outcome, load).mean(window.clone());
        let mut served: Vec<f64> = samples
            .iter()
            .filter(|sample| sample.scenario == route && sample.outcome == Outcome::Ok)
            .filter(|sample| window.contains(&(sample.at as usize)))
            .map(|sample| sample.latency_ms)
            .collect();
        Self {
            ok_per_s: mean(Outcome::Ok),
            refused_503_per_s: mean(Outcome::Refused),
            timeouts_per_s: mean(Outcome::Timeout),
            errors_per_s: mean(Outcome::Error),
            p50_ms: percentile(&mut served, 0.50),
            p95_ms: percentile(&mut served, 0.95),
            p99_ms: percentile(&mut served, 0.99),
        }
    }

    fn median(all: &[&Self]) -> Self {
        let rate = |rate: fn(&Self) -> f64| {
            median(all.iter().map(|figures| Some(rate(figures))))
                .expect("there is at least one run")
        };
        let latency =
            |latency: fn(&Self) -> Option<f64>| median(all.iter().map(|figures| latency(figures)));
        Self {
            ok_per_s: rate(|figures| figures.ok_per_s),
            refused_503_per_s: rate(|figures| figures.refused_503_per_s),
            timeouts_per_s: rate(|figures| figures.timeouts_per_s),
            errors_per_s: rate(|figures| figures.errors_per_s),
            p50_ms: latency(|figures| figures.p50_ms),
            p95_ms: latency(|figures| figures.p95_ms),
            p99_ms: latency(|figures| figures.p99_ms),
        }
    }
}

/// The middle of the known values, or the mean of the two in the middle.
fn median(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let mut known: Vec<f64> = values.flatten().collect();
    known.sort_by(f64::total_cmp);
    let middle = known.len() / 2;
    let upper = *known.get(middle)?;
    Some(if known.len() % 2 == 0 {
        (known[middle - 1] + upper) / 2.0
    } else {
        upper
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::QUICK;

    /// A server that serves `ok` requests/s of `/messages` and refuses one, all along.
    fn measured(ok: usize) -> Measured {
        let mut samples = Vec::new();
        for second in 0..QUICK.load.seconds() {
            let sample = |latency_ms, outcome| Sample {
                at: f64::from(second),
                scenario: Route::Messages,
                outcome,
                latency_ms,
            };
            samples.extend((0..ok).map(|n| sample(n as f64, Outcome::Ok)));
            samples.push(sample(0.0, Outcome::Refused));
        }
        Measured {
            samples,
            usage: Default::default(),
            thresholds_passed: true,
        }
    }

    fn summary(ok: &[usize]) -> Summary {
        let run = || Run {
            name: "limited",
            title: "",
            limit: crate::server::Limit::On,
            limits: crate::server::Limits {
                db: 1,
                fs: 1,
                wait: 1.0,
                overload_above: 0.1,
                overload_after: 0.1,
            },
            load: QUICK.load.clone(),
        };
        let repetitions: Vec<_> = ok.iter().map(|&ok| vec![(run(), measured(ok))]).collect();
        Summary::new(&QUICK.load, &repetitions)
    }

    #[test]
    fn figures_are_means_and_percentiles_of_their_phase() {
        let summary = summary(&[20]);
        let peak = &summary.run("limited").unwrap().messages.peak;
        assert_eq!(
            (peak.ok_per_s, peak.refused_503_per_s, peak.timeouts_per_s),
            (20.0, 1.0, 0.0)
        );
        assert_eq!((peak.p50_ms, peak.p95_ms), (Some(9.0), Some(18.0)));
    }

    #[test]
    fn repetitions_are_reported_as_medians() {
        let peak = |ok: &[usize]| summary(ok).run("limited").unwrap().messages.peak.ok_per_s;
        assert_eq!(peak(&[10, 90, 20]), 20.0);
        assert_eq!(peak(&[10, 20]), 15.0);
    }

    #[test]
    fn no_recovery_counts_as_the_longest() {
        let recovery = |seconds: &[Option<f64>]| {
            let run = |recovery_s| RunFigures {
                recovery_s,
                ..summary(&[1]).run("limited").unwrap().clone()
            };
            RunFigures::median(&seconds.iter().copied().map(run).collect::<Vec<_>>()).recovery_s
        };
        assert_eq!(recovery(&[None, Some(12.0), Some(20.0)]), Some(20.0));
        assert_eq!(recovery(&[None, Some(12.0), None]), None);
    }

    #[test]
    fn the_summary_is_read_by_run_route_and_phase() {
        let json = serde_json::to_value(summary(&[20])).unwrap();
        assert_eq!(json["limited"]["messages"]["peak"]["ok_per_s"], 20.0);
        assert_eq!(json["limited"]["recovery_s"], 0.0);
        assert_eq!(
            json["limited"]["file"]["after"]["p99_ms"],
            serde_json::Value::Null
        );
    }
}
