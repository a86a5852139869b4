//! One task that acquires what is free: a round trip and the script.

use std::time::Duration;

use tokio::time::sleep;

use crate::{
    clock::now,
    figures::{Figure, medians, percentile},
    load::Stats,
    one_thread,
    ping::Ping,
    servers::Server,
    venue::{Process, Venue},
};

const ROUNDS: usize = 15;
const CALLS: usize = 500;
const PACED: usize = 50;
const PAUSE: Duration = Duration::from_millis(2);

pub(crate) fn measure(server: &Server, venue: &Venue) -> Vec<Figure> {
    let runtime = one_thread();
    let (process, mut ping) =
        runtime.block_on(async { (venue.db(16).await, Ping::to(venue.url()).await) });
    let before = Stats::of(server);
    let [
        pings,
        acquires,
        paced_pings,
        paced_acquires,
        ratio,
        paced_ratio,
    ] = medians(ROUNDS, || {
        runtime.block_on(async {
            let pings = pings(&mut ping, CALLS, None).await;
            let acquires = acquires(&process, CALLS, None).await;
            let paced_pings = self::pings(&mut ping, PACED, Some(PAUSE)).await;
            let paced_acquires = self::acquires(&process, PACED, Some(PAUSE)).await;
            [
                pings,
                acquires,
                paced_pings,
                paced_acquires,
                acquires / pings,
                paced_acquires / paced_pings,
            ]
        })
    });
    let asked = Stats::of(server).since(&before);
    vec![
        Figure::new("a PING after the other, p50 µs", pings),
        Figure::new("a strict acquire after the other, p50 µs", acquires),
        Figure::new("the acquire beside the PING", ratio).at_most(1.5),
        Figure::new(
            "of that in the script, µs",
            asked.in_scripts / asked.scripts,
        ),
        Figure::new("a PING every 2 ms, p50 µs", paced_pings),
        Figure::new("a strict acquire every 2 ms, p50 µs", paced_acquires),
        Figure::new("the acquire beside the PING", paced_ratio),
    ]
}

async fn pings(ping: &mut Ping, calls: usize, pause: Option<Duration>) -> f64 {
    let mut samples = Vec::with_capacity(calls);
    for _ in 0..calls {
        rest(pause).await;
        samples.push(ping.micros().await);
    }
    percentile(samples, 50)
}

async fn acquires(process: &Process, calls: usize, pause: Option<Duration>) -> f64 {
    let mut samples = Vec::with_capacity(calls);
    for _ in 0..calls {
        rest(pause).await;
        let start = now();
        let permit = process.acquire().await;
        samples.push(start.elapsed().as_secs_f64() * 1e6);
        drop(permit);
    }
    percentile(samples, 50)
}

async fn rest(pause: Option<Duration>) {
    if let Some(pause) = pause {
        sleep(pause).await;
    }
}
