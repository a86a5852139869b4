//! Those who ask while a round trip is under way share the next one.

use std::time::Duration;

use test_support::Server;

use crate::{
    clock::now,
    figures::{Figure, medians},
    one_thread,
    venue::{Process, Venue},
};

const ROUNDS: usize = 9;
const WINDOW: Duration = Duration::from_millis(200);
const TASKS: usize = 64;

pub(crate) fn measure(_: &Server, venue: &Venue) -> Vec<Figure> {
    let runtime = one_thread();
    let process = runtime.block_on(venue.db(1_000));
    let [one, many, ratio] = medians(ROUNDS, || {
        let one = runtime.block_on(per_second(&process, 1));
        let many = runtime.block_on(per_second(&process, TASKS));
        [one, many, many / one]
    });
    vec![
        Figure::new("strict acquires per second, one at a time", one),
        Figure::new(format!("the same by {TASKS} tasks"), many),
        Figure::new("beside one at a time", ratio).at_least(5.0),
    ]
}

async fn per_second(process: &Process, tasks: usize) -> f64 {
    let start = now();
    let tasks: Vec<_> = (0..tasks)
        .map(|_| {
            let (limiter, db) = (process.limiter.clone(), process.db.clone());
            tokio::spawn(async move {
                let mut acquired = 0;
                while start.elapsed() < WINDOW {
                    drop(limiter.acquire([&db]).await.expect("in time"));
                    acquired += 1;
                }
                acquired
            })
        })
        .collect();
    let mut acquired = 0;
    for task in tasks {
        acquired += task.await.expect("no task panics");
    }
    f64::from(acquired) / start.elapsed().as_secs_f64()
}
