//! What `--assert` asserts.

use crate::{
    plan::{KILLED, PAUSED, Plan},
    summary::Summary,
};

/// How soon others have what a lost process held, in seconds.
const BACK_WITHIN: f64 = 1.5;

/// What was not as promised.
pub(crate) fn broken(plan: &Plan, summary: &Summary) -> Vec<String> {
    let mut broken = Vec::new();
    let mut check = |holds: bool, otherwise: String| {
        if !holds {
            broken.push(otherwise);
        }
    };
    let is_soon = |time: Option<f64>| time.is_some_and(|time| time <= BACK_WITHIN);
    let said = |time: Option<f64>| time.map_or("never".into(), |time| format!("after {time:.2} s"));
    check(
        summary.most_held <= summary.limit,
        format!(
            "{} permits were held at once, the limit is {}",
            summary.most_held, summary.limit
        ),
    );
    check(
        is_soon(summary.killed.all_back_s),
        format!(
            "others had all that process {KILLED} held when it was killed {}, not within {BACK_WITHIN} s",
            said(summary.killed.all_back_s)
        ),
    );
    check(
        is_soon(summary.paused.all_back_s),
        format!(
            "others had all that process {PAUSED} held when it was paused {}, not within {BACK_WITHIN} s of the \
             end of its validity",
            said(summary.paused.all_back_s)
        ),
    );
    check(
        summary.paused.next_grant_s.is_some(),
        format!("process {PAUSED} had no permit after its pause"),
    );
    let idle = summary
        .processes
        .iter()
        .filter(|process| process.granted == 0);
    for process in idle {
        check(false, format!("process {} had no permit", process.number));
    }
    let full = f64::from(plan.limit) / plan.work.as_secs_f64();
    let ok = summary.phases[0].ok_per_s;
    check(
        ok >= 0.7 * full,
        format!("{ok:.0} requests/s were served before the kill, the limit lets {full:.0} through"),
    );
    broken
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        plan::QUICK,
        summary::{Killed, Paused, Phase, Process},
    };

    /// A run as it should be.
    fn summary() -> Summary {
        Summary {
            limit: 10,
            most_held: 10,
            most_at_work: 12,
            killed: Killed {
                held: 3,
                first_back_s: Some(0.4),
                all_back_s: Some(0.5),
            },
            paused: Paused {
                held: 2,
                all_back_s: Some(0.4),
                next_grant_s: Some(0.1),
            },
            processes: vec![Process {
                number: 1,
                asked: 20,
                granted: 10,
                refused: 10,
                lost: 0,
                wait_p50_ms: Some(1.0),
                wait_p99_ms: Some(1.0),
            }],
            phases: vec![Phase {
                name: "all are there",
                ok_per_s: 190.0,
                refused_503_per_s: 200.0,
                timeouts_per_s: 0.0,
                no_connection_per_s: 0.0,
            }],
        }
    }

    #[test]
    fn a_run_as_it_should_be_breaks_nothing() {
        assert_eq!(broken(&QUICK, &summary()), Vec::<String>::new());
    }

    #[test]
    fn each_promise_can_be_broken() {
        type Change = (fn(&mut Summary), &'static str);
        let changes: [Change; 8] = [
            (|summary| summary.most_held = 11, "11 permits were held"),
            (
                |summary| summary.killed.all_back_s = None,
                "was killed never, not",
            ),
            (
                |summary| summary.killed.all_back_s = Some(1.6),
                "was killed after 1.60 s, not",
            ),
            (
                |summary| summary.paused.all_back_s = None,
                "was paused never, not",
            ),
            (
                |summary| summary.paused.all_back_s = Some(1.6),
                "was paused after 1.60 s, not",
            ),
            (
                |summary| summary.paused.next_grant_s = None,
                "no permit after its pause",
            ),
            (
                |summary| summary.processes[0].granted = 0,
                "process 1 had no permit",
            ),
            (
                |summary| summary.phases[0].ok_per_s = 100.0,
                "100 requests/s were served before",
            ),
        ];
        for (change, words) in changes {
            let mut summary = summary();
            change(&mut summary);
            let broken = broken(&QUICK, &summary);
            assert_eq!(broken.len(), 1, "{broken:?}");
            assert!(broken[0].contains(words), "{broken:?}");
        }
    }
}
