//! The run: the processes, the load on them, what is done to them, and what was measured.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use example_support::{Child, K6, samples};
use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};
use rustix::process::{Pid, Signal, kill_process};
use test_support::{
    Options, Server,
    holders::{Holders, Log, Nanos, now},
};
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    plan::{KILLED, PAUSED, Plan},
    worker::Worker,
};

/// A request as its client saw it, to which process.
pub(crate) type Sample = example_support::Sample<u32>;

#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) holders: Holders,
    pub(crate) samples: Vec<Sample>,
    /// When the first request came.
    pub(crate) start: Nanos,
    pub(crate) events: Events,
}

/// What was done to the processes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Events {
    pub(crate) killed: Nanos,
    pub(crate) paused: Nanos,
    /// When the permits of the paused process are no longer valid.
    pub(crate) lost: Nanos,
    pub(crate) resumed: Nanos,
}

const SCRIPT: &str = include_str!("distributed.js");

/// For k6 to start, and to come to an end after the last request has timed out.
const GRACE: Duration = Duration::from_secs(30);

/// Dropping this future stops all processes.
pub(crate) async fn measure(plan: &Plan, k6: &K6) -> Result<Measured> {
    let redis = tokio::task::spawn_blocking(|| Server::launch(Options::default())).await??;
    let folder = tempfile::tempdir().context("no folder for the log")?;
    let log = folder.path().join("log");
    let mut children = Vec::new();
    for number in 1..=plan.processes {
        let worker = Worker {
            number,
            redis: redis.url(),
            log: log.clone(),
            plan: plan.clone(),
        };
        let child = Child::start(worker.arguments()).await;
        children.push(child.with_context(|| format!("process {number}"))?);
    }

    let bar = progress(plan);
    let urls: Vec<_> = children.iter().map(Child::url).collect();
    let environment = [
        ("URLS", urls.join(",")),
        ("RATE", plan.rate.to_string()),
        ("SECONDS", plan.end_at.as_secs_f64().to_string()),
        (
            "CLIENT_TIMEOUT",
            plan.client_timeout.as_secs_f64().to_string(),
        ),
    ];
    let load = k6.run(SCRIPT, environment, {
        let bar = bar.clone();
        let process = |scenario: &str| scenario.parse().ok();
        move |csv| samples::read(csv, process, |sample| bar.set_position(sample.at as u64))
    });
    let patience = plan.end_at + plan.client_timeout + GRACE;
    let ((samples, _), events) = tokio::select! {
        done = async { tokio::try_join!(load, disturb(plan, &mut children, &log)) } => done?,
        () = sleep(patience) => bail!("k6 did not come to an end"),
    };

    for (number, child) in (1..)
        .zip(&mut children)
        .filter(|(number, _)| *number != KILLED)
    {
        let is_alive = child.is_alive();
        ensure!(is_alive, "process {number} ended in the middle of the run");
        child.stop().await?;
    }
    let holders = Holders::read(&log)?;
    let start = holders.begin().context("nobody asked for a permit")?;
    Ok(Measured {
        holders,
        samples,
        start,
        events,
    })
}

/// Kills one process and pauses another, when the plan says so. Time begins with the first request.
async fn disturb(plan: &Plan, children: &mut [Child], log: &Path) -> Result<Events> {
    while fs::metadata(log).map_or(0, |log| log.len()) == 0 {
        sleep(Duration::from_millis(5)).await;
    }
    let start = Instant::now();
    let child = |number: u32| number as usize - 1;

    sleep_until(start + plan.kill_at).await;
    children[child(KILLED)].stop().await?;
    let killed = now();
    Log::open(log, KILLED)?.killed();

    sleep_until(start + plan.pause_at).await;
    let id = children[child(PAUSED)].id().map(|id| id as i32);
    let id = id.and_then(Pid::from_raw).context("no process to pause")?;
    kill_process(id, Signal::STOP).context("cannot pause a process")?;
    let paused = now();
    let lost = paused + plan.validity().as_nanos() as Nanos;
    Log::open(log, PAUSED)?.paused(lost);

    sleep_until(start + plan.resume_at).await;
    kill_process(id, Signal::CONT).context("cannot resume a process")?;
    Ok(Events {
        killed,
        paused,
        lost,
        resumed: now(),
    })
}

fn progress(plan: &Plan) -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} s");
    let bar = ProgressBar::new(plan.end_at.as_secs())
        .with_style(style.expect("the template is well formed"))
        .with_finish(ProgressFinish::AndClear);
    if bar.is_hidden() {
        eprintln!("{} processes: {} s", plan.processes, plan.end_at.as_secs());
    }
    bar.tick();
    bar
}
