//! The page: one HTML file that needs nothing else, and the charts on their own.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use crate::{
    chart::{self, Figure},
    scenario::Scenario,
    summary::Summary,
    table,
};

/// Writes `index.html` and the charts.
pub(crate) fn write(folder: &Path, scenario: &Scenario, results: &[Summary]) -> Result<()> {
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut charts = Vec::new();
    for figure in Figure::EACH {
        let svg = chart::svg(figure, scenario, results)?;
        write(figure.file(), &svg)?;
        charts.push(svg);
    }
    write("index.html", &html(scenario, results, &charts))
}

fn html(scenario: &Scenario, results: &[Summary], charts: &[String]) -> String {
    format!(
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Who goes next</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; color: #2d343e; background: #fff; max-width: 1200px; margin: 2em auto; padding: 0 1em }}
svg {{ display: block; width: 100%; height: auto; margin-bottom: 1em }}
table {{ border-collapse: collapse; margin: 1em 0; font-size: 13px }}
th, td {{ padding: .2em .6em; border-bottom: 1px solid #e2e6ec; text-align: right }}
.name {{ text-align: left }}
</style>
</head>
<body>
<h1>Who goes next</h1>
<p>The admission module of the crate in virtual time. {scenario}</p>
{charts}
<p>Goodput counts what ended while its client was still there, as a share of what the resource can do.
Late is what was served for nobody; it, refused, timed out and shed are shares of the requests that arrived.
Waits are those of requests that were let in.
Fairness is Jain's index over what each tenant got of its max-min share, in time; it is unknown where nobody got anything.
Others is what all but the noisy tenant got together, of theirs.</p>
{table}
</body>
</html>
"#,
        charts = charts.join("\n"),
        table = table::of(results).html(),
    )
}
