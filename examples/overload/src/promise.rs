//! What the limiter promises, as bars that a benchmark is held against.

use crate::summary::{RouteFigures, RunFigures, Summary};

/// Shares of the answers before the ramp that a limited server still gives at the peak.
#[derive(Debug)]
pub(crate) struct Promise {
    pub(crate) messages_kept: f64,
    pub(crate) file_kept: f64,
}

/// A server has collapsed when less than this share is left.
const COLLAPSED: f64 = 0.2;
/// What overload mode keeps of `/messages` when clients leave during the wait. That none of them
/// leaves unanswered is not promised: those who are passed over have to be shed before they lose
/// patience.
const OVERLOAD_MODE_KEEPS: f64 = 0.8;
/// An unlimited server stays down for longer than this.
const SLOW_RECOVERY_S: f64 = 10.0;
/// A limited one is back within this.
const FAST_RECOVERY_S: f64 = 2.0;

/// Whether something is as promised, and what to say if it is not.
type Check = (bool, String);

impl Promise {
    /// What was not as promised.
    pub(crate) fn broken(&self, summary: &Summary) -> Vec<String> {
        let checks = |name| match (name, summary.run(name)) {
            ("unlimited", Some(run)) => vec![collapses(run), recovers_slowly(run)],
            ("limited", Some(run)) => self.stays_well(run),
            ("fifo" | "leaking", Some(run)) => vec![collapses(run)],
            ("overload mode", Some(run)) => vec![
                keeps("/messages", &run.messages, OVERLOAD_MODE_KEEPS),
                keeps("/file", &run.file, self.file_kept),
            ],
            _ => vec![],
        };
        ["unlimited", "limited", "fifo", "overload mode", "leaking"]
            .into_iter()
            .flat_map(|name| checks(name).into_iter().map(move |check| (name, check)))
            .filter(|(_, (kept, _))| !kept)
            .map(|(name, (_, complaint))| format!("{name}: {complaint}"))
            .collect()
    }

    fn stays_well(&self, run: &RunFigures) -> Vec<Check> {
        let messages = ("/messages", &run.messages, self.messages_kept);
        let file = ("/file", &run.file, self.file_kept);
        let mut checks = Vec::new();
        for (route, figures, bar) in [messages, file] {
            checks.push(keeps(route, figures, bar));
            let failed = figures.peak.timeouts_per_s + figures.peak.errors_per_s;
            checks.push((
                failed == 0.0,
                format!("{failed:.1} timeouts and errors/s on {route} at the peak, not 0"),
            ));
        }
        checks.push(match run.recovery_s {
            Some(seconds) => (
                seconds <= FAST_RECOVERY_S,
                format!("recovered in {seconds} s, not within {FAST_RECOVERY_S} s"),
            ),
            None => (false, "did not recover within the run".into()),
        });
        checks.push((run.thresholds_passed, "k6's thresholds failed".into()));
        checks
    }
}

fn keeps(route: &str, figures: &RouteFigures, bar: f64) -> Check {
    let share = share_kept(figures);
    (
        share >= bar,
        format!("{route} kept {share:.2} at the peak, not {bar}"),
    )
}

fn collapses(run: &RunFigures) -> Check {
    let share = share_kept(&run.messages);
    (
        share < COLLAPSED && !run.thresholds_passed,
        format!("/messages kept {share:.2} at the peak: no collapse to show"),
    )
}

fn recovers_slowly(run: &RunFigures) -> Check {
    let seconds = run.recovery_s.unwrap_or(f64::INFINITY);
    (
        seconds > SLOW_RECOVERY_S,
        format!("recovered in {seconds} s: no standstill to show"),
    )
}

/// The share of the answers before the ramp that is still given at the peak.
fn share_kept(route: &RouteFigures) -> f64 {
    route.peak.ok_per_s / route.before.ok_per_s
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        args::{FULL, QUICK},
        summary::Figures,
    };

    fn figures(ok_per_s: f64, timeouts_per_s: f64) -> Figures {
        Figures {
            ok_per_s,
            refused_503_per_s: 0.0,
            timeouts_per_s,
            errors_per_s: 0.0,
            p50_ms: None,
            p95_ms: None,
            p99_ms: None,
        }
    }

    /// Both routes served 10/s, and serve `ok` at the peak.
    fn run(ok: f64, timeouts: f64, recovery_s: Option<f64>) -> RunFigures {
        let route = RouteFigures {
            before: figures(10.0, 0.0),
            peak: figures(ok, timeouts),
            after: figures(10.0, 0.0),
        };
        RunFigures {
            messages: route.clone(),
            file: route,
            recovery_s,
            threads: None,
            peak_rss_mb: None,
            thresholds_passed: timeouts == 0.0,
        }
    }

    fn broken(unlimited: RunFigures, limited: RunFigures) -> Vec<String> {
        let runs = [("unlimited", unlimited), ("limited", limited)];
        FULL.promise.broken(&Summary::of(&FULL.load, 1, runs))
    }

    #[test]
    fn collapse_and_health_are_as_promised() {
        let none: [&str; 0] = [];
        assert_eq!(broken(run(0.0, 9.0, None), run(9.5, 0.0, Some(0.0))), none);
        assert_eq!(
            broken(run(1.0, 9.0, Some(30.0)), run(9.5, 0.0, Some(2.0))),
            none
        );
    }

    #[test]
    fn each_broken_promise_is_named() {
        let broken = broken(run(10.0, 0.0, Some(0.0)), run(5.0, 1.0, None));
        assert_eq!(
            broken,
            [
                "unlimited: /messages kept 1.00 at the peak: no collapse to show",
                "unlimited: recovered in 0 s: no standstill to show",
                "limited: /messages kept 0.50 at the peak, not 0.9",
                "limited: 1.0 timeouts and errors/s on /messages at the peak, not 0",
                "limited: /file kept 0.50 at the peak, not 0.8",
                "limited: 1.0 timeouts and errors/s on /file at the peak, not 0",
                "limited: did not recover within the run",
                "limited: k6's thresholds failed",
            ]
        );
    }

    #[test]
    fn impatient_clients_are_lost_first_come_first_served_and_kept_in_overload_mode() {
        let broken = |fifo, mode| {
            let runs = [("fifo", fifo), ("overload mode", mode)];
            QUICK.promise.broken(&Summary::of(&QUICK.load, 1, runs))
        };
        let none: [&str; 0] = [];
        let kept = run(8.0, 1.0, None);
        assert_eq!(broken(run(1.0, 9.0, Some(4.0)), kept.clone()), none);
        assert_eq!(
            broken(kept, run(7.0, 0.0, Some(0.0))),
            [
                "fifo: /messages kept 0.80 at the peak: no collapse to show",
                "overload mode: /messages kept 0.70 at the peak, not 0.8",
                "overload mode: /file kept 0.70 at the peak, not 0.8",
            ]
        );
    }

    #[test]
    fn nothing_served_is_nothing_promised() {
        let mut idle = run(0.0, 0.0, Some(0.0));
        idle.messages.before = figures(0.0, 0.0);
        assert!(!broken(idle.clone(), idle).is_empty());
    }
}
