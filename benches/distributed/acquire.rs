//! One task that acquires what is free: a round trip and the script.

use std::time::Duration;

use test_support::Server;
use tokio::time::sleep;

use crate::{
    clock::{cpu, now},
    figures::{Figure, medians, percentile},
    load::Stats,
    one_thread,
    ping::Ping,
    venue::{Process, Venue},
};

const ROUNDS: usize = 15;
/// So many, one after the other.
const CLOSELY: (u32, Duration) = (500, Duration::ZERO);
/// So many, with pauses in which everything falls asleep.
const AT_LEISURE: (u32, Duration) = (50, Duration::from_millis(2));

pub(crate) fn measure(server: &Server, venue: &Venue) -> Vec<Figure> {
    let runtime = one_thread();
    let (process, mut ping) =
        runtime.block_on(async { (venue.db(16).await, Ping::to(venue.url()).await) });
    let mut figures = Vec::new();
    for (how, pace) in [("after the other", CLOSELY), ("every 2 ms", AT_LEISURE)] {
        let [pings, ping_cpu, acquires, acquire_cpu, script, ratio] = medians(ROUNDS, || {
            runtime.block_on(async {
                let (pings, ping_cpu) = cost(pace, async || ping.micros().await).await;
                let before = Stats::of(server);
                let (acquires, acquire_cpu) = cost(pace, async || micros(&process).await).await;
                let asked = Stats::of(server).since(&before);
                let script = asked.in_scripts / asked.scripts;
                let ratio = acquires / pings;
                [pings, ping_cpu, acquires, acquire_cpu, script, ratio]
            })
        });
        let ratio = Figure::new("the acquire beside the PING", ratio);
        figures.extend([
            Figure::new(format!("a PING {how}, p50 µs"), pings),
            Figure::new(format!("a strict acquire {how}, p50 µs"), acquires),
            match pace {
                CLOSELY => ratio.at_most(1.5),
                _ => ratio,
            },
            Figure::new("of it in the script, µs", script),
            Figure::new("CPU µs of this process for such a PING", ping_cpu),
            Figure::new("the same for such an acquire and release", acquire_cpu),
        ]);
    }
    figures
}

/// Their median time, and the CPU time of this process for each, in microseconds.
async fn cost((calls, pause): (u32, Duration), mut call: impl AsyncFnMut() -> f64) -> (f64, f64) {
    let mut samples = Vec::with_capacity(calls as usize);
    let before = cpu();
    for _ in 0..calls {
        if !pause.is_zero() {
            sleep(pause).await;
        }
        samples.push(call().await);
    }
    let used = (cpu() - before).as_secs_f64() * 1e6;
    (percentile(samples, 50), used / f64::from(calls))
}

async fn micros(process: &Process) -> f64 {
    let start = now();
    let permit = process.acquire().await;
    let took = start.elapsed();
    drop(permit);
    took.as_secs_f64() * 1e6
}
