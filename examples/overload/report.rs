//! The report: one HTML file that needs nothing else, and the charts on their own.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use crate::{
    chart::{self, Scales},
    load::Phase,
    run::{Measured, Run},
    summary::Summary,
    table::{self, Rows},
};

/// Writes `report.html`, `summary.json` and a chart per run. The charts show the last repetition.
pub(crate) fn write(
    folder: &Path,
    plan: &[Run],
    summary: &Summary,
    last: &[(Run, Measured)],
) -> Result<()> {
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let scales = Scales::of(last);
    let mut charts = Vec::new();
    for (run, measured) in last {
        let svg = chart::svg(run, measured, &scales)?;
        write(
            &format!("overload-{}.svg", run.name.replace(' ', "-")),
            &svg,
        )?;
        charts.push(svg);
    }
    write(
        "summary.json",
        &(serde_json::to_string_pretty(summary)? + "\n"),
    )?;
    write("report.html", &html(plan, summary, &charts))
}

fn html(plan: &[Run], summary: &Summary, charts: &[String]) -> String {
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
    format!(
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Overload</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; color: #2d343e; background: #fff; max-width: 1200px; margin: 2em auto; padding: 0 1em }}
svg {{ display: block; width: 100%; height: auto; margin-bottom: 1em }}
table {{ border-collapse: collapse; margin: 1em 0 }}
th, td {{ padding: .2em .8em; border-bottom: 1px solid #e2e6ec; text-align: right }}
td:first-child, th:first-child, .answers :is(th, td):nth-child(-n+3) {{ text-align: left }}
</style>
</head>
<body>
<h1>Overload</h1>
<p>{users} on <code>/messages</code> for {steady} s, a ramp to {peak_vus} over {ramp} s, back to {vus} in {drop} s,
and {recovery} s of recovery. {neighbour} on <code>/file</code> all along. Clients give up after {timeout} s.</p>
{charts}
<p>Before is {before}, at the peak {peak}, after {after}. Latencies are those of the requests that were served.
Recovery is the time from the drop of the users until the 3-second mean of ok/s on <code>/messages</code> is back at
0.9 of its mean before. {repetitions}</p>
{answers}
{server}
</body>
</html>
"#,
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
        charts = charts.join("\n"),
        before = window(Phase::Before),
        peak = window(Phase::Peak),
        after = window(Phase::After),
        answers = html_table("answers", &table::answers(plan, summary)),
        server = html_table("server", &table::server(plan, summary)),
    )
}

/// The cells are numbers and names of ours, which need no escaping.
fn html_table(class: &str, Rows { head, rows }: &Rows) -> String {
    let row = |tag: &str, cells: &mut dyn Iterator<Item = &str>| {
        let cells: String = cells.map(|cell| format!("<{tag}>{cell}</{tag}>")).collect();
        format!("<tr>{cells}</tr>\n")
    };
    let head = row("th", &mut head.iter().copied());
    let rows: String = rows
        .iter()
        .map(|cells| row("td", &mut cells.iter().map(String::as_str)))
        .collect();
    format!("<table class=\"{class}\">\n{head}{rows}</table>")
}
