//! The numbers as tables.

use example_support::Rows;

use crate::summary::Summary;

/// What became of the requests of each process.
pub(crate) fn processes(summary: &Summary) -> Rows {
    let known = |ms: Option<f64>| ms.map_or("-".into(), |ms| format!("{ms:.0}"));
    let rows = summary.processes.iter().map(|process| {
        vec![
            process.number.to_string(),
            process.asked.to_string(),
            process.granted.to_string(),
            process.refused.to_string(),
            process.lost.to_string(),
            known(process.wait_p50_ms),
            known(process.wait_p99_ms),
        ]
    });
    Rows {
        head: vec![
            "process",
            "requests",
            "granted",
            "refused",
            "lost",
            "wait p50 ms",
            "p99 ms",
        ],
        rows: rows.collect(),
        names: 1,
    }
}

/// What the clients got in each part of the run.
pub(crate) fn phases(summary: &Summary) -> Rows {
    let rows = summary.phases.iter().map(|phase| {
        let rates = [
            phase.ok_per_s,
            phase.refused_503_per_s,
            phase.timeouts_per_s,
            phase.no_connection_per_s,
        ];
        let mut row = vec![phase.name.to_owned()];
        row.extend(rates.map(|rate| format!("{rate:.1}")));
        row
    });
    Rows {
        head: vec!["", "ok/s", "503/s", "timeouts/s", "no connection/s"],
        rows: rows.collect(),
        names: 1,
    }
}
