//! Run with: cargo run --example consumer
//!
//! A background consumer beside a web server: its jobs share the database with the requests.

use std::{
    future::{Future, ready},
    time::Duration,
};

use futures_util::{StreamExt, stream};
use tokio::{sync::mpsc, time::sleep};
use tower_concurrency_limiter::{Limiter, Resource};

type Job = u32;

/// Runs the jobs, as many at once as the limit of the database allows. Returns the rejected ones,
/// to be put back.
async fn consume<F>(
    mut jobs: mpsc::Receiver<Job>,
    limiter: &Limiter,
    db: &Resource,
    store: impl Fn(Job) -> F,
) -> Vec<Job>
where
    F: Future<Output = ()>,
{
    // Bounds the jobs in memory. The limiter bounds those at the database.
    const AT_HAND: usize = 16;
    let store = &store;
    stream::poll_fn(|cx| jobs.poll_recv(cx))
        .map(|job| async move {
            let done = limiter.run([db], || store(job)).await;
            done.map_err(|_rejection| job)
        })
        .buffer_unordered(AT_HAND)
        .filter_map(|done| ready(done.err()))
        .collect()
        .await
}

#[tokio::main]
async fn main() {
    let db = Resource::new("db", 3);
    // Jobs are more patient than the clients of a web server.
    let limiter = Limiter::new(Duration::from_secs(60), [&db]);

    let (queue, jobs) = mpsc::channel(100);
    let producer = async move {
        for job in 1..=12 {
            if queue.send(job).await.is_err() {
                break;
            }
        }
    };
    let store = |job| {
        let db = db.clone();
        async move {
            let limit = db.limit().expect("it has one");
            println!("job {job} begins, {} of {limit} in use", db.in_use());
            sleep(Duration::from_millis(500)).await;
        }
    };
    let (put_back, ()) = tokio::join!(consume(jobs, &limiter, &db, store), producer);
    println!("all done, {} put back", put_back.len());
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::time::Instant;

    use super::*;

    fn queue(jobs: impl IntoIterator<Item = Job>) -> mpsc::Receiver<Job> {
        let (queue, receiver) = mpsc::channel(100);
        for job in jobs {
            queue.try_send(job).unwrap();
        }
        receiver
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn jobs_run_three_at_a_time() {
        let db = Resource::new("db", 3);
        let limiter = Limiter::new(60 * SECOND, [&db]);
        let (started, most, done) = (Instant::now(), Cell::new(0), Cell::new(0));
        let store = |_| async {
            most.set(most.get().max(db.in_use()));
            sleep(SECOND).await;
            done.set(done.get() + 1);
        };
        assert_eq!(consume(queue(1..=12), &limiter, &db, store).await, []);
        assert_eq!((done.get(), most.get()), (12, 3));
        assert_eq!(started.elapsed(), 4 * SECOND);
        assert_eq!(db.in_use(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_that_waits_too_long_is_put_back() {
        let db = Resource::new("db", 1);
        let limiter = Limiter::new(SECOND, [&db]);
        let store = |_| sleep(2 * SECOND);
        assert_eq!(consume(queue([7, 8]), &limiter, &db, store).await, [8]);
    }
}
