//! The report: one HTML file that needs nothing else, and the charts on their own.

use std::path::Path;

use anyhow::Result;
use example_support::page;

use crate::{
    chart::{self, Scales},
    load::Phase,
    run::{Measured, Run},
    summary::Summary,
    table,
};

/// Writes `report.html`, `summary.json` and a chart per run. The charts show the last repetition.
pub(crate) fn write(
    folder: &Path,
    plan: &[Run],
    summary: &Summary,
    last: &[(Run, Measured)],
) -> Result<()> {
    let scales = Scales::of(last);
    let mut charts = Vec::new();
    for (run, measured) in last {
        let name = format!("overload-{}.svg", run.name.replace(' ', "-"));
        charts.push((name, chart::svg(run, measured, &scales)?));
    }
    let summary_json = serde_json::to_string_pretty(summary)? + "\n";
    let report = html(plan, summary, &charts);
    let mut files = vec![("summary.json", &summary_json), ("report.html", &report)];
    files.extend(charts.iter().map(|(name, svg)| (name.as_str(), svg)));
    page::write(
        folder,
        files.into_iter().map(|(name, text)| (name, text.as_str())),
    )
}

fn html(plan: &[Run], summary: &Summary, charts: &[(String, String)]) -> String {
    let load = &summary.load;
    let window = |phase| {
        let seconds = load.window(phase);
        format!("{} to {} s", seconds.start, seconds.end)
    };
    let repetitions = match summary.repetitions {
        1 => String::new(),
        runs => {
            format!("The figures are medians of {runs} runs, the charts show the last of them.")
        }
    };
    let body = format!(
        r#"<p>{users} on <code>/messages</code> for {steady} s, a ramp to {peak_vus} over {ramp} s, back to {vus} in {drop} s,
and {recovery} s of recovery. {neighbour} on <code>/file</code> all along. Clients give up after {timeout} s.</p>
{charts}
<p>Before is {before}, at the peak {peak}, after {after}. Latencies are those of the requests that were served.
Recovery is the time from the drop of the users until the 3-second mean of ok/s on <code>/messages</code> is back at
0.9 of its mean before. {repetitions}</p>
{answers}
{server}"#,
        users = format_args!("{} users", load.vus),
        steady = load.steady,
        peak_vus = load.peak_vus,
        ramp = load.ramp,
        vus = load.vus,
        drop = load.drop,
        recovery = load.recovery,
        neighbour = match load.file_rate {
            0 => format!("{} users", load.file_vus),
            rate => format!("{rate} requests/s"),
        },
        timeout = load.client_timeout,
        charts = charts
            .iter()
            .map(|(_, svg)| svg.as_str())
            .collect::<Vec<_>>()
            .join("\n"),
        before = window(Phase::Before),
        peak = window(Phase::Peak),
        after = window(Phase::After),
        answers = table::answers(plan, summary).html(),
        server = table::server(plan, summary).html(),
    );
    page::html("Overload", &body)
}
