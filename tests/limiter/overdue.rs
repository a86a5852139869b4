//! When the timer is late, and when one event serves many.

use std::time::Duration;

use tokio_test::{assert_pending, assert_ready, task::spawn};
use tower_concurrency_limiter::{Limiter, Reason, Resource};

#[tokio::test]
async fn one_release_serves_everybody_whom_it_has_room_for() {
    let db = Resource::new("db", 100);
    let limiter = Limiter::new(Duration::from_secs(5), [&db]);
    let all = limiter.try_acquire([db.units(100)]).expect("idle");
    let mut waiters: Vec<_> = (0..100).map(|_| spawn(limiter.acquire([&db]))).collect();
    for waiter in &mut waiters {
        assert_pending!(waiter.poll());
    }
    drop(all);
    assert_eq!((db.in_use(), db.waiting()), (100, 0));
    for waiter in &mut waiters {
        assert!(waiter.is_woken(), "woken by the release");
        drop(assert_ready!(waiter.poll()).expect("granted"));
    }
}

/// The timer task does not run between the polls of this test.
#[tokio::test(start_paused = true)]
async fn newcomers_and_releases_time_out_whom_the_timer_has_not() {
    let db = Resource::builder("db")
        .concurrency(1)
        .max_waiting(1)
        .build();
    let fs = Resource::new("fs", 1);
    let limiter = Limiter::new(Duration::from_secs(5), [&db, &fs]);
    let _held = limiter.try_acquire([&db]).expect("idle");
    let mut overdue = spawn(limiter.acquire([&db]));
    assert_pending!(overdue.poll());
    assert_pending!(spawn(tokio::time::advance(Duration::from_secs(6))).poll());
    let mut newcomer = spawn(limiter.acquire([&db]));
    assert_pending!(newcomer.poll(), "there is room in the queue");
    assert!(overdue.is_woken(), "timed out by the newcomer");
    let rejection = assert_ready!(overdue.poll()).expect_err("past its deadline");
    assert_eq!(rejection.reason(), Reason::Timeout);
    assert_eq!(db.waiting(), 1);
}

/// A request that is called and then left alone for longer than its timeout.
#[tokio::test(start_paused = true)]
async fn a_request_that_is_polled_past_its_deadline_is_not_run() {
    use tower::{Layer, Service, service_fn};
    let db = Resource::new("db", 1);
    let limiter = Limiter::new(Duration::from_secs(5), [&db]);
    let layer = limiter.resources([&db]).for_any_service();
    let mut service = layer.layer(service_fn(async |()| Ok::<_, tower::BoxError>("ran")));
    let held = limiter.try_acquire([&db]).expect("idle");
    let mut response = spawn(service.call(()));
    drop(held);
    tokio::time::advance(Duration::from_secs(60)).await;
    assert!(assert_ready!(response.poll()).is_err(), "55 s late");
    assert_eq!((db.in_use(), db.waiting()), (0, 0));
}
