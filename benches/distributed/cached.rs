//! A cache that has what is asked: no round trip.

use test_support::Server;

use crate::{
    clock::now,
    figures::{Figure, medians},
    load::Stats,
    one_thread,
    venue::{Process, Venue},
};

const ROUNDS: usize = 15;
const CALLS: u32 = 20_000;

pub(crate) fn measure(server: &Server, venue: &Venue) -> Vec<Figure> {
    let runtime = one_thread();
    let process = runtime.block_on(venue.cached(1_000));
    let [micros] = medians(ROUNDS, || {
        runtime.block_on(async {
            drop(process.acquire().await); // brings some units here
            let before = Stats::of(server);
            let start = now();
            calls(&process, CALLS).await;
            let took = start.elapsed().as_secs_f64() * 1e6 / f64::from(CALLS);
            let asked = Stats::of(server).scripts - before.scripts;
            assert!(asked * 100.0 < f64::from(CALLS), "they come from the cache");
            [took]
        })
    });
    let counted = allocation_counter::measure(|| runtime.block_on(calls(&process, 1_000)));
    let allocations = counted.count_total as f64 / 1_000.0;
    vec![
        Figure::new("cached acquire and release, µs", micros).at_most(2.0),
        Figure::new("the same, allocations", allocations),
    ]
}

async fn calls(process: &Process, calls: u32) {
    for _ in 0..calls {
        drop(process.acquire().await);
    }
}
