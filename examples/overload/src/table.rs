//! The figures as tables, for the terminal and for the report.

use example_support::Rows;

use crate::{
    load::Phase,
    run::Run,
    summary::{Figures, RunFigures, Summary},
};

/// What each route gave in each phase.
pub(crate) fn answers(plan: &[Run], summary: &Summary) -> Rows {
    let mut rows = Vec::new();
    for (run, figures) in of(plan, summary) {
        for (route, phases) in [("/messages", &figures.messages), ("/file", &figures.file)] {
            for phase in Phase::ALL {
                let Figures {
                    ok_per_s,
                    refused_503_per_s,
                    timeouts_per_s,
                    errors_per_s,
                    p50_ms,
                    p95_ms,
                    p99_ms,
                } = phases.phase(phase);
                let mut row = vec![run.name.into(), route.into(), phase.name().into()];
                row.extend(
                    [ok_per_s, refused_503_per_s, timeouts_per_s, errors_per_s]
                        .map(|rate| format!("{rate:.1}")),
                );
                row.extend([p50_ms, p95_ms, p99_ms].map(|ms| known(*ms, 0)));
                rows.push(row);
            }
        }
    }
    let head = vec![
        "run",
        "route",
        "phase",
        "ok/s",
        "503/s",
        "timeouts/s",
        "errors/s",
        "p50 ms",
        "p95 ms",
        "p99 ms",
    ];
    Rows {
        head,
        rows,
        names: 3,
    }
}

/// What the run did to the server.
pub(crate) fn server(plan: &[Run], summary: &Summary) -> Rows {
    let rows = of(plan, summary)
        .map(|(run, figures)| {
            vec![
                run.name.into(),
                figures
                    .recovery_s
                    .map_or("not within the run".into(), |seconds| {
                        format!("{seconds:.0}")
                    }),
                known(figures.threads, 0),
                known(figures.peak_rss_mb, 0),
                if figures.thresholds_passed {
                    "passed"
                } else {
                    "failed"
                }
                .into(),
            ]
        })
        .collect();
    Rows {
        head: vec![
            "run",
            "recovery s",
            "threads",
            "peak RSS MB",
            "k6 thresholds",
        ],
        rows,
        names: 1,
    }
}

/// In the order of the plan.
fn of<'a>(
    plan: &'a [Run],
    summary: &'a Summary,
) -> impl Iterator<Item = (&'a Run, &'a RunFigures)> {
    plan.iter()
        .filter_map(|run| Some((run, summary.run(run.name)?)))
}

fn known(value: Option<f64>, digits: usize) -> String {
    value.map_or("-".into(), |value| format!("{value:.digits$}"))
}
