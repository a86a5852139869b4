//! Run with: `cargo run --release -p overload`
//!
//! Puts the same overload on the same server, first without and then with a limit on its database,
//! and shows both: a table, `target/overload/report.html`, the charts as SVG, and
//! `target/overload/summary.json`. It takes about five minutes; `--quick` takes 80 seconds,
//! `--help` lists everything that can be set.
//!
//! `--impatient` compares first come, first served with overload mode where clients give up before
//! the wait for a permit is over.
//!
//! By hand, against one server:
//!
//! ```sh
//! cargo run --release -p overload -- --prepare
//! cargo run --release -p overload -- --serve --limit off
//! k6 run --no-usage-report examples/overload/src/overload.js
//! ```
//!
//! The README shows the charts of a full run: `cp target/overload/overload-*limited.svg docs/`.

mod args;
mod chart;
mod child;
mod data;
mod load;
mod promise;
mod report;
mod route;
mod run;
mod series;
mod server;
mod summary;
mod table;
mod usage;

use std::{path::Path, process::ExitCode};

use anyhow::{Result, bail};
use clap::Parser as _;
use example_support::{K6, end_with_stdin, until_stopped};
use test_support::target_folder;

use crate::{args::Args, data::Data, summary::Summary};

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    until_stopped(start(&args)).await
}

async fn start(args: &Args) -> Result<()> {
    let folder = target_folder().join("overload");
    let data = Data::in_folder(&folder.join("data"), args.rows());
    if args.until_stdin_ends {
        end_with_stdin();
    }
    if args.serve {
        return server::serve(args.port(), data, args.limit(), &args.limits()).await;
    }
    eprintln!("data: {} rows in {}", args.rows(), data.database.display());
    tokio::task::spawn_blocking(move || data.prepare()).await??;
    if args.prepare {
        return Ok(());
    }
    benchmark(args, &folder).await
}

async fn benchmark(args: &Args, folder: &Path) -> Result<()> {
    let k6 = K6::find(args.k6.as_deref(), &folder.join("k6")).await?;
    let plan = args.plan();
    let mut repetitions = Vec::new();
    for repetition in 1..=args.runs {
        let mut measured = Vec::new();
        for run in &plan {
            let label = match args.runs {
                1 => run.name.to_owned(),
                runs => format!("{} {repetition}/{runs}", run.name),
            };
            measured.push((
                run.clone(),
                run.measure(&k6, args.port(), args.rows(), &label).await?,
            ));
        }
        repetitions.push(measured);
    }

    let summary = Summary::new(&args.load(), &repetitions);
    let out = args.out.as_deref().unwrap_or(folder);
    report::write(
        out,
        &plan,
        &summary,
        repetitions.last().expect("there is at least one"),
    )?;
    println!(
        "{}\n\n{}",
        table::answers(&plan, &summary),
        table::server(&plan, &summary)
    );
    println!("\n{}", out.join("report.html").display());
    if args.assert {
        let broken = args.promise().broken(&summary);
        if !broken.is_empty() {
            bail!("not as promised: {}", broken.join("; "));
        }
    }
    Ok(())
}
