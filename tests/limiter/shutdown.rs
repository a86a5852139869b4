//! Closing a limiter, and waiting until nothing is held.

use std::{convert::Infallible, task::Poll, time::Duration};

use axum::{Router, body::Body, response::IntoResponse, routing};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use tokio_test::{assert_pending, assert_ready, assert_ready_err, task::spawn};
use tower::{Layer, ServiceExt, service_fn};
use tower_concurrency_limiter::{Limiter, PermitHandle, Rate, Reason, Rejection, Resource};

use test_support::http::{data, shared, streamed};

const SECOND: Duration = Duration::from_secs(1);

/// One unit of something plain, and of something with more to it.
fn each_kind() -> [(Resource, Limiter); 2] {
    let db = || Resource::builder("db").concurrency(1);
    [db().build(), db().rate(Rate::per_second(1_000)).build()].map(|db| {
        let limiter = Limiter::new(5 * SECOND, [&db]);
        (db, limiter)
    })
}

fn request() -> Request<Body> {
    Request::get("/").body(Body::empty()).expect("a request")
}

#[tokio::test(start_paused = true)]
async fn waiters_and_newcomers_are_turned_away() {
    for (db, limiter) in each_kind() {
        let held = limiter.try_acquire([&db]).expect("idle");
        let mut waiting = [spawn(limiter.acquire([&db])), spawn(limiter.acquire([&db]))];
        for waiting in &mut waiting {
            assert_pending!(waiting.poll());
        }
        limiter.close();
        for waiting in &mut waiting {
            assert!(waiting.is_woken());
            let rejection = assert_ready_err!(waiting.poll());
            assert_eq!(
                (rejection.reason(), rejection.resource()),
                (Reason::Closed, "db")
            );
            assert_eq!(rejection.retry_after(), None);
        }
        assert_eq!(
            (db.in_use(), db.waiting()),
            (1, 0),
            "what is held stays valid"
        );
        let closed = limiter.acquire([&db]).await.expect_err("closed");
        assert_eq!(closed.reason(), Reason::Closed);
        drop(held);
        assert_eq!(db.in_use(), 0);
        for rejection in [
            limiter.try_acquire([&db]).expect_err("closed"),
            limiter.acquire([&db]).await.expect_err("closed"),
            limiter.run([&db], || async {}).await.expect_err("closed"),
        ] {
            assert_eq!(rejection.reason(), Reason::Closed, "though it is idle");
            assert_eq!(
                rejection.to_string(),
                "the limiter is closed for resource \"db\""
            );
        }
        limiter.close(); // twice is once
        db.set_limit(5).expect("in range");
        assert!(limiter.try_acquire([&db]).is_err(), "for good");
        limiter.drained().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_closed_limiter_answers_503() {
    for (db, limiter) in each_kind() {
        let service = limiter
            .resources([&db])
            .layer(service_fn(|_: Request<Body>| async {
                Ok::<_, Infallible>(Response::new(Body::empty()))
            }));
        limiter.close();
        let response = service.oneshot(request()).await.expect("infallible");
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        let rejection: &Rejection = response.extensions().get().expect("always there");
        assert_eq!(rejection.reason(), Reason::Closed);
    }
}

/// A resource can go to another limiter once the closed one is gone, and works there.
#[tokio::test(start_paused = true)]
async fn closing_ends_with_the_limiter() {
    for (db, limiter) in each_kind() {
        limiter.close();
        drop(limiter);
        let limiter = Limiter::new(SECOND, [&db]);
        assert!(limiter.try_acquire([&db]).is_ok());
        assert!(limiter.acquire([&db]).await.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn drained_when_the_last_permit_is_gone() {
    for close in [false, true] {
        let (db, fs) = (Resource::new("db", 5), Resource::new("fs", 5));
        let limiter = Limiter::new(5 * SECOND, [&db, &fs]);
        assert!(
            spawn(limiter.drained()).poll().is_ready(),
            "nothing is held"
        );
        let permits = [
            limiter.try_acquire([&db]),
            limiter.try_acquire([&db, &fs]),
            limiter.try_acquire([&fs]),
        ];
        if close {
            limiter.close();
        }
        let mut drained = spawn(limiter.drained());
        assert_pending!(drained.poll());
        for permit in permits {
            assert_pending!(drained.poll());
            assert!(!drained.is_woken());
            drop(permit);
        }
        assert!(drained.is_woken());
        assert_ready!(drained.poll());
    }
}

#[tokio::test(start_paused = true)]
async fn drained_only_when_those_who_waited_are_done_too() {
    for (db, limiter) in each_kind() {
        let held = limiter.try_acquire([&db]);
        let mut waiting = spawn(limiter.acquire([&db]));
        assert_pending!(waiting.poll());
        let mut drained = spawn(limiter.drained());
        assert_pending!(drained.poll());
        drop(held);
        assert!(!drained.is_woken(), "handed over");
        drop(waiting); // granted, and not collected
        assert!(drained.is_woken());
        assert_ready!(drained.poll());
    }
}

/// Several at once, in one task and in others; each is told.
#[tokio::test(start_paused = true)]
async fn several_may_wait() {
    for (db, limiter) in each_kind() {
        let held = limiter.try_acquire([&db]);
        let elsewhere = limiter.clone();
        let task = tokio::spawn(async move { elsewhere.drained().await });
        tokio::task::yield_now().await;
        let mut both = spawn(async { tokio::join!(limiter.drained(), limiter.drained()) });
        assert_pending!(both.poll());
        drop(held);
        assert!(both.is_woken());
        assert_ready!(both.poll());
        task.await.expect("no panics");
    }
}

/// It was so, even if it is not any more when the future looks.
#[tokio::test(start_paused = true)]
async fn drained_is_not_missed() {
    for (db, limiter) in each_kind() {
        let held = limiter.try_acquire([&db]);
        let mut drained = spawn(limiter.drained());
        assert_pending!(drained.poll());
        drop(held);
        let _again = limiter.try_acquire([&db]).expect("not closed");
        assert_ready!(drained.poll());
    }
}

/// A waiter for nothing that gives up leaves no trace: requests need no lock again.
#[tokio::test(start_paused = true)]
async fn a_dropped_drained_leaves_nothing_behind() {
    let (db, limiter) = (Resource::new("db", 2), Duration::from_secs(5));
    let limiter = Limiter::new(limiter, [&db]);
    let held = limiter.try_acquire([&db]);
    let mut first = spawn(limiter.drained());
    let mut second = spawn(limiter.drained());
    assert_pending!(first.poll());
    assert_pending!(second.poll());
    drop(first);
    let third = limiter.try_acquire([&db]);
    drop(held);
    assert!(!second.is_woken());
    drop(third);
    assert!(second.is_woken(), "the other one still watches");
    drop(second);

    let held = limiter.try_acquire([&db]);
    let mut gives_up = spawn(limiter.drained());
    assert_pending!(gives_up.poll());
    drop(gives_up);
    // What goes by way of the queue allocates, and the fast path does not.
    let free = allocation_counter::measure(|| drop(limiter.try_acquire([&db])));
    assert_eq!(free.count_total, 0, "the fast path is open");
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn a_response_body_is_waited_for() {
    for (db, limiter) in each_kind() {
        let (frames, body) = streamed();
        let body = shared(Some(body));
        let stream = move || async move {
            let body = body.lock().expect("no panics").take();
            Body::new(body.expect("called once")).into_response()
        };
        let layer = limiter.resources([&db]);
        let app = Router::new().route("/", routing::get(stream).route_layer(layer));
        let mut response = app.oneshot(request()).await.expect("infallible");
        limiter.close();
        let mut drained = spawn(limiter.drained());
        assert_pending!(drained.poll());
        frames.send(data("one")).await.expect("somebody reads");
        let frame = response.body_mut().frame().await.expect("a frame");
        frame.expect("data");
        assert!(!drained.is_woken(), "it still streams");
        drop(frames);
        assert!(response.body_mut().frame().await.is_none());
        assert!(drained.is_woken(), "with the last frame");
        assert_ready!(drained.poll());
    }
}

#[tokio::test]
async fn an_exposed_permit_is_waited_for() {
    for (db, limiter) in each_kind() {
        let (finish, finished) = std::sync::mpsc::channel::<()>();
        let finished = shared(Some(finished));
        let detach = move |axum::Extension(permit): axum::Extension<PermitHandle>| async move {
            let permit = permit.take().expect("not taken yet");
            let finished = finished.lock().expect("no panics").take().expect("once");
            tokio::task::spawn_blocking(move || {
                let _permit = permit;
                let _: Result<(), _> = finished.recv();
            });
        };
        let layer = limiter.resources([&db]).expose_permit();
        let app = Router::new().route("/", routing::get(detach).route_layer(layer));
        let response = app.oneshot(request()).await.expect("infallible");
        assert_eq!(response.status(), StatusCode::OK);
        drop(response);
        limiter.close();
        let mut drained = spawn(limiter.drained());
        assert_pending!(drained.poll());
        finish.send(()).expect("the query listens");
        drained.await;
        assert_eq!(db.in_use(), 0);
    }
}

/// While others come and go, on several threads, with and without waiting for nothing to be held.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn draining_under_load() {
    for _ in 0..50 {
        let db = Resource::new("db", 2);
        let limiter = Limiter::new(60 * SECOND, [&db]);
        let clients = (0..4).map(|_| {
            let (limiter, db) = (limiter.clone(), db.clone());
            tokio::spawn(async move {
                while let Ok(permit) = limiter.acquire([&db]).await {
                    tokio::task::yield_now().await;
                    drop(permit);
                }
            })
        });
        let clients: Vec<_> = clients.collect();
        for _ in 0..20 {
            let _: Poll<()> = futures_util::poll!(std::pin::pin!(limiter.drained()));
            tokio::task::yield_now().await;
        }
        let elsewhere = limiter.clone();
        let early = tokio::spawn(async move { elsewhere.drained().await });
        tokio::task::yield_now().await;
        limiter.close();
        tokio::time::timeout(30 * SECOND, limiter.drained())
            .await
            .expect("drained");
        assert_eq!(db.in_use(), 0);
        early.await.expect("no panics");
        for client in clients {
            client.await.expect("turned away");
        }
    }
}
