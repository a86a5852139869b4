//! Requests that are admitted at once let other tasks run, as all futures of tokio do.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::Poll,
    time::Duration,
};

use futures_util::{FutureExt, poll};
use tokio::task::yield_now;
use tower_concurrency_limiter::{Limiter, Rate, Reason, Resource};

const LOOPS: usize = 10_000;

/// How often another task runs meanwhile.
async fn turns_of_others(work: impl Future<Output = ()>) -> usize {
    let turns = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&turns);
    let other = tokio::spawn(async move {
        loop {
            counted.fetch_add(1, SeqCst);
            yield_now().await;
        }
    });
    work.await;
    other.abort();
    turns.load(SeqCst)
}

fn limiter() -> (Resource, Resource, Limiter) {
    let db = Resource::new("db", 10);
    let api = Resource::builder("api")
        .concurrency(10)
        .rate(Rate::per_second(1_000_000).burst(1_000_000))
        .build();
    let limiter = Limiter::new(Duration::from_secs(5), [&db, &api]);
    (db, api, limiter)
}

#[tokio::test]
async fn a_loop_of_requests_lets_other_tasks_run() {
    let (db, api, limiter) = limiter();
    let acquire = turns_of_others(async {
        for _ in 0..LOOPS {
            drop(limiter.acquire([&db]).await.expect("room"));
        }
    });
    assert!(acquire.await >= 50, "acquire");
    let run = turns_of_others(async {
        for _ in 0..LOOPS {
            limiter.run([&db], async || ()).await.expect("room");
        }
    });
    assert!(run.await >= 50, "run");
    let set = turns_of_others(async {
        for _ in 0..LOOPS {
            drop(limiter.request([&db, &api]).acquire().await.expect("room"));
        }
    });
    assert!(set.await >= 50, "a set with rules");
    let held = limiter.try_acquire([db.units(10)]).expect("idle");
    let refused = turns_of_others(async {
        for _ in 0..LOOPS {
            let at_once = limiter.request([&db]).timeout(Duration::ZERO).acquire();
            assert!(at_once.await.is_err());
        }
    });
    assert!(refused.await >= 50, "refused at once");
    drop(held);
}

/// Polls requests until one has to let others run, and returns that.
async fn without_budget(
    limiter: &Limiter,
    db: &Resource,
) -> tower_concurrency_limiter::limiter::Acquire {
    loop {
        let mut acquire = limiter.acquire([db]);
        match poll!(&mut acquire) {
            Poll::Ready(permit) => drop(permit.expect("room")),
            Poll::Pending => return acquire,
        }
    }
}

/// It has its set, and is told when it is polled again.
#[tokio::test]
async fn a_request_without_budget_has_arrived() {
    let (db, api, limiter) = limiter();
    let acquire = without_budget(&limiter, &db).await;
    assert_eq!(db.in_use(), 1);
    let held = limiter.try_acquire([db.units(9)]).expect("the rest");
    let mut queued = limiter.acquire([&db]);
    assert!(poll!(&mut queued).is_pending());
    assert_eq!(db.waiting(), 1, "a place in the queue needs no budget");
    yield_now().await;
    drop(acquire.await.expect("granted"));
    drop(queued.await.expect("granted"));
    drop(held);
    let _ = api;
}

/// What it had spent of a rate comes back.
#[tokio::test]
async fn a_request_that_is_dropped_without_budget_has_spent_nothing() {
    let (db, _api, limiter) = limiter();
    let once = Resource::builder("once").rate(Rate::per_hour(1)).build();
    let other = Limiter::new(Duration::from_secs(5), [&once]);
    let keeper = without_budget(&limiter, &db).await;
    let mut acquire = other.acquire([&once]);
    assert!(poll!(&mut acquire).is_pending());
    drop(acquire);
    drop(keeper);
    assert_eq!((db.in_use(), once.in_use()), (0, 0));
    assert!(other.try_acquire([&once]).is_ok(), "refunded");
    let spent = other.try_acquire([&once]).expect_err("spent");
    assert_ne!(spent.reason(), Reason::Closed);
}

#[test]
fn outside_of_a_runtime_there_is_no_budget() {
    let (db, _api, limiter) = limiter();
    for _ in 0..LOOPS {
        let permit = limiter.acquire([&db]).now_or_never();
        drop(permit.expect("at once").expect("room"));
    }
}
