//! What the limiter promises, as bars that a run is held against.

use crate::summary::{RouteFigures, Summary};

/// Shares of the answers before the ramp that are still given at the peak.
#[derive(Debug)]
pub(crate) struct Promise {
    pub(crate) messages_kept: f64,
    pub(crate) file_kept: f64,
}

/// Without a limit, less than this share of the answers is left at the peak.
const COLLAPSED: f64 = 0.2;
/// Without a limit, the server is down for longer than this after the drop.
const SLOW_RECOVERY_S: f64 = 10.0;
/// With the limiter, it is back within this.
const FAST_RECOVERY_S: f64 = 2.0;

impl Promise {
    /// What was not as promised, one line each.
    pub(crate) fn broken(&self, summary: &Summary) -> Vec<String> {
        let mut broken = Vec::new();
        let mut expect = |kept: bool, line: String| {
            if !kept {
                broken.push(line);
            }
        };
        if let Some(run) = summary.run("unlimited") {
            let kept = kept(&run.messages);
            expect(
                kept < COLLAPSED,
                format!(
                    "unlimited: /messages kept {kept:.2} at the peak, below {COLLAPSED} expected"
                ),
            );
            let slow = run
                .recovery_s
                .is_none_or(|seconds| seconds > SLOW_RECOVERY_S);
            expect(
                !run.thresholds_passed,
                "unlimited: k6's thresholds passed, but should fail".into(),
            );
            expect(
                slow,
                format!(
                    "unlimited: recovered in {:?} s, over {SLOW_RECOVERY_S} expected",
                    run.recovery_s.unwrap_or(0.0)
                ),
            );
        }
        if let Some(run) = summary.run("limited") {
            for (route, figures, bar) in [
                ("/messages", &run.messages, self.messages_kept),
                ("/file", &run.file, self.file_kept),
            ] {
                let kept = kept(figures);
                expect(
                    kept >= bar,
                    format!("limited: {route} kept {kept:.2} at the peak, at least {bar} expected"),
                );
                let failed = figures.peak.timeouts_per_s + figures.peak.errors_per_s;
                expect(
                    failed == 0.0,
                    format!(
                        "limited: {failed:.2} timeouts and errors/s on {route} at the peak, none expected"
                    ),
                );
            }
            expect(
                run.thresholds_passed,
                "limited: k6's thresholds failed, but should pass".into(),
            );
            let fast = run
                .recovery_s
                .is_some_and(|seconds| seconds <= FAST_RECOVERY_S);
            let took = run
                .recovery_s
                .map_or("not within the run".into(), |seconds| {
                    format!("in {seconds} s")
                });
            expect(
                fast,
                format!("limited: recovered {took}, at most {FAST_RECOVERY_S} s expected"),
            );
        }
        broken
    }
}

/// The share of the answers before the ramp that is still given at the peak.
fn kept(route: &RouteFigures) -> f64 {
    route.peak.ok_per_s / route.before.ok_per_s
}
