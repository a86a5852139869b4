//! The page, the chart on its own, and the numbers.

use std::path::Path;

use anyhow::Result;
use example_support::page;

use crate::{chart, plan::Plan, run::Measured, summary::Summary, table};

/// Writes `report.html`, `distributed.svg` and `summary.json`.
pub(crate) fn write(
    folder: &Path,
    plan: &Plan,
    measured: &Measured,
    summary: &Summary,
) -> Result<()> {
    let chart = chart::svg(plan, measured)?;
    let numbers = serde_json::to_string_pretty(summary)? + "\n";
    let page = html(plan, summary, &chart);
    page::write(
        folder,
        [
            ("report.html", page.as_str()),
            ("distributed.svg", &chart),
            ("summary.json", &numbers),
        ],
    )
}

fn html(plan: &Plan, summary: &Summary, chart: &str) -> String {
    let Plan {
        processes,
        limit,
        rate,
        ..
    } = plan;
    let body = format!(
        "<p>{processes} processes share a limit of {limit} through Redis. Each is asked for {rate} requests per \
         second, which work for {work} ms with a permit and wait for it for at most {wait} ms. Heartbeats are \
         {heartbeat} ms apart, a lease lasts {lease} s.</p>\n{chart}\n<p>{lines}</p>\n{processes_table}\n{phases}",
        work = plan.work.as_millis(),
        wait = plan.wait.as_millis(),
        heartbeat = plan.heartbeat.as_millis(),
        lease = plan.lease.as_secs_f64(),
        lines = summary.to_string().replace('\n', "<br>\n"),
        processes_table = table::processes(summary).html(),
        phases = table::phases(summary).html(),
    );
    page::html("One limit, several processes", &body)
}
