//! A resource divided between lanes: who gets what, and that it comes back to where it was taken.

use std::time::Duration;

use axum::{Router, body::Body, response::IntoResponse, routing};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use tokio_test::{assert_pending, assert_ready_ok, task::spawn};
use tower::{Layer, ServiceExt, service_fn};
use tower_concurrency_limiter::{
    ConcurrencyLimitLayer, Lane, LaneKey, Lanes, Limiter, Permit, PermitHandle, Reason, Rejection,
    Resource,
};

use test_support::http::{data, shared, streamed};

fn divided(limit: usize, lanes: Lanes) -> (Resource, Limiter) {
    let db = Resource::builder("db")
        .concurrency(limit)
        .lanes(lanes)
        .build();
    let limiter = Limiter::new(Duration::from_secs(5), [&db]);
    (db, limiter)
}

fn try_in<'a>(
    limiter: &Limiter,
    db: &Resource,
    lane: impl Into<LaneKey<'a>>,
) -> Result<Permit, Rejection> {
    limiter.request([db]).lane(lane).try_acquire()
}

/// How many units there are for a lane.
fn room<'a>(limiter: &Limiter, db: &Resource, lane: impl Into<LaneKey<'a>> + Clone) -> usize {
    let permits = std::iter::from_fn(|| try_in(limiter, db, lane.clone()).ok());
    permits.collect::<Vec<_>>().len()
}

type Acquiring = tokio_test::task::Spawn<tower_concurrency_limiter::limiter::Acquire>;

/// Requests that wait, in this order.
fn queue_up<'a>(
    limiter: &Limiter,
    db: &Resource,
    lanes: impl IntoIterator<Item = &'a str>,
) -> Vec<(&'a str, Acquiring)> {
    let wait = |lane| {
        let mut waiting = spawn(limiter.request([db]).lane(lane).acquire());
        assert_pending!(waiting.poll());
        (lane, waiting)
    };
    lanes.into_iter().map(wait).collect()
}

/// Returns a permit again and again; the lanes of those who get it, in turn.
fn serve(mut permit: Permit, mut waiting: Vec<(&str, Acquiring)>) -> Vec<&str> {
    let mut served = Vec::new();
    while !waiting.is_empty() {
        drop(permit);
        let mut woken = (0..waiting.len()).filter(|&index| waiting[index].1.is_woken());
        let next = woken.next().expect("somebody goes next");
        assert_eq!(woken.next(), None, "one at a time");
        let (lane, mut acquire) = waiting.remove(next);
        permit = assert_ready_ok!(acquire.poll());
        served.push(lane);
    }
    served
}

#[tokio::test(start_paused = true)]
async fn busy_lanes_share_by_weight() {
    let lanes = Lanes::shared([Lane::new("user").weight(3), Lane::new("batch")]);
    let (db, limiter) = divided(1, lanes);
    let held = try_in(&limiter, &db, "user").expect("idle");
    let batch_first = std::iter::repeat_n("batch", 12).chain(std::iter::repeat_n("user", 12));
    let served = serve(held, queue_up(&limiter, &db, batch_first));
    let users = |part: &[&str]| part.iter().filter(|lane| **lane == "user").count();
    assert_eq!(
        users(&served[..12]),
        9,
        "3 to 1, whoever came first: {served:?}"
    );
    assert_eq!(db.in_use(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_lane_alone_gets_all_that_is_shared() {
    let lanes = Lanes::shared([Lane::new("user"), Lane::new("batch")]);
    let (db, limiter) = divided(10, lanes);
    assert_eq!(room(&limiter, &db, "batch"), 10);
}

#[tokio::test(start_paused = true)]
async fn strict_lanes_have_their_portions() {
    let lanes = Lanes::strict([Lane::new("user").weight(3), Lane::new("batch")]);
    let (db, limiter) = divided(8, lanes);
    assert_eq!(room(&limiter, &db, "user"), 6);
    assert_eq!(room(&limiter, &db, "batch"), 2);
    let both = [
        try_in(&limiter, &db, "batch"),
        try_in(&limiter, &db, "batch"),
    ];
    let refused = try_in(&limiter, &db, "batch").expect_err("its portion is in use");
    assert_eq!(refused.reason(), Reason::NotNow);
    assert_eq!(
        room(&limiter, &db, "user"),
        6,
        "the neighbour does not notice"
    );
    drop(both);
}

#[tokio::test(start_paused = true)]
async fn a_lane_has_a_maximum() {
    let lanes = Lanes::shared([Lane::new("user"), Lane::new("batch").max(3)]);
    let (db, limiter) = divided(10, lanes);
    assert_eq!(room(&limiter, &db, "batch"), 3);
    let full: Vec<_> = (0..3)
        .map(|_| try_in(&limiter, &db, "batch").expect("below"))
        .collect();
    let mut waiting = queue_up(&limiter, &db, ["batch"]);
    assert_eq!(
        room(&limiter, &db, "user"),
        7,
        "who waits there keeps nobody here"
    );
    drop(full);
    assert!(waiting[0].1.is_woken());
    drop(assert_ready_ok!(waiting[0].1.poll()));
}

#[tokio::test(start_paused = true)]
async fn what_is_reserved_is_always_there() {
    let lanes = Lanes::shared([Lane::new("user").reserve(2), Lane::new("batch")]);
    let (db, limiter) = divided(10, lanes);
    assert_eq!(room(&limiter, &db, "batch"), 8);
    let full: Vec<_> = (0..8)
        .map(|_| try_in(&limiter, &db, "batch").expect("below"))
        .collect();
    let waiting = queue_up(&limiter, &db, std::iter::repeat_n("batch", 50));
    assert_eq!(room(&limiter, &db, "user"), 2, "past all who wait");
    assert!(waiting.iter().all(|(_, waiting)| !waiting.is_woken()));
    drop(waiting);
    drop(full);
    assert_eq!(room(&limiter, &db, "user"), 10, "and more, when it is idle");
}

#[tokio::test(start_paused = true)]
async fn units_are_reserved_for_a_priority() {
    let db = Resource::builder("db")
        .concurrency(10)
        .reserve(2, 100)
        .build();
    let limiter = Limiter::new(Duration::from_secs(5), [&db]);
    let ask = |priority| limiter.request([&db]).priority(priority).try_acquire();
    let low: Vec<_> = std::iter::from_fn(|| ask(99).ok()).collect();
    assert_eq!(low.len(), 8);
    let mut waiting = spawn(limiter.acquire([&db]));
    assert_pending!(waiting.poll());
    let high: Vec<_> = std::iter::from_fn(|| ask(100).ok()).collect();
    assert_eq!(high.len(), 2);
    drop(high);
    assert!(!waiting.is_woken(), "what is reserved stays reserved");
    drop(low);
    drop(assert_ready_ok!(waiting.poll()));
}

#[tokio::test(start_paused = true)]
async fn an_unknown_lane_is_the_first_or_that_of_others() {
    let two = [Lane::new("user").max(1), Lane::new("batch").max(2)];
    let (db, limiter) = divided(10, Lanes::shared(two.clone()));
    for unknown in [LaneKey::from("nobody"), LaneKey::none(), 7_u64.into()] {
        assert_eq!(room(&limiter, &db, unknown), 1, "as \"user\"");
    }
    let others = Lanes::shared(two).with_others(Lane::new("others").max(3));
    let (db, limiter) = divided(10, others);
    for unknown in [LaneKey::from("nobody"), LaneKey::none(), "others".into()] {
        assert_eq!(room(&limiter, &db, unknown), 3);
    }
    assert_eq!(room(&limiter, &db, "batch"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_lane_for_each_key() {
    let (db, limiter) = divided(1, Lanes::keyed(100));
    let held = limiter.try_acquire([&db]).expect("idle");
    let noisy = std::iter::repeat_n("noisy", 20);
    let served = serve(held, queue_up(&limiter, &db, noisy.chain(["a", "b", "c"])));
    let quiet = served.iter().rposition(|lane| *lane != "noisy");
    assert!(quiet < Some(6), "one noisy key is one key: {served:?}");
}

#[tokio::test(start_paused = true)]
async fn more_keys_than_lanes() {
    let (db, limiter) = divided(4, Lanes::keyed(3));
    let held: Vec<_> = (0..4_u64)
        .map(|key| try_in(&limiter, &db, key).expect("idle"))
        .collect();
    let mut waiting: Vec<_> = (0..1_000_u64)
        .map(|key| {
            let mut waiting = spawn(limiter.request([&db]).lane(key).acquire());
            assert_pending!(waiting.poll());
            waiting
        })
        .collect();
    drop(held);
    assert_eq!(db.in_use(), 4);
    while !waiting.is_empty() {
        let woken = waiting.iter().position(|w| w.is_woken());
        let mut next = waiting.swap_remove(woken.expect("somebody goes next"));
        drop(assert_ready_ok!(next.poll()));
    }
    assert_eq!((db.in_use(), db.waiting()), (0, 0));
    for key in 0..10_000_u64 {
        drop(try_in(&limiter, &db, key).expect("idle"));
    }
}

#[tokio::test(start_paused = true)]
async fn declared_lanes_beside_keyed_ones() {
    let lanes = Lanes::shared([Lane::new("admin").max(5)])
        .with_keyed(10)
        .with_others(Lane::new("tenants").max(2));
    let (db, limiter) = divided(10, lanes);
    assert_eq!(room(&limiter, &db, "admin"), 5);
    let _one = [try_in(&limiter, &db, "t1"), try_in(&limiter, &db, "t1")];
    assert!(
        try_in(&limiter, &db, "t1").is_err(),
        "each is as the lane of others"
    );
    assert_eq!(room(&limiter, &db, "t2"), 2);
}

/// Strict lanes of one unit, so that a permit in the wrong lane would show.
fn two_strict_units() -> (Resource, Limiter, ConcurrencyLimitLayer) {
    let lanes = Lanes::strict([Lane::new("user"), Lane::new("batch")]);
    let (db, limiter) = divided(2, lanes);
    let layer = limiter
        .resources([&db])
        .timeout(Duration::ZERO)
        .lane(|request| request.headers().get("x-lane").into());
    (db, limiter, layer)
}

fn request(lane: &str) -> Request<Body> {
    let request = Request::get("/").header("x-lane", lane);
    request.body(Body::empty()).expect("a request")
}

async fn send(app: &Router, lane: &str) -> Response<Body> {
    app.clone()
        .oneshot(request(lane))
        .await
        .expect("infallible")
}

#[tokio::test(start_paused = true)]
async fn a_header_says_which_lane_through_axum() {
    let (db, _limiter, layer) = two_strict_units();
    let (frames, body) = streamed();
    let body = shared(Some(body));
    let stream = move || async move {
        match body.lock().expect("no panics").take() {
            Some(body) => Body::new(body).into_response(),
            None => "served".into_response(),
        }
    };
    let app = Router::new().route("/", routing::get(stream).route_layer(layer));
    let mut streaming = send(&app, "batch").await;
    frames.send(data("one")).await.expect("somebody reads");
    streaming
        .body_mut()
        .frame()
        .await
        .expect("a frame")
        .expect("data");
    let refused = send(&app, "batch").await;
    assert_eq!(
        refused.status(),
        StatusCode::SERVICE_UNAVAILABLE,
        "it still streams"
    );
    assert_eq!(send(&app, "user").await.status(), StatusCode::OK);
    drop(frames);
    assert!(streaming.body_mut().frame().await.is_none());
    assert_eq!(db.in_use(), 0, "with the end of the body");
    assert_eq!(
        send(&app, "batch").await.status(),
        StatusCode::OK,
        "to its own lane"
    );
}

#[tokio::test(start_paused = true)]
async fn a_permit_released_at_the_head_returns_to_its_lane() {
    let (db, limiter, layer) = two_strict_units();
    let service = layer
        .release_at_head()
        .layer(service_fn(|_: Request<Body>| async {
            Ok::<_, std::convert::Infallible>(Response::new(Body::from("unread")))
        }));
    for lane in ["batch", "user", "batch"] {
        let unread = service
            .clone()
            .oneshot(request(lane))
            .await
            .expect("infallible");
        assert_eq!(unread.status(), StatusCode::OK);
        assert_eq!(db.in_use(), 0);
        assert_eq!(
            (room(&limiter, &db, "user"), room(&limiter, &db, "batch")),
            (1, 1)
        );
    }
}

#[tokio::test]
async fn an_exposed_permit_returns_to_its_lane_from_another_thread() {
    let (db, limiter, layer) = two_strict_units();
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
    let layer = layer.expose_permit();
    let app = Router::new().route("/", routing::get(detach).route_layer(layer));
    assert_eq!(send(&app, "batch").await.status(), StatusCode::OK);
    assert_eq!(db.in_use(), 1, "the query still runs");
    assert_eq!(
        (room(&limiter, &db, "user"), room(&limiter, &db, "batch")),
        (1, 0)
    );
    finish.send(()).expect("the query listens");
    let back = limiter.request([&db]).lane("batch").acquire().await;
    assert!(back.is_ok());
    drop(back);
    assert_eq!(
        (room(&limiter, &db, "user"), room(&limiter, &db, "batch")),
        (1, 1)
    );
}

/// Waiters that leave, grants that nobody collects, calls that are dropped: each gives up its lane.
#[tokio::test(start_paused = true)]
async fn whoever_leaves_leaves_its_lane() {
    let (db, limiter, layer) = two_strict_units();
    let held = try_in(&limiter, &db, "batch").expect("idle");
    let mut gives_up = queue_up(&limiter, &db, ["batch", "batch"]);
    drop(gives_up.remove(0));
    drop(held);
    assert!(gives_up[0].1.is_woken());
    drop(gives_up); // granted, and not collected
    assert_eq!(
        (room(&limiter, &db, "user"), room(&limiter, &db, "batch")),
        (1, 1)
    );

    let stuck = service_fn(|_: Request<Body>| async {
        std::future::pending::<()>().await;
        Ok::<_, std::convert::Infallible>(Response::new(Empty::<Bytes>::new()))
    });
    let mut call = spawn(layer.layer(stuck).oneshot(request("batch")));
    assert_pending!(call.poll());
    assert_eq!(
        (room(&limiter, &db, "user"), room(&limiter, &db, "batch")),
        (1, 0)
    );
    drop(call);
    assert_eq!(
        (room(&limiter, &db, "user"), room(&limiter, &db, "batch")),
        (1, 1)
    );
}

/// In a set each resource has lanes of its own, or none.
#[tokio::test(start_paused = true)]
async fn a_set_is_in_a_lane_of_each_resource() {
    let strict = || Lanes::strict([Lane::new("user"), Lane::new("batch")]);
    let db = Resource::builder("db")
        .concurrency(2)
        .lanes(strict())
        .build();
    let fs = Resource::new("fs", 10);
    let api = Resource::builder("api")
        .concurrency(4)
        .lanes(Lanes::strict([Lane::new("batch"), Lane::new("user")]))
        .build();
    let limiter = Limiter::new(Duration::from_secs(5), [&db, &fs, &api]);
    let set = [&db, &fs, &api];
    let held = limiter
        .request(set)
        .lane("batch")
        .try_acquire()
        .expect("idle");
    let refused = limiter.request(set).lane("batch").try_acquire();
    assert_eq!(refused.expect_err("db is full").resource(), "db");
    assert_eq!(
        (room(&limiter, &api, "batch"), room(&limiter, &api, "user")),
        (1, 2)
    );
    let mut next = spawn(limiter.request(set).lane("batch").acquire());
    assert_pending!(next.poll());
    assert!(limiter.request(set).lane("user").try_acquire().is_ok());
    drop(held);
    drop(assert_ready_ok!(next.poll()));
    assert_eq!((db.in_use(), fs.in_use(), api.in_use()), (0, 0, 0));
    assert_eq!(
        (room(&limiter, &api, "batch"), room(&limiter, &api, "user")),
        (2, 2)
    );
}

/// Beside declared lanes and those of keys, a request without a key has the lane of the others, and
/// not the first declared one with what is reserved for it.
#[tokio::test]
async fn without_a_key_is_not_the_first_lane() {
    let vip = || Lane::new("vip").reserve(5);
    let others = Lanes::shared([vip()])
        .with_keyed(10)
        .with_others(Lane::new("others").max(1));
    let (db, limiter) = divided(10, others);
    assert_eq!(room(&limiter, &db, LaneKey::none()), 1);
    let (db, limiter) = divided(10, Lanes::shared([vip()]).with_keyed(10));
    assert_eq!(room(&limiter, &db, LaneKey::none()), 5);
    assert_eq!(room(&limiter, &db, "vip"), 10);
}
