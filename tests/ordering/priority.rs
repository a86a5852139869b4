//! Higher first, within bounds; and who gives way when the queue is full.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{Empty, Full};
use tokio::{
    task::JoinSet,
    time::{Instant, advance, sleep},
};
use tokio_test::{
    assert_pending, assert_ready_err, assert_ready_ok,
    task::{Spawn, spawn},
};
use tower::{Layer, ServiceExt, service_fn};
use tower_concurrency_limiter::{
    ConcurrencyLimitLayer, Lane, Lanes, Limiter, Permit, Priority, Rate, Reason, Rejection,
    Resource, limiter::Acquire,
};

use test_support::http::{collect, get};

const SECOND: Duration = Duration::from_secs(1);

struct Scene {
    db: Resource,
    limiter: Limiter,
    held: Option<Permit>,
}

impl Scene {
    /// One unit, which is held.
    fn new(max_waiting: usize) -> Self {
        let db = Resource::builder("db")
            .concurrency(1)
            .max_waiting(max_waiting)
            .build();
        let limiter = Limiter::builder()
            .timeout(60 * SECOND)
            .priority_credit(3 * SECOND)
            .resources([&db])
            .build();
        let held = limiter.try_acquire([&db]).ok();
        Self { db, limiter, held }
    }

    fn wait(&self, priority: u8) -> Spawn<Acquire> {
        let mut waiting = spawn(
            self.limiter
                .request([&self.db])
                .priority(priority)
                .acquire(),
        );
        assert_pending!(waiting.poll());
        waiting
    }

    /// The positions of those who wait, in the order in which they are served.
    fn serve(&mut self, waiting: &mut [Spawn<Acquire>]) -> Vec<usize> {
        let mut served = Vec::new();
        while served.len() < waiting.len() {
            self.held = None;
            let next = (0..waiting.len()).find(|i| !served.contains(i) && waiting[*i].is_woken());
            let next = next.expect("somebody goes next");
            self.held = Some(assert_ready_ok!(waiting[next].poll()));
            served.push(next);
        }
        served
    }
}

#[tokio::test(start_paused = true)]
async fn the_higher_goes_first_and_among_equals_the_earlier() {
    let mut scene = Scene::new(100);
    let mut waiting = [10, 200, 0, 10, 255, 200].map(|priority| scene.wait(priority));
    assert_eq!(scene.serve(&mut waiting), [4, 1, 5, 0, 3, 2]);
}

/// What a higher priority leaves, because it needs more than that, is not kept idle for longer.
#[tokio::test(start_paused = true)]
async fn after_the_credit_a_waiter_goes_past_a_higher_one_that_lacks_room() {
    let db = Resource::new("db", 3);
    let limiter = Limiter::builder()
        .timeout(60 * SECOND)
        .priority_credit(3 * SECOND)
        .resources([&db])
        .build();
    let mut held: Vec<Permit> = (0..3).flat_map(|_| limiter.try_acquire([&db])).collect();
    let narrow = tokio::spawn(limiter.request([&db]).acquire());
    let wide = tokio::spawn(limiter.request([db.units(3)]).priority(100).acquire());
    tokio::task::yield_now().await;
    held.pop();
    let start = tokio::time::Instant::now();
    let _permit = narrow.await.expect("no panic").expect("its turn comes");
    let waited = start.elapsed();
    assert!(waited >= 3 * SECOND - SECOND / 10, "{waited:?}");
    assert!(waited <= 3 * SECOND + SECOND / 10, "{waited:?}");
    wide.abort();
}

#[tokio::test(start_paused = true)]
async fn the_default_is_ten() {
    let mut scene = Scene::new(100);
    let (low, mut high) = (scene.wait(9), scene.wait(11));
    let mut default = spawn(scene.limiter.acquire([&scene.db]));
    assert_pending!(default.poll());
    scene.held = None;
    scene.held = Some(assert_ready_ok!(high.poll()));
    scene.held = None;
    assert!(default.is_woken() && !low.is_woken());
}

/// A resource with one unit, of each kind that orders its queue in its own way.
fn each_kind() -> [Resource; 4] {
    let db = || Resource::builder("db").concurrency(1);
    [
        db().build(),
        db().rate(Rate::per_second(1_000_000)).build(),
        db().lanes(Lanes::shared([Lane::new("all")])).build(),
        db().lanes(Lanes::keyed(8)).build(),
    ]
}

/// 30 requests of priority 10 that take 220 ms each, and after 0.9 s one of 200: how long it waits.
async fn waits_in_an_overload(limiter: &Limiter, db: &Resource, fs: Option<&Resource>) -> Duration {
    let mut crowd = JoinSet::new();
    let set: Vec<Resource> = [Some(db), fs].into_iter().flatten().cloned().collect();
    for _ in 0..30 {
        let acquire = limiter.acquire(&set);
        crowd.spawn(async move {
            let permit = acquire.await.expect("in time");
            sleep(SECOND * 22 / 100).await;
            drop(permit);
        });
    }
    sleep(SECOND * 9 / 10).await;
    let start = Instant::now();
    let urgent = limiter.request(&set).priority(200).acquire().await;
    let waited = start.elapsed();
    drop(urgent);
    crowd.join_all().await;
    waited
}

#[tokio::test(start_paused = true)]
async fn in_an_overload_a_higher_priority_goes_next() {
    for db in each_kind() {
        let fs = Resource::new("fs", 1);
        let limiter = Limiter::new(60 * SECOND, [&db, &fs]);
        for fs in [None, Some(&fs)] {
            let waited = waits_in_an_overload(&limiter, &db, fs).await;
            assert!(waited <= SECOND * 22 / 100, "{waited:?} at {db:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn in_an_overload_a_higher_priority_goes_after_those_that_have_aged() {
    for db in each_kind() {
        let builder = Limiter::builder().timeout(60 * SECOND);
        let limiter = builder.priority_credit(SECOND).resources([&db]).build();
        let waited = waits_in_an_overload(&limiter, &db, None).await;
        assert!(waited >= 5 * SECOND, "{waited:?} at {db:?}");
    }
}

/// Twice the capacity for half a minute, and two urgent requests a second: how long the longest
/// wait of an urgent one that was served, how many of them were, and how many of the others.
async fn overloaded(urgent: u8, credit: Option<Duration>) -> (Duration, usize, usize) {
    let db = Resource::new("db", 5);
    let mut builder = Limiter::builder();
    if let Some(credit) = credit {
        builder = builder.priority_credit(credit);
    }
    let limiter = builder.resources([&db]).build();
    let mut requests = JoinSet::new();
    for n in 0..3_000_u32 {
        let is_urgent = n % 50 == 49;
        let priority = if is_urgent { urgent } else { 10 };
        let request = limiter.request([&db]).priority(priority);
        requests.spawn(async move {
            sleep(n * SECOND / 100).await;
            let start = Instant::now();
            let permit = request.acquire().await.ok()?;
            let waited = start.elapsed();
            sleep(SECOND / 10).await;
            drop(permit);
            Some((is_urgent, waited))
        });
    }
    let served: Vec<_> = requests.join_all().await.into_iter().flatten().collect();
    let urgent = served.iter().filter(|(is_urgent, _)| *is_urgent);
    let longest = urgent.clone().map(|(_, waited)| *waited).max();
    let urgent = urgent.count();
    let longest = longest.expect("some are served");
    (longest, urgent, served.len() - urgent)
}

/// The table in the guide.
#[tokio::test(start_paused = true)]
async fn what_the_guide_says_about_an_overload() {
    let fifo = overloaded(10, None).await;
    let first = overloaded(200, None).await;
    let aged = overloaded(200, Some(2 * SECOND)).await;
    assert!(fifo.0 >= 4 * SECOND && fifo.1 <= 40, "{fifo:?}");
    assert!(first.0 <= SECOND / 10 && first.1 == 60, "{first:?}");
    assert!(aged.0 >= 4 * SECOND && aged.1 <= 45, "{aged:?}");
    for (_, urgent, others) in [first, aged] {
        let all = fifo.1 + fifo.2;
        assert!(all.abs_diff(urgent + others) <= 10, "as many in all");
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_is_overtaken_for_longer_than_the_credit() {
    let mut scene = Scene::new(100);
    let old = scene.wait(0);
    advance(SECOND).await;
    let younger = scene.wait(5);
    advance(2 * SECOND).await;
    let urgent = scene.wait(255);
    assert_eq!(
        scene.serve(&mut [old, younger, urgent]),
        [0, 2, 1],
        "the first has waited for 3 s, the second has not"
    );
}

#[tokio::test(start_paused = true)]
async fn without_credit_priorities_overtake_nobody() {
    let db = Resource::new("db", 1);
    let limiter = Limiter::builder()
        .priority_credit(Duration::ZERO)
        .resources([&db])
        .build();
    let held = limiter.try_acquire([&db]);
    let mut low = spawn(limiter.request([&db]).priority(0).acquire());
    let mut high = spawn(limiter.request([&db]).priority(255).acquire());
    assert_pending!(low.poll());
    assert_pending!(high.poll());
    drop(held);
    assert!(low.is_woken() && !high.is_woken());
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_turns_away_equals_and_lower_ones() {
    let scene = Scene::new(2);
    let waiting = [scene.wait(10), scene.wait(10)];
    for priority in [10, 9, 0] {
        let mut refused = spawn(
            scene
                .limiter
                .request([&scene.db])
                .priority(priority)
                .acquire(),
        );
        let rejection = assert_ready_err!(refused.poll());
        assert_eq!(rejection.reason(), Reason::QueueFull);
        assert_eq!(rejection.waited(), Duration::ZERO);
    }
    assert!(waiting.iter().all(|w| !w.is_woken()));
    assert_eq!(scene.db.waiting(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_sheds_the_youngest_of_the_lowest() {
    let scene = Scene::new(3);
    let [first, mut second, mut third] = [10, 5, 5].map(|priority| scene.wait(priority));
    advance(2 * SECOND).await;
    let fourth = scene.wait(11);
    assert!(third.is_woken() && !second.is_woken() && !first.is_woken());
    let rejection = assert_ready_err!(third.poll());
    assert_eq!(
        (rejection.reason(), rejection.resource()),
        (Reason::Shed, "db")
    );
    assert_eq!(rejection.waited(), 2 * SECOND);
    assert_eq!(scene.db.waiting(), 3);
    let fifth = scene.wait(11);
    assert_eq!(assert_ready_err!(second.poll()).reason(), Reason::Shed);
    let sixth = scene.wait(12);
    assert!(first.is_woken(), "10 is below 11");
    assert!(!fourth.is_woken() && !fifth.is_woken() && !sixth.is_woken());
    assert_eq!(scene.db.waiting(), 3);
}

/// Where nobody may wait, nobody is displaced.
#[tokio::test(start_paused = true)]
async fn no_queue_at_all() {
    let scene = Scene::new(0);
    let mut refused = spawn(scene.limiter.request([&scene.db]).priority(255).acquire());
    assert_eq!(
        assert_ready_err!(refused.poll()).reason(),
        Reason::QueueFull
    );
}

/// A set that is queued at several full resources makes place at each, or at none.
#[tokio::test(start_paused = true)]
async fn a_set_displaces_everywhere_or_nowhere() {
    let one = |name: &str| {
        Resource::builder(name)
            .concurrency(1)
            .max_waiting(1)
            .build()
    };
    let (db, fs) = (one("db"), one("fs"));
    let limiter = Limiter::new(5 * SECOND, [&db, &fs]);
    let _held = limiter.try_acquire([&db, &fs]);
    let mut low = spawn(limiter.request([&db]).priority(1).acquire());
    let mut high = spawn(limiter.request([&fs]).priority(100).acquire());
    assert_pending!(low.poll());
    assert_pending!(high.poll());
    let mut set = spawn(limiter.request([&db, &fs]).priority(50).acquire());
    let rejection = assert_ready_err!(set.poll());
    assert_eq!(
        (rejection.reason(), rejection.resource()),
        (Reason::QueueFull, "fs")
    );
    assert!(!low.is_woken(), "nobody gave way for nothing");
    let mut set = spawn(limiter.request([&db, &fs]).priority(101).acquire());
    assert_pending!(set.poll());
    assert_eq!(assert_ready_err!(low.poll()).reason(), Reason::Shed);
    assert_eq!(assert_ready_err!(high.poll()).reason(), Reason::Shed);
    assert_eq!((db.waiting(), fs.waiting()), (1, 1));
}

/// The priority in a header, as a server would read it that trusts its clients.
fn by_header(layer: ConcurrencyLimitLayer) -> ConcurrencyLimitLayer {
    layer.priority(|request| {
        let header = request.headers().get("x-priority");
        let number = header.and_then(|value| value.to_str().ok()?.parse().ok());
        number.map_or(Priority::DEFAULT, Priority::clamped)
    })
}

async fn send(layer: ConcurrencyLimitLayer, priority: &'static str) -> Response<Bytes> {
    let service = by_header(layer).layer(service_fn(|_: Request<Empty<Bytes>>| async {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("served")))
    }));
    let mut request = get("/");
    let value = http::HeaderValue::from_static(priority);
    request.headers_mut().insert("x-priority", value);
    collect(service.oneshot(request).await.expect("infallible")).await
}

#[tokio::test(start_paused = true)]
async fn hostile_priorities_are_clamped() {
    let mut scene = Scene::new(100);
    let layer = scene.limiter.resources([&scene.db]);
    let mut clients = [
        "-5",
        "0",
        "9999999999",
        "255",
        "-9223372036854775808",
        "99999999999999999999", // no i64: the default
        "9223372036854775807",
        "",
    ]
    .map(|priority| {
        let mut client = spawn(send(layer.clone(), priority));
        assert_pending!(client.poll());
        client
    });
    scene.held = None;
    let mut served = Vec::new();
    while served.len() < clients.len() {
        let woken = |i: &usize| !served.contains(i) && clients[*i].is_woken();
        let next = (0..clients.len()).find(woken).expect("somebody goes next");
        assert!(clients[next].poll().is_ready());
        served.push(next);
    }
    assert_eq!(served, [2, 3, 6, 5, 7, 0, 1, 4]);
}

#[tokio::test(start_paused = true)]
async fn who_gave_way_is_answered_like_all_who_are_turned_away() {
    let scene = Scene::new(1);
    let layer = scene.limiter.resources([&scene.db]);
    let mut low = spawn(send(layer.clone(), "9"));
    assert_pending!(low.poll());
    let mut high = spawn(send(layer, "11"));
    assert_pending!(high.poll());
    assert!(low.is_woken());
    let shed = low.await;
    assert_eq!(shed.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        shed.body(),
        r#"{"detail":"Server busy, please retry later"}"#
    );
    assert_eq!(shed.headers()["content-type"], "application/json");
    let rejection: &Rejection = shed.extensions().get().expect("always there");
    assert_eq!(rejection.reason(), Reason::Shed);
    assert_eq!(
        rejection.to_string(),
        "gave way to other requests for resource \"db\""
    );
}

#[tokio::test(start_paused = true)]
async fn priorities_decide_on_managed_resources_too() {
    let db = Resource::builder("db")
        .concurrency(1)
        .reserve(0, 200)
        .max_waiting(2)
        .build();
    let limiter = Limiter::new(5 * SECOND, [&db]);
    let held = limiter.try_acquire([&db]);
    let [mut low, mut high] = [1, 100].map(|priority| {
        let mut waiting = spawn(limiter.request([&db]).priority(priority).acquire());
        assert_pending!(waiting.poll());
        waiting
    });
    let mut top = spawn(limiter.request([&db]).priority(150).acquire());
    assert_pending!(top.poll());
    assert_eq!(assert_ready_err!(low.poll()).reason(), Reason::Shed);
    drop(held);
    assert!(top.is_woken() && !high.is_woken());
    drop(assert_ready_ok!(top.poll()));
    drop(assert_ready_ok!(high.poll()));
    assert_eq!((db.in_use(), db.waiting()), (0, 0));
}

/// A bound of its own turns a request away; it makes nobody else leave a queue that has room.
#[tokio::test]
async fn a_bound_of_its_own_evicts_nobody() {
    let mut scene = Scene::new(1_000);
    let waiting: Vec<_> = (0..3).map(|_| scene.wait(10)).collect();
    let request = scene.limiter.request([&scene.db]).priority(20);
    let rejection = spawn(request.max_waiting(2).acquire());
    let rejection = assert_ready_err!({ rejection }.poll());
    assert_eq!(rejection.reason(), Reason::QueueFull);
    assert_eq!(scene.db.waiting(), 3);
    drop(waiting);
    scene.held = None;
    assert_eq!(scene.db.in_use(), 0);
}
