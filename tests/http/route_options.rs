//! What one route says about waiting: how long, behind how many, and who need not.

use std::{convert::Infallible, future::Future, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{Empty, Full};
use tokio::time::{Instant, advance};
use tokio_test::{assert_pending, assert_ready, task::spawn};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_concurrency_limiter::{
    ConcurrencyLimitLayer, Limiter, Permit, Reason, Rejection, Resource,
};

use crate::limited;
use test_support::http::get;

/// One request through the layer; `None` if it was served, else why not.
fn call(layer: ConcurrencyLimitLayer) -> impl Future<Output = Option<Rejection>> {
    send(layer, get("/"))
}

async fn send(layer: ConcurrencyLimitLayer, request: Request<Empty<Bytes>>) -> Option<Rejection> {
    let service = layer.layer(service_fn(|_: Request<Empty<Bytes>>| async {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("served")))
    }));
    let response = service.oneshot(request).await.expect("infallible");
    let rejection = response.extensions().get::<Rejection>().cloned();
    assert_eq!(
        response.status() == StatusCode::SERVICE_UNAVAILABLE,
        rejection.is_some(),
        "a 503 says why"
    );
    rejection
}

fn busy() -> (Resource, Limiter, ConcurrencyLimitLayer, Permit) {
    let (db, limiter, layer) = limited();
    let permit = limiter.try_acquire([&db]).expect("idle");
    (db, limiter, layer, permit)
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_as_long_as_the_limiter_says() {
    let (_db, _limiter, layer, _permit) = busy();
    let arrived = Instant::now();
    let rejection = call(layer).await.expect("rejected");
    assert_eq!(rejection.reason(), Reason::Timeout);
    assert_eq!(rejection.waited(), Duration::from_secs(5));
    assert_eq!(arrived.elapsed(), Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn a_route_has_a_timeout_of_its_own() {
    let (_db, _limiter, layer, _permit) = busy();
    let short = call(layer.clone().timeout(Duration::from_millis(300)));
    let long = call(layer.clone().timeout(Duration::from_secs(60)));
    let arrived = Instant::now();
    let ((short, short_at), (default, default_at), (long, long_at)) = tokio::join!(
        async { (short.await, arrived.elapsed()) },
        async { (call(layer).await, arrived.elapsed()) },
        async { (long.await, arrived.elapsed()) },
    );
    for (rejection, at, expected) in [
        (short, short_at, Duration::from_millis(300)),
        (default, default_at, Duration::from_secs(5)),
        (long, long_at, Duration::from_secs(60)),
    ] {
        assert_eq!(at, expected, "answered at its own deadline");
        assert_eq!(rejection.expect("rejected").waited(), expected);
    }
}

/// Later requests with earlier deadlines, and the other way round.
#[tokio::test(start_paused = true)]
async fn deadlines_in_any_order_are_kept() {
    let (db, _limiter, layer, _permit) = busy();
    let arrived = Instant::now();
    let seconds = [7, 3, 9, 1, 8, 2];
    let calls = seconds.map(|s| {
        let call = call(layer.clone().timeout(Duration::from_secs(s)));
        async move {
            let rejection = call.await.expect("rejected");
            assert_eq!(rejection.waited(), Duration::from_secs(s));
            assert_eq!(arrived.elapsed(), Duration::from_secs(s));
        }
    });
    futures_util::future::join_all(calls).await;
    assert_eq!(db.waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_of_zero_turns_away_at_once_when_busy() {
    let (db, _limiter, layer, permit) = busy();
    let layer = layer.timeout(Duration::ZERO);
    let rejection = assert_ready!(spawn(call(layer.clone())).poll()).expect("rejected");
    assert_eq!(rejection.reason(), Reason::NotNow);
    assert_eq!(rejection.waited(), Duration::ZERO);
    assert_eq!(db.waiting(), 0, "it never queued");
    drop(permit);
    assert!(call(layer).await.is_none(), "served when idle");
}

#[test]
fn a_timeout_of_zero_needs_no_runtime() {
    let (_db, _limiter, layer, _permit) = busy();
    let mut call = spawn(call(layer.timeout(Duration::ZERO)));
    assert!(assert_ready!(call.poll()).is_some());
}

#[tokio::test(start_paused = true)]
async fn huge_timeouts_wait_until_the_unit_is_free() {
    for huge in [
        Duration::MAX,
        Duration::from_secs(u64::MAX),
        Duration::from_nanos(u64::MAX),
        Duration::from_secs(1 << 40),
    ] {
        let (db, _limiter, layer, permit) = busy();
        let mut call = spawn(call(layer.timeout(huge)));
        assert_pending!(call.poll());
        advance(Duration::from_secs(86_400)).await;
        assert_pending!(call.poll(), "a day is not long");
        drop(permit);
        assert!(call.await.is_none(), "served");
        assert_eq!(db.in_use(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_huge_timeout_does_not_delay_the_short_ones() {
    let (_db, _limiter, layer, _permit) = busy();
    let mut patient = spawn(call(layer.clone().timeout(Duration::MAX)));
    assert_pending!(patient.poll());
    let arrived = Instant::now();
    assert!(call(layer).await.is_some());
    assert_eq!(arrived.elapsed(), Duration::from_secs(5));
    assert_pending!(patient.poll());
}

#[tokio::test(start_paused = true)]
async fn a_grant_at_the_instant_of_the_deadline_wins() {
    let (_db, _limiter, layer, permit) = busy();
    let mut call = spawn(call(layer));
    assert_pending!(call.poll());
    // Moves the clock; the timer would run at the second poll.
    assert_pending!(spawn(advance(Duration::from_secs(5))).poll());
    drop(permit);
    assert!(assert_ready!(call.poll()).is_none(), "served");
}

#[tokio::test(start_paused = true)]
async fn a_unit_that_comes_after_the_deadline_is_refused_even_if_no_timer_ran() {
    let (db, _limiter, layer, permit) = busy();
    let mut call = spawn(call(layer));
    assert_pending!(call.poll());
    assert_pending!(spawn(advance(Duration::from_millis(5_001))).poll());
    drop(permit);
    let rejection = assert_ready!(call.poll()).expect("a request past its deadline is never run");
    assert_eq!(rejection.reason(), Reason::Timeout);
    assert_eq!(db.in_use(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_queue_bound_of_the_route_turns_away_at_once() {
    let (db, _limiter, layer, permit) = busy();
    let narrow = layer.clone().max_waiting(2);
    let mut queued = [spawn(call(narrow.clone())), spawn(call(narrow.clone()))];
    for call in &mut queued {
        assert_pending!(call.poll());
    }
    let rejection = assert_ready!(spawn(call(narrow.clone())).poll()).expect("rejected");
    assert_eq!(rejection.reason(), Reason::QueueFull);
    assert_eq!(rejection.resource(), "db");
    assert_eq!(rejection.waited(), Duration::ZERO);

    let mut roomy = spawn(call(layer));
    assert_pending!(roomy.poll());
    assert_eq!(db.waiting(), 3, "the other route has the limiter's bound");
    drop(permit);
    for call in queued {
        assert!(call.await.is_none(), "served");
    }
    assert!(roomy.await.is_none(), "served");
    assert!(call(narrow).await.is_none(), "there is room again");
}

#[tokio::test(start_paused = true)]
async fn a_bound_of_zero_lets_nobody_wait() {
    let (_db, _limiter, layer, permit) = busy();
    let layer = layer.max_waiting(0);
    let rejection = assert_ready!(spawn(call(layer.clone())).poll()).expect("rejected");
    assert_eq!(rejection.reason(), Reason::QueueFull);
    drop(permit);
    assert!(call(layer).await.is_none(), "served when idle");
}

#[tokio::test(start_paused = true)]
async fn the_bounds_of_resource_and_limiter_hold_where_the_route_is_silent() {
    let db = Resource::builder("db")
        .concurrency(1)
        .max_waiting(1)
        .build();
    let fs = Resource::new("fs", 1);
    let limiter = Limiter::builder()
        .max_waiting(2)
        .resources([&db, &fs])
        .build();
    let _busy = limiter.acquire([&db, &fs]).await.expect("idle");
    let (on_db, on_fs) = (limiter.resources([&db]), limiter.resources([&fs]));
    let both = limiter.resources([&db, &fs]);

    let mut first = spawn(call(on_db.clone()));
    assert_pending!(first.poll());
    let refused = assert_ready!(spawn(call(on_db)).poll()).expect("rejected");
    assert_eq!(
        (refused.reason(), refused.resource()),
        (Reason::QueueFull, "db")
    );
    let refused = assert_ready!(spawn(call(both)).poll()).expect("rejected");
    assert_eq!(refused.resource(), "db", "a set counts at each resource");

    let mut queued = [spawn(call(on_fs.clone())), spawn(call(on_fs.clone()))];
    for call in &mut queued {
        assert_pending!(call.poll());
    }
    let refused = assert_ready!(spawn(call(on_fs)).poll()).expect("rejected");
    assert_eq!(
        (refused.reason(), refused.resource()),
        (Reason::QueueFull, "fs")
    );
    assert_eq!((db.waiting(), fs.waiting()), (1, 2));
}

/// Whoever leaves makes room.
#[tokio::test(start_paused = true)]
async fn a_dropped_request_leaves_the_queue() {
    let (db, _limiter, layer, _permit) = busy();
    let layer = layer.max_waiting(1);
    let mut first = spawn(call(layer.clone()));
    assert_pending!(first.poll());
    drop(first);
    assert_eq!(db.waiting(), 0);
    assert_pending!(spawn(call(layer)).poll(), "there is room");
}

#[tokio::test(start_paused = true)]
async fn bypassing_requests_wait_for_nothing_and_hold_nothing() {
    let (db, _limiter, layer, _permit) = busy();
    let layer = layer.bypass(|head| head.uri().path() == "/health");
    assert_eq!(db.in_use(), 1);
    assert!(
        send(layer.clone(), get("/health")).await.is_none(),
        "served"
    );
    assert_eq!(db.in_use(), 1, "only the other one");
    let mut limited = spawn(send(layer, get("/rows")));
    assert_pending!(limited.poll(), "the others wait");
}

#[tokio::test]
async fn bypassing_requests_do_not_count_while_they_run() {
    let (db, _limiter, layer) = limited();
    let layer = layer.bypass(|_| true);
    let seen = db.clone();
    let mut service =
        layer.layer(service_fn(move |_: Request<Empty<Bytes>>| {
            let db = seen.clone();
            async move {
                Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(db.in_use().to_string())))
            }
        }));
    let response = service.ready().await.expect("ready").call(get("/")).await;
    let response = test_support::http::collect(response.expect("infallible")).await;
    assert_eq!(response.body(), "0");
}

/// Options change the copy of the layer they are called on.
#[tokio::test(start_paused = true)]
async fn options_do_not_leak_into_clones() {
    let (_db, _limiter, layer, _permit) = busy();
    let hasty = layer.clone().timeout(Duration::ZERO);
    assert!(assert_ready!(spawn(call(hasty)).poll()).is_some());
    assert_pending!(spawn(call(layer)).poll(), "the original waits");
}

/// They may be called in any order, before and after the permit's end was chosen.
#[tokio::test(start_paused = true)]
async fn options_survive_release_at_head() {
    let (_db, _limiter, layer, _permit) = busy();
    let layer = layer
        .timeout(Duration::from_secs(1))
        .max_waiting(1)
        .release_at_head();
    let service = layer.layer(service_fn(|_: Request<Empty<Bytes>>| async {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("served")))
    }));
    let reason = |response: Result<Response<_>, Infallible>| {
        let response: Response<Full<Bytes>> = response.expect("infallible");
        let rejection = response.extensions().get::<Rejection>().cloned();
        rejection.expect("rejected")
    };
    let mut first = spawn(service.clone().oneshot(get("/")));
    assert_pending!(first.poll());
    let second = service.oneshot(get("/")).await;
    assert_eq!(reason(second).reason(), Reason::QueueFull);
    let first = reason(first.await);
    assert_eq!(
        (first.reason(), first.waited()),
        (Reason::Timeout, Duration::from_secs(1))
    );
}
