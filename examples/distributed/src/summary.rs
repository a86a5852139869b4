//! The run in numbers.

use std::{fmt, time::Duration};

use example_support::Outcome;
use serde::Serialize;
use test_support::holders::{Hold, Holders, Nanos, Tally, Until};

use crate::{
    plan::{KILLED, PAUSED, Plan},
    run::{Measured, Sample},
};

/// Times are in seconds if not said otherwise.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    pub(crate) limit: u64,
    /// Valid permits, in all processes together.
    pub(crate) most_held: u64,
    /// With those that were no longer valid, as their process stood still while others were let in.
    pub(crate) most_at_work: u64,
    pub(crate) killed: Killed,
    pub(crate) paused: Paused,
    pub(crate) processes: Vec<Process>,
    pub(crate) phases: Vec<Phase>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Killed {
    pub(crate) held: u64,
    /// Until others used the first and the last of it.
    pub(crate) first_back_s: Option<f64>,
    pub(crate) all_back_s: Option<f64>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Paused {
    pub(crate) held: u64,
    /// From the end of their validity until others used the last of them.
    pub(crate) all_back_s: Option<f64>,
    /// From when the process went on until it had a permit again.
    pub(crate) next_grant_s: Option<f64>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Process {
    pub(crate) number: u32,
    pub(crate) asked: usize,
    pub(crate) granted: usize,
    pub(crate) refused: usize,
    pub(crate) lost: usize,
    /// Of those that were granted.
    pub(crate) wait_p50_ms: Option<f64>,
    pub(crate) wait_p99_ms: Option<f64>,
}

/// What the clients got, per second.
#[derive(Debug, Serialize)]
pub(crate) struct Phase {
    pub(crate) name: &'static str,
    pub(crate) ok_per_s: f64,
    pub(crate) refused_503_per_s: f64,
    pub(crate) timeouts_per_s: f64,
    pub(crate) no_connection_per_s: f64,
}

impl Summary {
    pub(crate) fn new(plan: &Plan, measured: &Measured) -> Self {
        let Measured {
            holders,
            samples,
            events,
            ..
        } = measured;
        let limit = u64::from(plan.limit);
        let phases = plan.phases();
        Self {
            limit,
            most_held: holders.peak(Until::Lost).units,
            most_at_work: holders.peak(Until::Returned).units,
            killed: Killed::new(holders, limit),
            paused: Paused::new(measured, events.lost, events.resumed, limit),
            processes: (1..=plan.processes)
                .map(|number| Process::new(holders, number))
                .collect(),
            phases: phases
                .into_iter()
                .map(|phase| Phase::new(samples, phase))
                .collect(),
        }
    }
}

impl Killed {
    fn new(holders: &Holders, limit: u64) -> Self {
        let recoveries = holders.recoveries(limit);
        let its = recoveries.iter().find(|its| its.process == KILLED);
        Self {
            held: its.map_or(0, |its| its.units),
            first_back_s: its.and_then(|its| its.first).map(seconds),
            all_back_s: its.and_then(|its| its.all).map(seconds),
        }
    }
}

impl Paused {
    fn new(measured: &Measured, lost: Nanos, resumed: Nanos, limit: u64) -> Self {
        let holders = &measured.holders;
        let its = |hold: &&Hold| hold.process == PAUSED;
        let held = holders
            .all()
            .filter(its)
            .filter(|hold| hold.lost == Some(lost));
        let after = |at: Nanos, begin| seconds(Duration::from_nanos(at - begin));
        let back = holders.reached(limit, lost);
        let grants = holders.all().filter(its).map(|hold| hold.from);
        Self {
            held: held.map(|hold| u64::from(hold.units)).sum(),
            all_back_s: back.map(|at| after(at, lost)),
            next_grant_s: grants
                .filter(|&at| at > resumed)
                .min()
                .map(|at| after(at, resumed)),
        }
    }
}

impl Process {
    fn new(holders: &Holders, number: u32) -> Self {
        let Tally {
            asked,
            granted,
            refused,
            lost,
            ..
        } = holders.tallies().get(&number).copied().unwrap_or_default();
        let its = holders.all().filter(|hold| hold.process == number);
        let mut waits: Vec<_> = its.filter_map(|hold| hold.waited).collect();
        waits.sort();
        let percentile = |part: f64| {
            let rank = (part * waits.len() as f64).ceil() as usize;
            let wait = waits.get(rank.max(1) - 1)?;
            Some(1e3 * seconds(*wait))
        };
        Self {
            number,
            asked,
            granted,
            refused,
            lost,
            wait_p50_ms: percentile(0.50),
            wait_p99_ms: percentile(0.99),
        }
    }
}

impl Phase {
    fn new(samples: &[Sample], (name, from, to): (&'static str, Duration, Duration)) -> Self {
        let (from, to) = (seconds(from), seconds(to));
        let rate = |outcome| {
            let its = samples
                .iter()
                .filter(|sample| sample.outcome == outcome && (from..to).contains(&sample.at));
            its.count() as f64 / (to - from)
        };
        Self {
            name,
            ok_per_s: rate(Outcome::Ok),
            refused_503_per_s: rate(Outcome::Refused),
            timeouts_per_s: rate(Outcome::Timeout),
            no_connection_per_s: rate(Outcome::Error),
        }
    }
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { killed, paused, .. } = self;
        let after = |time: Option<f64>| match time {
            Some(time) => format!("after {time:.2} s"),
            None => "never".into(),
        };
        writeln!(
            f,
            "At most {} permits were held at once; the limit is {}.",
            self.most_held, self.limit
        )?;
        writeln!(
            f,
            "Process {KILLED} held {} when it was killed: others had the first {}, all {}.",
            killed.held,
            after(killed.first_back_s),
            after(killed.all_back_s)
        )?;
        writeln!(
            f,
            "Process {PAUSED} held {} when it was paused: once they were no longer valid, others had all {}.",
            paused.held,
            after(paused.all_back_s)
        )?;
        write!(
            f,
            "It had a permit again {} of going on. With what it still worked at then, {} were at work at most.",
            after(paused.next_grant_s),
            self.most_at_work
        )
    }
}
