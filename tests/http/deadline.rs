//! Requests that say how long they have.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{Empty, Full};
use tokio::time::{Instant, advance};
use tokio_test::{assert_pending, assert_ready_err, task::spawn};
use tower::{Layer, ServiceExt, service_fn};
use tower_concurrency_limiter::{
    ConcurrencyLimitLayer, Limiter, Permit, Reason, Rejection, Resource,
};

use crate::limited;
use test_support::http::get;

const SECOND: Duration = Duration::from_secs(1);

/// A layer whose requests say in milliseconds how long they have.
fn by_header(layer: ConcurrencyLimitLayer) -> ConcurrencyLimitLayer {
    layer.fail_fast_deadline(|request| {
        let header = request.headers().get("x-timeout-ms")?;
        let millis = header.to_str().ok()?.parse().ok()?;
        Some(Duration::from_millis(millis))
    })
}

/// Why the request was turned away, and when.
async fn send(layer: ConcurrencyLimitLayer, millis: &str) -> (Option<Rejection>, Duration) {
    let start = Instant::now();
    let service = by_header(layer).layer(service_fn(|_: Request<Empty<Bytes>>| async {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("served")))
    }));
    let mut request = get("/");
    let value = http::HeaderValue::from_str(millis).expect("ascii");
    request.headers_mut().insert("x-timeout-ms", value);
    let response = service.oneshot(request).await.expect("infallible");
    (response.extensions().get().cloned(), start.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_no_longer_than_it_has_nor_than_the_route_allows() {
    let (db, limiter, layer) = limited();
    let _held = limiter.try_acquire([&db]).expect("idle");
    use Reason::{NotNow, Timeout};
    for (said, reason, expected) in [
        ("700", Timeout, Duration::from_millis(700)),
        ("5000", Timeout, 5 * SECOND),
        ("5001", Timeout, 5 * SECOND),
        ("18446744073709551615", Timeout, 5 * SECOND),
        ("99999999999999999999", Timeout, 5 * SECOND), // no number: the timeout of the route
        ("-1", Timeout, 5 * SECOND),
        ("soon", Timeout, 5 * SECOND),
        ("0", NotNow, Duration::ZERO),
    ] {
        let (rejection, after) = send(layer.clone(), said).await;
        let rejection = rejection.expect("busy");
        assert_eq!(rejection.reason(), reason, "{said}");
        assert_eq!(after, expected, "{said}");
        assert_eq!(rejection.waited(), expected, "{said}");
    }
    assert_eq!(db.waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_route_may_be_shorter() {
    let (db, limiter, layer) = limited();
    let _held = limiter.try_acquire([&db]).expect("idle");
    let layer = layer.timeout(SECOND);
    assert_eq!(send(layer, "3000").await.1, SECOND);
}

#[tokio::test(start_paused = true)]
async fn no_time_is_enough_where_there_is_room() {
    let (_db, _limiter, layer) = limited();
    assert!(send(layer, "0").await.0.is_none(), "served");
}

/// One unit, of which a grant takes half a second, measured over some seconds; `waiting` wait.
async fn draining(waiting: usize) -> (Resource, Limiter, impl Sized) {
    let db = Resource::new("db", 1);
    let limiter = Limiter::new(60 * SECOND, [&db]);
    let mut held = Some(limiter.try_acquire([&db]).expect("idle"));
    let mut queue = std::collections::VecDeque::new();
    for _ in 0..waiting + 8 {
        let mut acquire = spawn(limiter.acquire([&db]));
        assert_pending!(acquire.poll());
        queue.push_back(acquire);
    }
    for _ in 0..8 {
        advance(SECOND / 2).await;
        drop(held.take());
        let mut next = queue.pop_front().expect("eight and more");
        held = Some(tokio_test::assert_ready_ok!(next.poll()));
    }
    assert_eq!(db.waiting(), waiting);
    (db, limiter, (held, queue))
}

/// Ten wait, and two are served per second.
#[tokio::test(start_paused = true)]
async fn who_cannot_be_served_in_time_is_told_at_once() {
    let (db, limiter, _queue) = draining(10).await;
    let start = Instant::now();
    let hopeless = limiter
        .request([&db])
        .fail_fast_deadline(4 * SECOND)
        .acquire();
    let rejection = hopeless.await.expect_err("5 s to wait, at the least");
    assert_eq!(rejection.reason(), Reason::WouldTimeOut);
    assert_eq!(
        (rejection.waited(), start.elapsed()),
        (Duration::ZERO, Duration::ZERO)
    );
    let after = rejection.retry_after().expect("known by now");
    assert!((5 * SECOND..=6 * SECOND).contains(&after), "{after:?}");

    let (rejection, after) = send(limiter.resources([&db]), "4000").await;
    assert_eq!(rejection.expect("hopeless").reason(), Reason::WouldTimeOut);
    assert_eq!(after, Duration::ZERO, "through the layer, too");
}

#[tokio::test(start_paused = true)]
async fn who_may_be_served_in_time_waits() {
    let (db, limiter, _queue) = draining(10).await;
    for request in [
        limiter.request([&db]).fail_fast_deadline(6 * SECOND),
        limiter
            .request([&db])
            .fail_fast_deadline(4 * SECOND)
            .priority(200), // before all others
        limiter.request([&db]).timeout(4 * SECOND), // a timeout is only a bound
    ] {
        assert_pending!(spawn(request.acquire()).poll());
    }
}

/// Nothing is known of a queue that has not drained yet, so there is hope.
#[tokio::test(start_paused = true)]
async fn an_unknown_pace_is_no_reason_to_turn_away() {
    let (db, limiter, _layer) = limited();
    let _held: Permit = limiter.try_acquire([&db]).expect("idle");
    let mut waiting = spawn(limiter.request([&db]).fail_fast_deadline(SECOND).acquire());
    assert_pending!(waiting.poll());
    advance(SECOND).await;
    tokio::task::yield_now().await;
    assert_eq!(assert_ready_err!(waiting.poll()).waited(), SECOND);
}
