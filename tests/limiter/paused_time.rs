//! One limiter in several tests, as a `static` is, each with a runtime and a time of its own.

use std::{sync::Barrier, thread, time::Duration};

use tokio::{
    runtime::{Builder, Runtime},
    time::{Instant, advance, sleep},
};
use tower_concurrency_limiter::{Limiter, Overload, Rate, Reason, Resource};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// As `#[tokio::test(start_paused = true)]`.
fn paused() -> Runtime {
    let mut builder = Builder::new_current_thread();
    let runtime = builder.enable_all().start_paused(true).build();
    runtime.expect("a runtime")
}

/// As `#[tokio::test]`.
fn real() -> Runtime {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime")
}

/// A request waits for as long as it may, by the clock of its test, and so does one that is
/// granted.
async fn wait_for(limiter: &Limiter, resource: &Resource, timeout: Duration) {
    let held = limiter.try_acquire([resource]).expect("idle");
    let start = Instant::now();
    let acquire = limiter.request([resource]).timeout(timeout).acquire();
    let rejection = acquire.await.expect_err("held");
    assert_eq!(rejection.reason(), Reason::Timeout);
    assert_eq!(rejection.waited(), timeout);
    assert_eq!(start.elapsed(), timeout);

    let acquire = limiter.request([resource]).timeout(2 * timeout).acquire();
    let release = async {
        sleep(timeout).await;
        drop(held);
    };
    let (granted, ()) = tokio::join!(acquire, release);
    drop(granted.expect("in time"));
    assert_eq!(start.elapsed(), 2 * timeout);
}

#[test]
fn tests_with_paused_time_follow_one_another() {
    let db = Resource::new("db", 1);
    let limiter = Limiter::new(5 * SECOND, [&db]);
    for ahead in [HOUR, Duration::ZERO, SECOND / 20, 10 * HOUR, Duration::ZERO] {
        paused().block_on(async {
            wait_for(&limiter, &db, 5 * SECOND).await;
            advance(ahead).await;
            wait_for(&limiter, &db, SECOND / 50).await;
            wait_for(&limiter, &db, 5 * SECOND).await;
        });
    }
}

#[test]
fn a_test_in_real_time_follows_one_with_paused_time() {
    let db = Resource::new("db", 1);
    let limiter = Limiter::new(5 * SECOND, [&db]);
    for _ in 0..3 {
        paused().block_on(async {
            wait_for(&limiter, &db, 5 * SECOND).await;
            advance(HOUR).await;
            drop(limiter.try_acquire([&db]).expect("idle"));
            wait_for(&limiter, &db, 5 * SECOND).await;
        });
        real().block_on(async {
            let held = limiter.try_acquire([&db]).expect("idle");
            let short = limiter.request([&db]).timeout(SECOND / 50).acquire();
            let rejection = short.await.expect_err("held");
            assert!((SECOND / 50..2 * SECOND).contains(&rejection.waited()));
            let (granted, ()) = tokio::join!(limiter.acquire([&db]), async {
                sleep(SECOND / 50).await;
                drop(held);
            });
            drop(granted.expect("in time"));
        });
    }
}

/// What one test does to its clock is nothing to the waiters of the others.
#[test]
fn tests_run_side_by_side_each_with_a_time_of_its_own() {
    const TESTS: usize = 4;
    let resources: Vec<_> = (0..TESTS)
        .map(|i| Resource::new(format!("r{i}"), 1))
        .collect();
    let limiter = Limiter::new(5 * SECOND, &resources);
    let start = Barrier::new(TESTS);
    thread::scope(|scope| {
        for (number, own) in resources.iter().enumerate() {
            let (limiter, start) = (&limiter, &start);
            scope.spawn(move || {
                paused().block_on(async {
                    start.wait();
                    for round in 0..100 {
                        wait_for(limiter, own, Duration::from_millis(1 + 7 * round)).await;
                        if round as usize % TESTS == number {
                            advance(HOUR).await;
                        }
                        tokio::task::yield_now().await;
                    }
                });
            });
        }
    });
}

/// A paused test with a waiter beside one that jumps ahead without ever waiting itself.
#[test]
fn a_waiter_is_kept_although_the_clock_of_another_test_jumps_ahead() {
    let db = Resource::new("db", 1);
    let api = Resource::builder("api").rate(Rate::per_hour(1)).build();
    let limiter = Limiter::new(5 * SECOND, [&db, &api]);
    let still = paused();
    let held = limiter.try_acquire([&db]).expect("idle");
    let mut waiting = Box::pin(limiter.acquire([&db]));
    still.block_on(async { assert!(futures_util::poll!(&mut waiting).is_pending()) });
    paused().block_on(async {
        for _ in 0..3 {
            drop(limiter.try_acquire([&api]).expect("an hour later"));
            advance(HOUR).await;
        }
    });
    assert_eq!(db.waiting(), 1, "its own clock stands still");
    drop(held);
    drop(still.block_on(waiting).expect("granted"));
}

#[test]
fn a_rate_goes_on_from_where_the_test_before_has_left_it() {
    let api = Resource::builder("api").rate(Rate::per_minute(1)).build();
    let limiter = Limiter::new(5 * SECOND, [&api]);
    for _ in 0..3 {
        paused().block_on(async {
            if let Err(rejection) = limiter.try_acquire([&api]) {
                let after = rejection.retry_after().expect("known");
                assert!(after <= 90 * SECOND, "spent by the test before: {after:?}");
                advance(60 * SECOND).await;
                drop(limiter.try_acquire([&api]).expect("a minute later"));
            }
            advance(HOUR).await;
            drop(limiter.try_acquire([&api]).expect("an hour later"));
            assert!(limiter.try_acquire([&api]).is_err(), "spent");
        });
    }
}

/// Everything else that is counted in time.
#[test]
fn credit_and_overload_mode_go_on() {
    let db = Resource::builder("db")
        .concurrency(1)
        .overload(Overload::default())
        .build();
    let limiter = Limiter::builder()
        .resources([&db])
        .priority_credit(SECOND)
        .build();
    for _ in 0..3 {
        paused().block_on(async {
            wait_for(&limiter, &db, 4 * SECOND).await;
            let held = limiter.try_acquire([&db]).expect("idle");
            let low = limiter.request([&db]).priority(1).acquire();
            let high = limiter.request([&db]).priority(200).acquire();
            let release = async {
                sleep(SECOND / 100).await;
                drop(held);
            };
            let (low, high, ()) = tokio::join!(
                async { low.await.map(|_| Instant::now()) },
                async { high.await.map(|_| Instant::now()) },
                release
            );
            assert!(low.is_ok() && high.is_ok());
            advance(HOUR).await;
        });
    }
}
