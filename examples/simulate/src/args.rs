//! The command line.

use std::{num::NonZero, path::PathBuf};

use clap::{Parser, value_parser};
use tower_concurrency_limiter::admission::Nanos;

use crate::{
    scenario::{MILLISECOND, SECOND, Scenario},
    traffic::Service,
};

/// Puts the same traffic through each queue discipline of the crate, in virtual time.
///
/// Each discipline runs with each load and each deadline. Ten million requests at one load:
/// `--requests 10000000 --loads 2`
#[derive(Debug, Parser)]
#[command(name = "simulate")]
pub(crate) struct Args {
    /// Fewer requests: 100,000 in each run
    #[arg(long)]
    quick: bool,
    /// Exit with an error unless the facts hold that are printed below the table
    #[arg(long, conflicts_with = "loads")]
    pub(crate) assert: bool,
    /// How many runs at once [default: as many as there are cores]
    #[arg(long, value_name = "N")]
    jobs: Option<NonZero<usize>>,
    /// Where the charts go [default: simulate/ in the target folder]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,

    /// Requests in each run [default: 1,000,000]
    #[arg(long, value_parser = value_parser!(u64).range(100..), help_heading = "Traffic")]
    requests: Option<u64>,
    /// In multiples of what the resource can do
    #[arg(long, value_delimiter = ',', default_values_t = [0.5, 0.8, 1.0, 1.5, 2.0, 3.0], value_parser = load, help_heading = "Traffic")]
    loads: Vec<f64>,
    /// Tenants, of which one is the noisy one
    #[arg(long, default_value_t = 10_000, value_parser = value_parser!(u32).range(2..), help_heading = "Traffic")]
    tenants: u32,
    /// The share of the noisy tenant in all requests; 0 is none
    #[arg(long, default_value_t = 0.5, value_parser = share, help_heading = "Traffic")]
    noisy: f64,
    /// The exponent by which the other tenants differ; 0 is not at all
    #[arg(long, default_value_t = 1.0, value_parser = positive, help_heading = "Traffic")]
    zipf: f64,
    /// How long a client waits, in seconds
    #[arg(long, default_value_t = 1.0, value_parser = positive, help_heading = "Traffic")]
    patience: f64,
    /// Where all the randomness comes from
    #[arg(long, default_value_t = 1, help_heading = "Traffic")]
    seed: u64,

    /// Requests at once
    #[arg(long, default_value_t = 100, value_parser = value_parser!(u32).range(1..1 << 20), help_heading = "Resource")]
    limit: u32,
    /// How the time is distributed that requests take
    #[arg(long, value_enum, default_value_t = Service::Exponential, help_heading = "Resource")]
    service: Service,
    /// Its mean, in milliseconds
    #[arg(long, default_value_t = 100, value_parser = value_parser!(u64).range(1..1_000_000), help_heading = "Resource")]
    service_ms: u64,
    /// Longest queue; enough for the deadline to be what bounds the wait, unlike the crate's 1,024
    #[arg(long, default_value_t = 10_000, help_heading = "Resource")]
    max_waiting: usize,
    /// The longer of the two deadlines, in seconds: the crate's default. The other one is the
    /// patience
    #[arg(long, default_value_t = 5.0, value_parser = positive, help_heading = "Resource")]
    deadline: f64,
    /// For how long a waiter can be overtaken by priority, in seconds; without it, until its
    /// deadline, as in the crate
    #[arg(long, value_parser = positive, help_heading = "Resource")]
    credit: Option<f64>,
}

impl Args {
    pub(crate) fn scenario(&self) -> Scenario {
        let requests = if self.quick { 100_000 } else { 1_000_000 };
        let mut deadlines = vec![nanos(self.deadline), nanos(self.patience)];
        deadlines.dedup();
        let mut loads = self.loads.clone();
        loads.sort_by(f64::total_cmp);
        Scenario {
            requests: self.requests.unwrap_or(requests),
            loads,
            tenants: self.tenants,
            noisy: self.noisy,
            zipf: self.zipf,
            limit: self.limit,
            max_waiting: self.max_waiting,
            service: self.service,
            service_mean: self.service_ms * MILLISECOND,
            patience: nanos(self.patience),
            deadlines,
            credit: self.credit.map(nanos),
            seed: self.seed,
        }
    }

    pub(crate) fn jobs(&self) -> usize {
        let jobs = self.jobs.or(std::thread::available_parallelism().ok());
        jobs.map_or(1, NonZero::get)
    }
}

fn nanos(seconds: f64) -> Nanos {
    (seconds * SECOND as f64) as Nanos
}

fn positive(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    match number {
        0.0..=1e6 => Ok(number),
        _ => Err("not between 0 and a million".into()),
    }
}

fn load(text: &str) -> Result<f64, String> {
    match positive(text)? {
        load if load >= 0.01 => Ok(load),
        _ => Err("less than 0.01".into()),
    }
}

fn share(text: &str) -> Result<f64, String> {
    match positive(text)? {
        share if share <= 1.0 => Ok(share),
        _ => Err("more than 1".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_override_the_preset() {
        let scenario = |args: &[&str]| Args::parse_from([&["simulate"], args].concat()).scenario();
        assert_eq!(scenario(&[]).requests, 1_000_000);
        assert_eq!(scenario(&["--quick"]).requests, 100_000);
        let few = scenario(&["--quick", "--requests", "500", "--patience", "0.5"]);
        assert_eq!(few.requests, 500);
        assert_eq!(few.deadlines, [5 * SECOND, SECOND / 2]);
        assert_eq!(scenario(&["--loads", "2,1"]).loads, [1.0, 2.0]);
        assert!(Args::try_parse_from(["simulate", "--noisy", "1.5"]).is_err());
    }
}
