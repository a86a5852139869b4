//! A queue that stands: the newest go first, and the oldest are shed.

use std::{collections::BTreeSet, convert::Infallible, time::Duration};

use axum::{Router, body::Body, routing};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{Empty, Full};
use tokio::{task::JoinSet, time::sleep};
use tokio_test::{
    assert_pending, assert_ready_err, assert_ready_ok,
    task::{Spawn, spawn},
};
use tower::{Layer, ServiceExt, service_fn};
use tower_concurrency_limiter::{
    Limiter, Overload, Permit, Reason, Rejection, Resource, limiter::Acquire,
};

use test_support::http::get;

const MS: Duration = Duration::from_millis(1);

fn overloaded(overload: Overload) -> (Resource, Limiter) {
    let db = Resource::builder("db")
        .concurrency(1)
        .overload(overload)
        .build();
    let limiter = Limiter::new(10_000 * MS, [&db]);
    (db, limiter)
}

fn wait(limiter: &Limiter, db: &Resource) -> Spawn<Acquire> {
    let mut waiting = spawn(limiter.acquire([db]));
    assert_pending!(waiting.poll());
    waiting
}

/// Hands the permit over; who got it, and the reasons of those who were turned away meanwhile.
fn hand_over(held: Permit, waiting: &mut Vec<(u32, Spawn<Acquire>)>) -> (u32, Permit, Vec<u32>) {
    drop(held);
    let (mut served, mut shed) = (None, Vec::new());
    waiting.retain_mut(|(name, waiting)| {
        if waiting.is_woken() {
            match waiting.poll() {
                std::task::Poll::Ready(Ok(permit)) => {
                    assert!(served.replace((*name, permit)).is_none(), "one unit");
                }
                std::task::Poll::Ready(Err(rejection)) => {
                    assert_eq!(rejection.reason(), Reason::Shed);
                    assert_eq!(rejection.resource(), "db");
                    shed.push(*name);
                }
                std::task::Poll::Pending => panic!("woken for nothing"),
            }
            return false;
        }
        true
    });
    let (name, permit) = served.expect("somebody goes next");
    (name, permit, shed)
}

#[tokio::test(start_paused = true)]
async fn a_short_queue_is_served_in_order() {
    let (db, limiter) = overloaded(Overload::new().interval(100 * MS).target(20 * MS));
    let mut held = limiter.try_acquire([&db]).expect("idle");
    for _ in 0..10 {
        let mut waiting: Vec<_> = (0..3).map(|name| (name, wait(&limiter, &db))).collect();
        for expected in 0..3 {
            sleep(6 * MS).await;
            let (name, permit, shed) = hand_over(held, &mut waiting);
            assert_eq!((name, shed), (expected, vec![]));
            held = permit;
        }
    }
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn a_standing_queue_serves_the_newest_and_sheds_the_oldest() {
    let (db, limiter) = overloaded(Overload::new().interval(100 * MS).target(20 * MS));
    let mut held = limiter.try_acquire([&db]).expect("idle");
    let mut waiting = Vec::new();
    let (mut served, mut shed) = (Vec::new(), BTreeSet::new());
    // Two come for each that is served.
    for round in 0..100 {
        for name in [2 * round, 2 * round + 1] {
            waiting.push((name, wait(&limiter, &db)));
        }
        sleep(10 * MS).await;
        let (name, permit, gone) = hand_over(held, &mut waiting);
        held = permit;
        served.push(name);
        shed.extend(gone);
    }
    assert_eq!(
        served[..10],
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        "in order at first"
    );
    for (round, name) in (0..).zip(&served).skip(20) {
        assert_eq!(*name, 2 * round + 1, "then the newest");
    }
    assert!(shed.len() > 5, "faster and faster: {shed:?}");
    let oldest: Vec<_> = shed.iter().take(5).collect();
    let unserved = (0..200).filter(|name| !served.contains(name));
    let expected: Vec<_> = unserved.take(5).collect();
    assert_eq!(
        oldest,
        expected.iter().collect::<Vec<_>>(),
        "the oldest first"
    );
    assert_eq!(db.waiting(), waiting.len());
    drop((held, waiting));
    assert_eq!((db.in_use(), db.waiting()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn when_it_has_drained_order_is_back() {
    let (db, limiter) = overloaded(Overload::new().interval(100 * MS).target(20 * MS));
    let mut held = limiter.try_acquire([&db]).expect("idle");
    let mut waiting: Vec<_> = (0..20).map(|name| (name, wait(&limiter, &db))).collect();
    while !waiting.is_empty() {
        sleep(30 * MS).await;
        held = hand_over(held, &mut waiting).1;
    }
    let mut waiting: Vec<_> = (0..3).map(|name| (name, wait(&limiter, &db))).collect();
    sleep(MS).await;
    let (first, held, _) = hand_over(held, &mut waiting);
    assert_eq!(first, 0);
    drop(held);
}

/// Priorities stay: the newest of the highest goes first.
#[tokio::test(start_paused = true)]
async fn the_newest_of_each_priority() {
    let (db, limiter) = overloaded(Overload::new().interval(10 * MS).target(10 * MS));
    let held = limiter.try_acquire([&db]).expect("idle");
    let first = wait(&limiter, &db);
    sleep(15 * MS).await;
    let second = wait(&limiter, &db); // sees that the first is above the target
    sleep(15 * MS).await;
    let third = wait(&limiter, &db); // sees that the queue stands
    let mut urgent = spawn(limiter.request([&db]).priority(20).acquire());
    assert_pending!(urgent.poll());
    let newest = wait(&limiter, &db);
    drop(held);
    drop(assert_ready_ok!(urgent.poll()));
    let mut newest = newest;
    drop(assert_ready_ok!(newest.poll()));
    let others = [first, second, third];
    let gone = others.into_iter().filter(Spawn::is_woken).count();
    assert!(gone > 0);
}

/// Clients that give up after 100 ms, at twice what can be served: first-in-first-out serves nobody
/// in time.
async fn in_time(overload: Option<Overload>) -> (usize, BTreeSet<&'static str>) {
    let db = Resource::builder("db").concurrency(1);
    let db = match overload {
        Some(overload) => db.overload(overload).build(),
        None => db.build(),
    };
    let limiter = Limiter::new(1_000 * MS, [&db]);
    let handler = || async {
        sleep(10 * MS).await;
        "rows"
    };
    let layer = limiter.resources([&db]);
    let app = Router::new().route("/", routing::get(handler).route_layer(layer));
    let mut clients = JoinSet::new();
    for _ in 0..1_000 {
        let app = app.clone();
        clients.spawn(async move {
            let request = Request::get("/").body(Body::empty()).expect("a request");
            let start = tokio::time::Instant::now();
            let response = app.oneshot(request).await.expect("infallible");
            let rejection = response.extensions().get::<Rejection>();
            match rejection {
                None if start.elapsed() <= 100 * MS => "in time",
                None => "late",
                Some(rejection) => {
                    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
                    rejection.reason().as_str()
                }
            }
        });
        sleep(5 * MS).await;
    }
    let answers = clients.join_all().await;
    let in_time = answers
        .iter()
        .filter(|answer| **answer == "in time")
        .count();
    assert_eq!((db.in_use(), db.waiting()), (0, 0));
    (in_time, answers.into_iter().collect())
}

#[tokio::test(start_paused = true)]
async fn impatient_clients_through_axum() {
    let (fifo, _) = in_time(None).await;
    let (newest_first, answers) = in_time(Some(Overload::default())).await;
    assert!(fifo < 50, "first in, first out: {fifo} in time");
    assert!(
        newest_first > 400,
        "of 500 that can be served: {newest_first}"
    );
    assert!(answers.contains("shed"), "{answers:?}");
}

#[tokio::test(start_paused = true)]
async fn who_is_shed_is_answered_like_all_who_are_turned_away() {
    let (db, limiter) = overloaded(Overload::new().interval(10 * MS).target(10 * MS));
    let service = limiter
        .resources([&db])
        .layer(service_fn(|_: Request<Empty<Bytes>>| async {
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("served")))
        }));
    let _held = limiter.try_acquire([&db]).expect("idle");
    let mut oldest = spawn(service.oneshot(get("/")));
    assert_pending!(oldest.poll());
    let mut others = Vec::new();
    while !oldest.is_woken() {
        sleep(10 * MS).await;
        others.push(wait(&limiter, &db));
        assert!(others.len() < 20);
    }
    let response = oldest.await.expect("infallible");
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let rejection: &Rejection = response.extensions().get().expect("always there");
    assert_eq!(rejection.reason(), Reason::Shed);
    limiter.close();
    let last = others.last_mut().expect("some");
    assert_eq!(assert_ready_err!(last.poll()).reason(), Reason::Closed);
}

/// Work far longer than the interval: at each return one is shed and one is served, and the unit is
/// never idle while somebody waits.
#[tokio::test(start_paused = true)]
async fn slow_work_is_not_left_without_anybody_to_serve() {
    let (db, limiter) = overloaded(Overload::default());
    let mut tasks = JoinSet::new();
    for _ in 0..5 {
        let request = limiter.acquire([&db]);
        tasks.spawn(async move {
            let permit = request.await.map_err(|rejection| rejection.reason())?;
            sleep(1_000 * MS).await;
            drop(permit);
            Ok::<(), Reason>(())
        });
        sleep(60 * MS).await;
    }
    let (mut served, mut shed) = (0, 0);
    while let Some(outcome) = tasks.join_next().await {
        match outcome.expect("no panics") {
            Ok(()) => served += 1,
            Err(Reason::Shed) => shed += 1,
            Err(other) => panic!("{other:?}"),
        }
        assert!(
            db.waiting() == 0 || db.in_use() == 1,
            "idle beside a waiter"
        );
    }
    assert!(served >= 2, "{served} were served, {shed} were shed");
    assert_eq!(served + shed, 5);
}
