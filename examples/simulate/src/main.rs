//! Run with: `cargo run --release -p simulate`
//!
//! Who goes next, when more is asked for than there is? This puts the same synthetic traffic
//! through each discipline of the crate, in virtual time, at a scale that no test machine has: ten
//! thousand tenants, millions of requests, hours within a minute. It prints a table, and draws the
//! curves into `target/simulate/`, to be seen in `index.html` there.
//!
//! The resource has a concurrency limit. Requests arrive at random (Poisson) and take a random time
//! once they were let in. Their clients give up after a second, which nobody tells the queue, as
//! behind many a proxy: work that ends later is wasted. *Goodput* counts only what ended in time.
//!
//! `--quick` takes a few seconds, `--help` lists everything that can be set.

mod args;
mod chart;
mod discipline;
mod fairness;
mod promise;
mod report;
mod scenario;
mod summary;
mod sweep;
mod table;
mod tally;
mod traffic;
mod world;

use std::{process::ExitCode, time::Instant};

use anyhow::{Result, bail};
use clap::Parser as _;
use test_support::target_folder;

use crate::{args::Args, promise::OVERLOAD};

fn main() -> ExitCode {
    match start(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "the real time, beside the virtual one"
)]
fn start(args: &Args) -> Result<()> {
    let scenario = args.scenario();
    let began = Instant::now();
    let results = sweep::run(&scenario, args.jobs());
    let took = began.elapsed();
    let folder = args.out.clone();
    let folder = folder.unwrap_or_else(|| target_folder().join("simulate"));
    report::write(&folder, &scenario, &results)?;
    println!("{scenario}\n\n{}\n", table::of(&results));
    let hours = results.iter().map(|result| result.time).sum::<f64>() / 3_600.0;
    println!(
        "{} runs, {:.1} million requests, {hours:.1} hours of virtual time, in {:.1} s",
        results.len(),
        (results.len() as u64 * scenario.requests) as f64 / 1e6,
        took.as_secs_f64()
    );
    println!("{}\n", folder.join("index.html").display());
    let facts = promise::facts(&scenario, &results);
    if !facts.is_empty() {
        println!(
            "At {OVERLOAD} times capacity, with a deadline that is the patience of the clients:"
        );
    }
    for fact in &facts {
        println!("{fact}");
    }
    let broken: Vec<_> = facts.iter().filter(|fact| !fact.holds).collect();
    if args.assert && !broken.is_empty() {
        let broken: Vec<_> = broken.iter().map(ToString::to_string).collect();
        bail!("not as promised:\n{}", broken.join("\n"));
    }
    Ok(())
}
