//! How often a resource may be used: who waits for time to pass, and what is spent on whom.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{Empty, Full};
use tokio::{
    runtime::Builder,
    time::{Instant, advance},
};
use tokio_test::{assert_pending, assert_ready_ok, task::spawn};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_concurrency_limiter::{
    Limiter, Permit, Rate, Reason, Rejection, Resource, limiter::LimiterBuilder,
};

use test_support::http::get;

const SECOND: Duration = Duration::from_secs(1);

fn limited_to(rate: Rate) -> (Resource, Limiter) {
    let api = Resource::builder("api").rate(rate).build();
    let limiter = Limiter::new(60 * SECOND, [&api]);
    (api, limiter)
}

/// Takes as many as there are.
fn spend(limiter: &Limiter, api: &Resource) -> usize {
    std::iter::from_fn(|| limiter.try_acquire([api]).ok()).count()
}

/// A future that counts how often it is polled.
async fn counting<F: Future>(polls: &AtomicUsize, future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|cx: &mut Context<'_>| {
        polls.fetch_add(1, Ordering::SeqCst);
        future.as_mut().poll(cx)
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn a_waiter_is_woken_when_the_rate_lets_it_go_and_not_before() {
    let (api, limiter) = limited_to(Rate::new(2, 10 * SECOND));
    assert_eq!(spend(&limiter, &api), 2);
    advance(4 * SECOND).await;
    let start = Instant::now();
    let polls = AtomicUsize::new(0);
    let permit = counting(&polls, limiter.acquire([&api])).await;
    assert_eq!(start.elapsed(), 6 * SECOND, "when the window has passed");
    assert_eq!(polls.into_inner(), 2, "on arrival and when it was granted");
    drop(permit.expect("in time"));
    assert_eq!((api.in_use(), api.waiting()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn waiters_go_in_order_as_the_window_lets_them() {
    let (api, limiter) = limited_to(Rate::new(2, 10 * SECOND));
    let start = Instant::now();
    let went = (0..7).map(|_| async {
        let permit = limiter.acquire([&api]).await.expect("in time");
        drop(permit);
        start.elapsed().as_secs()
    });
    let went = futures_util::future::join_all(went).await;
    assert_eq!(went, [0, 0, 10, 10, 20, 20, 30]);
}

/// No more than the count in any window, wherever it starts.
#[tokio::test(start_paused = true)]
async fn the_window_may_start_anywhere() {
    let (api, limiter) = limited_to(Rate::new(3, 10 * SECOND));
    let mut admitted = Vec::new();
    for second in 0..40_u64 {
        admitted.extend(limiter.try_acquire([&api]).ok().map(|_| second));
        advance(SECOND).await;
    }
    let most = (0..40_u64).map(|from| {
        let window = from..from + 10;
        admitted.iter().filter(|&at| window.contains(at)).count()
    });
    assert_eq!(most.max(), Some(3));
    assert_eq!(
        admitted.len(),
        12,
        "and as many as that allows: {admitted:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_burst_passes_at_once_and_then_one_by_one() {
    let (api, limiter) = limited_to(Rate::per_second(10).burst(3));
    let start = Instant::now();
    let mut went = Vec::new();
    for _ in 0..6 {
        drop(limiter.acquire([&api]).await.expect("in time"));
        went.push(start.elapsed().as_millis());
    }
    assert_eq!(went, [0, 0, 0, 100, 200, 300]);
}

#[tokio::test(start_paused = true)]
async fn a_smooth_rate_paces() {
    let (api, limiter) = limited_to(Rate::per_second(10).smooth());
    assert_eq!(spend(&limiter, &api), 1);
    advance(SECOND).await;
    assert_eq!(spend(&limiter, &api), 1, "a pause saves nothing up");
}

#[tokio::test(start_paused = true)]
async fn there_need_not_be_a_limit_on_concurrency() {
    let (api, limiter) = limited_to(Rate::per_minute(1_000));
    assert_eq!(api.limit(), None);
    let held: Vec<Permit> = (0..1_000)
        .map(|_| limiter.try_acquire([&api]).expect("below the rate"))
        .collect();
    assert_eq!(api.in_use(), 1_000);
    assert!(limiter.try_acquire([&api]).is_err());
    drop(held);
    assert_eq!(api.in_use(), 0);
    assert!(
        limiter.try_acquire([&api]).is_err(),
        "what is spent is spent"
    );
}

#[tokio::test(start_paused = true)]
async fn all_constraints_hold_at_once() {
    let api = Resource::builder("api")
        .concurrency(2)
        .rate(Rate::per_second(3))
        .rate(Rate::per_minute(4))
        .load_rate(Rate::per_minute(100))
        .build();
    let limiter = Limiter::new(120 * SECOND, [&api]);
    let two = [limiter.try_acquire([&api]), limiter.try_acquire([&api])];
    assert!(two.iter().all(Result::is_ok));
    let full = limiter.try_acquire([&api]).expect_err("concurrency");
    assert!(!full.is_rate_limited());
    drop(two);
    drop(
        limiter
            .try_acquire([&api])
            .expect("the third of this second"),
    );
    let fast = limiter.try_acquire([&api]).expect_err("the first rate");
    assert!(fast.is_rate_limited());
    assert_eq!(fast.retry_after(), Some(SECOND));
    advance(SECOND).await;
    let heavy = limiter.request([&api]).load(98).try_acquire();
    assert!(heavy.expect_err("the load rate").is_rate_limited());
    drop(
        limiter
            .request([&api])
            .load(97)
            .try_acquire()
            .expect("fits"),
    );
    let slow = limiter.try_acquire([&api]).expect_err("the second rate");
    assert_told(&slow, 59 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_spent_rate_refuses_at_once_and_knows_when_to_come_back() {
    let (api, limiter) = limited_to(Rate::per_minute(2));
    assert_eq!(spend(&limiter, &api), 2);
    advance(Duration::from_millis(17_500)).await;
    let rejection = limiter.try_acquire([&api]).expect_err("spent");
    assert_eq!(rejection.reason(), Reason::NotNow);
    assert!(rejection.is_rate_limited());
    assert_eq!(rejection.waited(), Duration::ZERO);
    assert_told(&rejection, Duration::from_millis(42_500));
    advance(Duration::from_millis(42_500)).await;
    assert!(limiter.try_acquire([&api]).is_ok(), "not before");
}

/// Room for the rate, but not for the rest of the set.
#[tokio::test(start_paused = true)]
async fn a_request_that_is_not_admitted_spends_nothing() {
    let api = Resource::builder("api").rate(Rate::per_minute(2)).build();
    let db = Resource::new("db", 1);
    for order in [[&api, &db], [&db, &api]] {
        let limiter = Limiter::new(5 * SECOND, order);
        let busy = limiter.try_acquire([&db]).expect("idle");
        for _ in 0..10 {
            let refused = limiter.try_acquire(order).expect_err("db is busy");
            assert_eq!(
                (refused.resource(), refused.is_rate_limited()),
                ("db", false)
            );
        }
        let late = limiter.acquire(order).await.expect_err("db stays busy");
        assert!(!late.is_rate_limited());
        let mut gives_up = spawn(limiter.acquire(order));
        assert_pending!(gives_up.poll());
        drop(gives_up);
        drop(busy);
        assert_eq!(spend(&limiter, &api), 2, "all of the rate is there");
        advance(60 * SECOND).await;
    }
}

/// A set waits for the slower of its resources, and takes both at once.
#[tokio::test(start_paused = true)]
async fn a_set_of_a_rate_and_a_limit_is_granted_when_both_allow_it() {
    let api = Resource::builder("api")
        .rate(Rate::new(1, 10 * SECOND))
        .build();
    let db = Resource::new("db", 1);
    let limiter = Limiter::new(60 * SECOND, [&api, &db]);
    let first = limiter.try_acquire([&api, &db]).expect("idle");
    let mut second = spawn(limiter.acquire([&api, &db]));
    assert_pending!(second.poll());
    drop(first);
    assert!(!second.is_woken(), "the rate is spent");
    assert_eq!(db.in_use(), 0);
    let passing = limiter.try_acquire([&db]);
    assert!(passing.is_ok(), "who waits for a rate keeps nobody from db");
    advance(10 * SECOND).await;
    tokio::task::yield_now().await;
    assert_pending!(second.poll(), "now db is busy");
    drop(passing);
    assert!(second.is_woken());
    drop(assert_ready_ok!(second.poll()));
}

#[tokio::test(start_paused = true)]
async fn a_grant_that_nobody_collects_is_refunded() {
    let (api, limiter) = limited_to(Rate::new(1, 10 * SECOND));
    assert_eq!(spend(&limiter, &api), 1);
    let mut dropped = spawn(limiter.acquire([&api]));
    assert_pending!(dropped.poll());
    let mut next = spawn(limiter.acquire([&api]));
    assert_pending!(next.poll());
    advance(10 * SECOND).await;
    tokio::task::yield_now().await;
    assert!(dropped.is_woken(), "granted");
    assert!(!next.is_woken());
    advance(3 * SECOND).await;
    drop(dropped);
    assert!(next.is_woken(), "the next one gets it at once");
    let permit = assert_ready_ok!(next.poll());
    drop(permit);
    let start = Instant::now();
    assert!(limiter.acquire([&api]).await.is_ok());
    assert_eq!(start.elapsed(), 10 * SECOND, "spent just before");
}

/// A permit has the load that its request declared, whatever its resources make of it.
#[tokio::test(start_paused = true)]
async fn a_permit_keeps_the_load_of_its_request() {
    let plain = || Resource::builder("plain").concurrency(1);
    for db in [
        plain().build(),
        plain().reserve(1, 0).build(),
        plain().rate(Rate::per_second(1_000)).build(),
        plain().load_rate(Rate::per_second(100_000)).build(),
        plain().dry_run().build(),
    ] {
        let fs = Resource::new("fs", 1);
        let limiter = Limiter::new(60 * SECOND, [&db, &fs]);
        for set in [vec![&db], vec![&db, &fs]] {
            let request = || limiter.request(set.clone()).load(2_000);
            let settled = |mut permit: Permit| {
                assert_eq!(permit.load(), 2_000, "{db:?}");
                permit.settle_load(1_200);
                assert_eq!(permit.load(), 1_200, "{db:?}");
                permit.settle_load(0);
                assert_eq!(permit.load(), 0, "{db:?}");
                permit
            };
            let first = settled(request().try_acquire().expect("idle"));
            let mut waiting = spawn(request().acquire());
            let polled = waiting.poll();
            drop(first);
            drop(settled(match polled {
                std::task::Poll::Ready(permit) => permit.expect("a dry run"),
                std::task::Poll::Pending => waiting.await.expect("granted"),
            }));
            drop(settled(request().acquire().await.expect("idle")));
            let undeclared = limiter.acquire(set.clone()).await.expect("idle");
            assert_eq!(undeclared.load(), 1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn load_that_was_not_used_comes_back() {
    let api = Resource::builder("api")
        .load_rate(Rate::per_minute(100))
        .build();
    let limiter = Limiter::new(120 * SECOND, [&api]);
    let mut permit = limiter
        .request([&api])
        .load(90)
        .try_acquire()
        .expect("idle");
    assert_eq!(permit.load(), 90);
    let mut waiting = spawn(limiter.request([&api]).load(50).acquire());
    assert_pending!(waiting.poll());
    permit.settle_load(51);
    assert!(!waiting.is_woken(), "one too many");
    permit.settle_load(50);
    assert_eq!(permit.load(), 50);
    assert!(waiting.is_woken(), "at once");
    drop(assert_ready_ok!(waiting.poll()));
}

#[tokio::test(start_paused = true)]
async fn load_beyond_the_estimate_is_a_debt() {
    let api = Resource::builder("api")
        .load_rate(Rate::per_minute(100))
        .build();
    let limiter = Limiter::new(300 * SECOND, [&api]);
    let mut permit = limiter
        .request([&api])
        .load(10)
        .try_acquire()
        .expect("idle");
    advance(30 * SECOND).await;
    permit.settle_load(200); // counts as 100, what passes in a whole period
    drop(permit);
    let start = Instant::now();
    drop(limiter.acquire([&api]).await.expect("in time"));
    assert_eq!(start.elapsed(), 30 * SECOND, "the estimate has left");
    let large = limiter.request([&api]).load(50).acquire().await;
    drop(large.expect("in time"));
    assert_eq!(start.elapsed(), 60 * SECOND, "paid off");
}

/// Up and down again: what was said last is what is spent.
#[tokio::test(start_paused = true)]
async fn a_load_may_be_settled_more_than_once() {
    let api = Resource::builder("api")
        .load_rate(Rate::per_minute(100))
        .build();
    let limiter = Limiter::new(300 * SECOND, [&api]);
    let mut permit = limiter
        .request([&api])
        .load(10)
        .try_acquire()
        .expect("idle");
    for actual in [100, 0, u64::MAX, 7, 40] {
        advance(Duration::from_millis(1)).await;
        permit.settle_load(actual);
    }
    drop(permit);
    let is_free = |load| limiter.request([&api]).load(load).try_acquire().is_ok();
    assert!(!is_free(61), "what was said last is spent");
    assert!(is_free(60), "and nothing else");
    let mut streamed = limiter.request([&api]).load(0).try_acquire().expect("free");
    advance(120 * SECOND).await;
    for tokens in 0..100 {
        advance(Duration::from_millis(1)).await;
        streamed.settle_load(tokens);
    }
    assert!(!is_free(2), "a hundred small steps");
    assert!(is_free(1));
}

#[tokio::test(start_paused = true)]
async fn more_than_can_ever_pass_waits_for_an_empty_window() {
    let api = Resource::builder("api")
        .load_rate(Rate::per_minute(100))
        .build();
    let limiter = Limiter::new(300 * SECOND, [&api]);
    drop(limiter.request([&api]).load(1).try_acquire().expect("idle"));
    let start = Instant::now();
    let huge = limiter.request([&api]).load(u64::MAX).acquire().await;
    assert_eq!(start.elapsed(), 60 * SECOND);
    drop(huge.expect("passes alone"));
    drop(limiter.acquire([&api]).await.expect("in time"));
    assert_eq!(start.elapsed(), 120 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_load_of_nothing_is_not_kept_by_a_load_rate() {
    let api = Resource::builder("api")
        .load_rate(Rate::per_minute(1))
        .build();
    let limiter = Limiter::new(5 * SECOND, [&api]);
    assert_eq!(spend(&limiter, &api), 1, "a request counts as 1");
    let free = limiter.request([&api]).load(0).try_acquire();
    assert!(free.is_ok());
}

/// Not before the rate allows it. Who was refused after another is asked to come back later.
fn assert_told(rejection: &Rejection, ready: Duration) {
    let after = rejection.retry_after().expect("a rate knows");
    assert!((ready..=2 * ready).contains(&after), "{after:?}");
}

fn answers(builder: LimiterBuilder) -> impl Future<Output = [Response<()>; 2]> {
    let api = Resource::builder("api")
        .concurrency(1)
        .rate(Rate::per_minute(1))
        .build();
    let limiter = builder.resources([&api]).timeout(SECOND).build();
    let layer = limiter.resources([&api]).load(|_| 1);
    async move {
        let service = layer.layer(service_fn(|_: Request<Empty<Bytes>>| async {
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("served")))
        }));
        let served = service.clone().oneshot(get("/")).await.expect("infallible");
        let busy = service.clone().oneshot(get("/")).await.expect("infallible");
        drop(served);
        let spent = service.oneshot(get("/")).await.expect("infallible");
        [busy, spent].map(|response| response.map(drop))
    }
}

#[tokio::test(start_paused = true)]
async fn a_rate_is_answered_like_any_limit() {
    for response in answers(Limiter::builder()).await {
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        let why: &Rejection = response.extensions().get().expect("always there");
        assert!(why.is_rate_limited());
    }
}

#[tokio::test(start_paused = true)]
async fn a_rate_is_answered_with_429_on_request() {
    let [_, spent] = answers(Limiter::builder().reject_with_too_many_requests()).await;
    assert_eq!(spent.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_told(spent.extensions().get().expect("always there"), 58 * SECOND);

    let full = answers(
        Limiter::builder()
            .reject_with_too_many_requests()
            .max_waiting(0),
    )
    .await;
    for response in full {
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        let why: &Rejection = response.extensions().get().expect("always there");
        assert_eq!(why.reason(), Reason::QueueFull);
        assert_told(why, 60 * SECOND);
        let header = response.headers()["retry-after"].to_str().expect("ascii");
        let rounded_up = why.retry_after().expect("known").as_secs_f64().ceil();
        assert_eq!(header.parse(), Ok(rounded_up as u64));
    }

    let db = Resource::new("db", 1);
    let limiter = Limiter::builder()
        .reject_with_too_many_requests()
        .resources([&db])
        .build();
    let _held = limiter.try_acquire([&db]).expect("idle");
    let busy = limiter.try_acquire([&db]).expect_err("busy");
    assert_eq!(busy.response().status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test(start_paused = true)]
async fn the_body_of_a_429() {
    let api = Resource::builder("api").rate(Rate::per_minute(1)).build();
    let limiter = Limiter::builder()
        .reject_with_too_many_requests()
        .resources([&api])
        .build();
    assert_eq!(spend(&limiter, &api), 1);
    let spent = limiter.try_acquire([&api]).expect_err("spent");
    assert_told(&spent, 60 * SECOND);
    let response = spent.response();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.headers()["content-type"], "application/json");
    assert!(response.headers().contains_key("retry-after"));
    let body = r#"{"detail":"Too many requests, please retry later"}"#;
    assert_eq!(response.body(), body);
}

#[tokio::test(start_paused = true)]
async fn another_rate_wakes_at_once() {
    let (api, limiter) = limited_to(Rate::per_minute(1));
    assert_eq!(spend(&limiter, &api), 1);
    let mut first = spawn(limiter.acquire([&api]));
    let mut second = spawn(limiter.acquire([&api]));
    assert_pending!(first.poll());
    assert_pending!(second.poll());
    api.set_rate(Rate::per_minute(2)).expect("it has one");
    assert!(
        first.is_woken() && !second.is_woken(),
        "one more, and the first"
    );
    drop(assert_ready_ok!(first.poll()));
    api.set_rate(Rate::new(2, 10 * SECOND)).expect("it has one");
    let start = Instant::now();
    assert!(second.await.is_ok());
    assert_eq!(
        start.elapsed(),
        10 * SECOND,
        "the timer follows the new rate"
    );
}

#[tokio::test(start_paused = true)]
async fn a_lower_rate_counts_what_was_admitted_before() {
    let (api, limiter) = limited_to(Rate::per_minute(10));
    for _ in 0..5 {
        drop(limiter.try_acquire([&api]).expect("below the rate"));
    }
    api.set_rate(Rate::per_minute(5)).expect("it has one");
    assert!(limiter.try_acquire([&api]).is_err());
    api.set_rate(Rate::per_minute(6)).expect("it has one");
    assert_eq!(spend(&limiter, &api), 1);
}

/// What is admitted at a late first poll is spent then, not when the call was made.
#[tokio::test(start_paused = true)]
async fn a_late_first_poll_spends_now() {
    let api = Resource::builder("api")
        .rate(Rate::new(1, 10 * SECOND))
        .build();
    let db = Resource::new("db", 1);
    let limiter = Limiter::new(60 * SECOND, [&api, &db]);
    let serve = service_fn(|_: Request<Empty<Bytes>>| async {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("served")))
    });
    let mut service = limiter.resources([&api]).layer(serve);
    drop(limiter.try_acquire([&api]).expect("idle"));
    advance(9 * SECOND).await;
    let mut late = spawn(service.call(get("/"))); // not admitted, and not polled yet
    advance(4 * SECOND).await;
    let busy = limiter.try_acquire([&db]);
    assert!(
        limiter.try_acquire([&api, &db]).is_err(),
        "sees that the rate has room"
    );
    drop(busy);
    assert_ready_ok!(late.poll());
    let spent = limiter.try_acquire([&api]).expect_err("spent");
    // The set that was refused before has been asked to retry at the earliest time.
    let retry_after = spent.retry_after().expect("known");
    assert!((10 * SECOND..=20 * SECOND).contains(&retry_after));
}

/// Each thread reads the clock before it has the lock, so readings overtake each other.
#[test]
fn threads_that_race_for_a_rate_never_exceed_it() {
    let (api, limiter) = limited_to(Rate::per_hour(10_000));
    let admitted = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5_000 {
                    let permit = limiter.try_acquire([&api]);
                    admitted.fetch_add(usize::from(permit.is_ok()), Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(admitted.into_inner(), 10_000);
    assert_eq!(api.in_use(), 0);
}

/// In real time, and on either kind of runtime.
#[test]
fn a_rate_wakes_on_every_runtime() {
    for mut builder in [Builder::new_current_thread(), Builder::new_multi_thread()] {
        let runtime = builder.enable_time().worker_threads(2).build();
        let runtime = runtime.expect("a runtime");
        let (api, limiter) = limited_to(Rate::new(1, Duration::from_millis(30)));
        assert_eq!(spend(&limiter, &api), 1);
        let polls = Arc::new(AtomicUsize::new(0));
        let polled = Arc::clone(&polls);
        let waiter = runtime.spawn(async move {
            for _ in 0..3 {
                let permit = counting(&polled, limiter.acquire([&api])).await;
                drop(permit.expect("in time"));
            }
        });
        runtime.block_on(waiter).expect("woken by time");
        assert!(polls.load(Ordering::SeqCst) <= 6, "not by polling");
    }
}

/// The timer that the first waiter started looks later than the rate lets the second one go.
#[tokio::test(start_paused = true)]
async fn the_earliest_of_many_events_is_not_missed() {
    let slow = Resource::builder("slow")
        .rate(Rate::new(1, 50 * SECOND))
        .build();
    let fast = Resource::builder("fast")
        .rate(Rate::new(1, 2 * SECOND))
        .build();
    let limiter = Limiter::new(600 * SECOND, [&slow, &fast]);
    drop(limiter.try_acquire([&slow, &fast]).expect("idle"));
    let start = Instant::now();
    let wait = |resource: &Resource| {
        let permit = limiter.acquire([resource]);
        async move {
            drop(permit.await.expect("in time"));
            start.elapsed()
        }
    };
    let mut first = spawn(wait(&slow));
    assert_pending!(first.poll());
    tokio::task::yield_now().await;
    assert_eq!(wait(&fast).await, 2 * SECOND);
    assert!(matches!(first.poll(), Poll::Pending));
    assert_eq!(first.await, 50 * SECOND);
}

/// A deadline before the rate lets it go: it is told that it was the rate.
#[tokio::test(start_paused = true)]
async fn a_deadline_comes_first() {
    let (api, limiter) = limited_to(Rate::per_minute(1));
    assert_eq!(spend(&limiter, &api), 1);
    let short = limiter.request([&api]).timeout(5 * SECOND).acquire().await;
    let short = short.expect_err("not in time");
    assert_eq!(short.reason(), Reason::Timeout);
    assert_eq!(short.waited(), 5 * SECOND);
    assert!(short.is_rate_limited());
    assert_told(&short, 55 * SECOND);
    let mut over = spawn(limiter.acquire([&api]));
    assert_pending!(over.poll());
    drop(over);
    assert_eq!(api.waiting(), 0);
}

/// Each runtime that waits has to look after itself: the other one stands still meanwhile.
#[test]
fn a_rate_wakes_while_another_runtime_stands_still() {
    let runtime = || Builder::new_current_thread().enable_time().build();
    let (one, two) = (runtime().expect("one"), runtime().expect("two"));
    let (api, limiter) = limited_to(Rate::new(1, Duration::from_millis(30)));
    assert_eq!(spend(&limiter, &api), 1);
    let mut first = Box::pin(limiter.acquire([&api]));
    one.block_on(async { assert!(futures_util::poll!(&mut first).is_pending()) });
    let mut second = Box::pin(limiter.acquire([&api]));
    two.block_on(async {
        assert!(futures_util::poll!(&mut second).is_pending());
        tokio::time::sleep(Duration::from_millis(60)).await;
    });
    assert!(one.block_on(first).is_ok(), "granted meanwhile");
    assert!(two.block_on(second).is_ok());
}

/// Whatever one request says of itself, the rate is open again after a period.
#[tokio::test(start_paused = true)]
async fn no_load_closes_a_rate_for_ever() {
    let rates = [
        Rate::per_minute(90_000),
        Rate::per_minute(90_000).burst(1_000),
    ];
    for rate in rates {
        let api = Resource::builder("api").load_rate(rate).build();
        let limiter = Limiter::new(SECOND, [&api]);
        let greedy = limiter.request([&api]).load(u64::MAX).try_acquire();
        let mut greedy = greedy.expect("nothing was spent");
        assert_eq!(greedy.load(), 90_000);
        assert!(limiter.try_acquire([&api]).is_err());
        advance(60 * SECOND).await;
        drop(limiter.try_acquire([&api]).expect("a period later"));
        greedy.settle_load(u64::MAX);
        assert_eq!(greedy.load(), 90_000, "as much as was charged");
    }
}

/// Up beyond what counts, and down again: what is refunded is what was charged.
#[tokio::test(start_paused = true)]
async fn a_debt_beyond_what_counts_is_refunded_as_it_was_charged() {
    let api = Resource::builder("api")
        .load_rate(Rate::per_minute(100))
        .build();
    let limiter = Limiter::new(SECOND, [&api]);
    let ten = limiter.request([&api]).load(10).try_acquire();
    let mut permit = ten.expect("idle");
    permit.settle_load(200);
    permit.settle_load(50);
    let is_free = |load| limiter.request([&api]).load(load).try_acquire().is_ok();
    assert!(!is_free(51));
    assert!(is_free(50));
}

/// Who waits behind one that a rate has kept was kept by it, too.
#[tokio::test(start_paused = true)]
async fn behind_a_rate_is_rate_limited_too() {
    let api = Resource::builder("api")
        .load_rate(Rate::per_minute(100))
        .build();
    let limiter = Limiter::new(30 * SECOND, [&api]);
    let half = limiter.request([&api]).load(50).try_acquire();
    drop(half.expect("idle"));
    let mut whole = spawn(limiter.request([&api]).load(100).acquire());
    assert_pending!(whole.poll());
    let small = limiter.try_acquire([&api]).expect_err("behind the whole");
    assert!(small.is_rate_limited());
}
