//! What a shared limit promises while nothing goes wrong.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{Router, body::Body, http::Request, routing::get};
use tokio::time::{sleep, timeout};
use tower::ServiceExt;
use tower_concurrency_limiter::{Lane, Lanes, Limiter, Rate, Reason, Resource, redis::SharedState};

use super::venue::{Process, Venue, until};

const MS: Duration = Duration::from_millis(1);

/// Counts what is held at the same time.
#[derive(Clone, Default)]
struct Meter(Arc<(AtomicUsize, AtomicUsize)>);

impl Meter {
    async fn hold(&self, time: Duration) {
        let now = self.0.0.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.1.fetch_max(now, Ordering::SeqCst);
        sleep(time).await;
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }

    fn most(&self) -> usize {
        self.0.1.load(Ordering::SeqCst)
    }
}

/// A hundred requests for each process, all at once, which hold for a few milliseconds.
async fn rush(processes: &[Process]) -> usize {
    let meter = Meter::default();
    let mut tasks = Vec::new();
    for n in 0..100 {
        for process in processes {
            let (limiter, db, meter) = (process.limiter.clone(), process.db.clone(), meter.clone());
            tasks.push(tokio::spawn(async move {
                let permit = limiter.acquire([&db]).await.expect("in time");
                meter.hold(MS * (n % 3 + 1)).await;
                drop(permit);
            }));
        }
    }
    for task in tasks {
        task.await.unwrap();
    }
    for process in processes {
        until("all is given back", || process.db.in_use() == 0).await;
    }
    meter.most()
}

pub(crate) async fn all_processes_together_never_hold_more_than_the_limit(venue: &Venue) {
    let processes = [venue.db(3).await, venue.db(3).await, venue.db(3).await];
    assert_eq!(rush(&processes).await, 3);
    until("the server knows", || processes[0].health().in_use == 0).await;
    assert_eq!(processes[0].health().waiting, 0);
}

pub(crate) async fn caches_together_never_hold_more_than_the_limit(venue: &Venue) {
    let processes = [venue.cached(16).await, venue.cached(16).await];
    let most = rush(&processes).await;
    assert!((13..=16).contains(&most), "{most} at once");
    let rest = async {
        while processes[0].health().in_use > 0 {
            sleep(20 * MS).await;
        }
    };
    timeout(Duration::from_secs(3), rest)
        .await
        .expect("idle permits go back");
}

pub(crate) async fn who_comes_first_goes_first_in_whatever_process(venue: &Venue) {
    let (a, b) = (venue.db(1).await, venue.db(1).await);
    let held = a.acquire().await;
    let order = Arc::new(std::sync::Mutex::new(Vec::new()));
    let mut waiters = Vec::new();
    for (n, process) in [&a, &b, &b, &a, &b, &a].into_iter().enumerate() {
        let order = Arc::clone(&order);
        let waiter = process.queue(process.limiter.request([&process.db])).await;
        waiters.push(tokio::spawn(async move {
            let permit = waiter.await.unwrap();
            order.lock().unwrap().push(n);
            sleep(10 * MS).await;
            drop(permit);
        }));
    }
    drop(held);
    for waiter in waiters {
        waiter.await.unwrap();
    }
    assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4, 5]);
}

pub(crate) async fn a_higher_priority_goes_first(venue: &Venue) {
    let (a, b) = (venue.db(1).await, venue.db(1).await);
    let held = a.acquire().await;
    let low = a.queue(a.limiter.request([&a.db])).await;
    let high = b.queue(b.limiter.request([&b.db]).priority(200)).await;
    drop(held);
    let first = timeout(Duration::from_secs(2), high)
        .await
        .expect("at once")
        .unwrap();
    assert!(!low.is_finished());
    drop(first);
    drop(
        timeout(Duration::from_secs(2), low)
            .await
            .expect("next")
            .unwrap(),
    );
}

fn lanes() -> Lanes {
    Lanes::shared([Lane::new("user").weight(3), Lane::new("batch")])
}

pub(crate) async fn lanes_share_by_weight(venue: &Venue) {
    let describe =
        |b: tower_concurrency_limiter::resource::ResourceBuilder| b.concurrency(1).lanes(lanes());
    let (a, b) = (venue.of(describe).await, venue.of(describe).await);
    let held = a.acquire().await;
    let served = Arc::new(std::sync::Mutex::new(Vec::new()));
    let mut waiters = Vec::new();
    for (process, lane) in [(&a, "batch"), (&b, "user")] {
        for _ in 0..8 {
            let served = Arc::clone(&served);
            let waiter = process
                .queue(process.limiter.request([&process.db]).lane(lane))
                .await;
            waiters.push(tokio::spawn(async move {
                let permit = waiter.await.unwrap();
                served.lock().unwrap().push(lane);
                drop(permit);
            }));
        }
    }
    drop(held);
    for waiter in waiters {
        waiter.await.unwrap();
    }
    let served = served.lock().unwrap();
    let users = served[..8].iter().filter(|lane| **lane == "user").count();
    assert_eq!(users, 6, "{served:?}");
}

pub(crate) async fn a_lane_is_known_by_its_name_in_all_processes(venue: &Venue) {
    let describe = |b: tower_concurrency_limiter::resource::ResourceBuilder| {
        b.concurrency(4)
            .lanes(Lanes::keyed(100).with_others(Lane::new("others").max(1)))
    };
    let (a, b) = (venue.of(describe).await, venue.of(describe).await);
    let request = |p: &Process, tenant: &str| {
        p.limiter
            .request([&p.db])
            .lane(tenant)
            .timeout(Duration::ZERO)
    };
    let held = request(&a, "acme").acquire().await.expect("room");
    // Each key has a lane of the kind of the others, of one unit, and it is the same in both.
    assert!(request(&b, "acme").acquire().await.is_err());
    let other = request(&b, "brown").acquire().await.expect("its own lane");
    drop((held, other));
}

pub(crate) async fn what_is_reserved_is_left_to_whom_it_is_for(venue: &Venue) {
    let describe =
        |b: tower_concurrency_limiter::resource::ResourceBuilder| b.concurrency(3).reserve(1, 100);
    let (a, b) = (venue.of(describe).await, venue.of(describe).await);
    let ask = |p: &Process, priority| {
        p.limiter
            .request([&p.db])
            .priority(priority)
            .timeout(Duration::ZERO)
            .acquire()
    };
    let _held = [ask(&a, 10).await.unwrap(), ask(&b, 10).await.unwrap()];
    assert!(ask(&a, 10).await.is_err());
    assert!(ask(&b, 100).await.is_ok());
}

pub(crate) async fn a_rate_counts_all_processes(venue: &Venue) {
    let describe = |b: tower_concurrency_limiter::resource::ResourceBuilder| {
        b.concurrency(100).rate(Rate::per_minute(5))
    };
    let processes = [venue.of(describe).await, venue.of(describe).await];
    for n in 0..5 {
        drop(processes[n % 2].acquire().await);
    }
    for process in &processes {
        let request = process
            .limiter
            .request([&process.db])
            .timeout(Duration::ZERO);
        let rejection = request.acquire().await.expect_err("five were enough");
        assert_eq!(rejection.reason(), Reason::NotNow);
        assert!(rejection.is_rate_limited());
        let after = rejection.retry_after().expect("known");
        assert!(
            after > Duration::from_secs(50) && after <= Duration::from_secs(60),
            "{after:?}"
        );
    }
}

pub(crate) async fn a_load_is_charged_and_settled(venue: &Venue) {
    let describe = |b: tower_concurrency_limiter::resource::ResourceBuilder| {
        b.concurrency(100).load_rate(Rate::per_minute(1_000))
    };
    let (a, b) = (venue.of(describe).await, venue.of(describe).await);
    let ask = |p: &Process, load| {
        p.limiter
            .request([&p.db])
            .load(load)
            .timeout(Duration::ZERO)
            .acquire()
    };
    let mut permit = ask(&a, 800).await.expect("room");
    assert!(ask(&b, 300).await.is_err());
    permit.settle_load(100);
    drop(permit);
    until("it is known", || a.health().in_use == 0).await;
    let permit = ask(&b, 900).await.expect("what was not used is back");
    assert!(ask(&a, 1).await.is_err());
    drop(permit);
}

pub(crate) async fn nobody_waits_beyond_the_deadline(venue: &Venue) {
    let (a, b) = (venue.db(1).await, venue.db(1).await);
    let held = a.acquire().await;
    let start = Instant::now();
    let request = b.limiter.request([&b.db]).timeout(200 * MS);
    let rejection = request.acquire().await.expect_err("it is held");
    assert_eq!(rejection.reason(), Reason::Timeout);
    assert!(start.elapsed() >= 200 * MS && start.elapsed() < 2_000 * MS);
    assert_eq!((b.db.waiting(), b.db.in_use()), (0, 0));
    drop(held);
    drop(b.acquire().await);
}

pub(crate) async fn the_queue_is_bounded(venue: &Venue) {
    let describe =
        |b: tower_concurrency_limiter::resource::ResourceBuilder| b.concurrency(1).max_waiting(1);
    let (a, b) = (venue.of(describe).await, venue.of(describe).await);
    let held = a.acquire().await;
    let waiter = a.queue(a.limiter.request([&a.db])).await;
    let rejection = b.limiter.acquire([&b.db]).await.expect_err("one is enough");
    assert_eq!(rejection.reason(), Reason::QueueFull);
    drop(held);
    drop(waiter.await.unwrap());
}

pub(crate) async fn a_full_queue_makes_place_for_a_higher_priority(venue: &Venue) {
    let describe =
        |b: tower_concurrency_limiter::resource::ResourceBuilder| b.concurrency(1).max_waiting(1);
    let (a, b) = (venue.of(describe).await, venue.of(describe).await);
    let held = a.acquire().await;
    let (limiter, db) = (a.limiter.clone(), a.db.clone());
    let low = tokio::spawn(async move { limiter.acquire([&db]).await });
    until("it waits", || a.db.waiting() == 1).await;
    sleep(50 * MS).await;
    let high = b.queue(b.limiter.request([&b.db]).priority(50)).await;
    let shed = timeout(Duration::from_secs(2), low)
        .await
        .expect("at once")
        .unwrap();
    assert_eq!(shed.expect_err("it gave way").reason(), Reason::Shed);
    drop(held);
    drop(high.await.unwrap());
}

pub(crate) async fn without_time_it_asks_once(venue: &Venue) {
    let (a, b) = (venue.db(1).await, venue.db(1).await);
    let ask = |p: &Process| p.limiter.request([&p.db]).timeout(Duration::ZERO).acquire();
    let held = ask(&a).await.expect("room");
    let rejection = ask(&b).await.expect_err("none left");
    assert_eq!(rejection.reason(), Reason::NotNow);
    assert_eq!(b.db.waiting(), 0);
    drop(held);
    until("it is known", || a.health().in_use == 0).await;
    assert!(ask(&b).await.is_ok());
    // Nobody can be asked here and now.
    assert!(a.limiter.try_acquire([&a.db]).is_err());
}

pub(crate) async fn who_gives_up_leaves_nothing_behind(venue: &Venue) {
    let (a, b) = (venue.db(1).await, venue.db(1).await);
    let held = a.acquire().await;
    for _ in 0..20 {
        let acquiring = b.limiter.acquire([&b.db]);
        assert!(timeout(5 * MS, acquiring).await.is_err());
    }
    until("nobody waits", || b.db.waiting() == 0).await;
    drop(held);
    drop(
        timeout(Duration::from_secs(2), b.acquire())
            .await
            .expect("nobody is before it"),
    );
    until("all is back", || {
        a.health().in_use == 0 && a.health().waiting == 0
    })
    .await;
}

pub(crate) async fn a_grant_that_nobody_collects_goes_to_the_next(venue: &Venue) {
    let (a, b) = (venue.db(1).await, venue.db(1).await);
    for n in 0..30 {
        let held = a.acquire().await;
        let mut acquiring = Box::pin(b.limiter.acquire([&b.db]));
        assert!(futures_util::poll!(&mut acquiring).is_pending());
        sleep(MS * (n % 4)).await;
        drop(held); // and the other one at some moment of the hand-off
        sleep(MS * (n % 3)).await;
        drop(acquiring);
    }
    let permit = timeout(Duration::from_secs(2), a.acquire()).await;
    drop(permit.expect("nothing got lost on the way"));
}

pub(crate) async fn sets_mix_shared_and_local_resources(venue: &Venue) {
    let backend = venue.process().await;
    let db = Resource::builder("db")
        .concurrency(1)
        .shared(&backend)
        .build();
    let fs = Resource::new("fs", 1);
    let limiter = Limiter::new(Duration::from_secs(10), [&fs, &db]);
    let other = venue.db(1).await;
    let held = other.acquire().await;

    // While it waits for the shared one, it holds nothing local.
    let both = limiter.clone();
    let set = (fs.clone(), db.clone());
    let waiter = tokio::spawn(async move { both.acquire([&set.0, &set.1]).await });
    until("it waits", || db.waiting() == 1).await;
    assert_eq!(fs.in_use(), 0);
    drop(limiter.try_acquire([&fs]).expect("fs is idle"));
    drop(held);
    let permit = waiter.await.unwrap().expect("in time");
    assert_eq!((fs.in_use(), db.in_use()), (1, 1));
    drop(permit);
    assert_eq!((fs.in_use(), db.in_use()), (0, 0));

    // One deadline for all: what it has got meanwhile goes back.
    let stuck = limiter.try_acquire([&fs]).expect("idle");
    let start = Instant::now();
    let request = limiter.request([&fs, &db]).timeout(200 * MS);
    let rejection = request.acquire().await.expect_err("fs is held");
    assert_eq!(
        (rejection.reason(), rejection.resource()),
        (Reason::Timeout, "fs")
    );
    assert!(start.elapsed() < 1_500 * MS);
    drop(
        timeout(Duration::from_secs(2), other.acquire())
            .await
            .expect("db came back"),
    );
    drop(stuck);
}

pub(crate) async fn sets_of_shared_resources_do_not_deadlock(venue: &Venue) {
    let mut tasks = Vec::new();
    for is_turned in [false, true] {
        let backend = venue.process().await;
        let one = Resource::builder("one")
            .concurrency(1)
            .shared(&backend)
            .build();
        let two = Resource::builder("two")
            .concurrency(1)
            .shared(&backend)
            .build();
        let order = if is_turned {
            [&two, &one]
        } else {
            [&one, &two]
        };
        let limiter = Limiter::new(Duration::from_secs(20), order);
        let set = order.map(Clone::clone);
        tasks.push(tokio::spawn(async move {
            for _ in 0..50 {
                let permit = limiter.acquire(&set).await.expect("in time");
                tokio::task::yield_now().await;
                drop(permit);
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
}

pub(crate) async fn a_limit_can_be_changed_for_all(venue: &Venue) {
    let (a, b) = (venue.db(1).await, venue.db(1).await);
    let held = a.acquire().await;
    let waiter = b.queue(b.limiter.request([&b.db])).await;
    a.db.set_limit(2).expect("in range");
    let second = timeout(Duration::from_secs(2), waiter)
        .await
        .expect("let in")
        .unwrap();
    until("all know it", || b.health().limit == Some(2)).await;
    b.db.set_limit(1).expect("in range");
    until("all know it", || a.health().limit == Some(1)).await;
    drop(held);
    let request = a.limiter.request([&a.db]).timeout(100 * MS);
    assert!(
        request.acquire().await.is_err(),
        "one is held, and that is all"
    );
    drop(second);
    drop(a.acquire().await);
}

pub(crate) async fn the_higher_revision_counts(venue: &Venue) {
    let with = |limit, revision| async move {
        let backend = venue.process().await;
        let sharing = backend.strict().revision(revision);
        Process::with(backend, sharing, move |b| b.concurrency(limit)).await
    };
    let old = with(2, 1).await;
    let same = with(7, 1).await;
    assert_eq!(
        (old.health().limit, same.health().limit),
        (Some(2), Some(2))
    );
    let new = with(5, 2).await;
    assert_eq!(new.health().limit, Some(5));
    until("the old one knows", || old.health().limit == Some(5)).await;
    let late = with(3, 0).await;
    assert_eq!(late.health().limit, Some(5));
}

pub(crate) async fn tokens_grow(venue: &Venue) {
    let (a, b) = (venue.db(1).await, venue.db(1).await);
    let mut last = None;
    for n in 0..10 {
        let process = [&a, &b][n % 2];
        let permit = process.acquire().await;
        assert!(permit.is_valid());
        let token = permit.fencing_token(&process.db).expect("it is shared");
        assert!(last < Some(token), "{last:?} then {token}");
        last = Some(token);
    }
}

pub(crate) async fn a_closed_limiter_turns_everybody_away(venue: &Venue) {
    let (a, b) = (venue.db(1).await, venue.db(1).await);
    let held = b.acquire().await;
    let (limiter, db) = (a.limiter.clone(), a.db.clone());
    let waiter = tokio::spawn(async move { limiter.acquire([&db]).await });
    until("it waits", || a.db.waiting() == 1).await;
    a.limiter.close();
    let rejection = waiter.await.unwrap().expect_err("closed");
    assert_eq!(rejection.reason(), Reason::Closed);
    assert_eq!(
        a.limiter
            .acquire([&a.db])
            .await
            .expect_err("closed")
            .reason(),
        Reason::Closed
    );
    drop(held);
    drop(b.acquire().await); // others are not concerned
    a.limiter.drained().await;
}

pub(crate) async fn a_clean_shutdown_gives_everything_back(venue: &Venue) {
    let (a, b) = (venue.db(2).await, venue.db(2).await);
    let _held = [a.acquire().await, a.acquire().await];
    let waiter = b.queue(b.limiter.request([&b.db])).await;
    let start = Instant::now();
    a.backend.close().await;
    drop(
        timeout(Duration::from_secs(1), waiter)
            .await
            .expect("at once")
            .unwrap(),
    );
    assert!(start.elapsed() < 400 * MS, "{:?}", start.elapsed());
    until("one is left", || b.health().processes == 1).await;
}

fn calls(before: Option<u64>, url: &str) -> u64 {
    let client = ::redis::Client::open(url).unwrap();
    let mut connection = client.get_connection().unwrap();
    let stats: String = ::redis::cmd("INFO")
        .arg("commandstats")
        .query(&mut connection)
        .unwrap();
    let calls = |line: &str| line.split(['=', ',']).nth(1)?.parse::<u64>().ok();
    let total: u64 = stats
        .lines()
        .filter(|line| line.starts_with("cmdstat_eval"))
        .filter_map(calls)
        .sum();
    total - before.unwrap_or(0)
}

pub(crate) async fn a_cache_needs_no_round_trip_while_nobody_waits(venue: &Venue) {
    let a = venue.cached(16).await;
    drop(a.acquire().await);
    let before = calls(None, venue.url());
    let start = Instant::now();
    for _ in 0..1_000 {
        drop(a.limiter.try_acquire([&a.db]).expect("it is idle here"));
    }
    let (calls, time) = (calls(Some(before), venue.url()), start.elapsed());
    // Heartbeats, and what went back if the machine was busy elsewhere.
    assert!(calls < 20, "{calls} calls in {time:?}");
}

pub(crate) async fn a_cache_gives_way_to_those_who_wait(venue: &Venue) {
    let (a, b) = (venue.cached(16).await, venue.cached(16).await);
    let busy = tokio::spawn({
        let (limiter, db) = (a.limiter.clone(), a.db.clone());
        async move {
            loop {
                // One after the other, so that what is idle is never idle for long.
                let permits = [limiter.acquire([&db]).await, limiter.acquire([&db]).await];
                tokio::task::yield_now().await;
                drop(permits);
            }
        }
    });
    sleep(100 * MS).await;
    let start = Instant::now();
    let request = b.limiter.request([b.db.units(14)]);
    let all = timeout(Duration::from_secs(5), request.acquire()).await;
    let permit = all.expect("they are called back").expect("in time");
    assert!(start.elapsed() < 1_000 * MS, "{:?}", start.elapsed());
    drop(permit);
    busy.abort();
}

pub(crate) async fn health_says_who_shares(venue: &Venue) {
    let a = venue.db(3).await;
    let health = a.health();
    assert_eq!(
        (health.state, health.processes, health.limit),
        (SharedState::Connected, 1, Some(3))
    );
    assert!(health.epoch > 0 && health.silence().is_some_and(|s| s < Duration::from_secs(2)));
    let b = venue.db(3).await;
    let _held = b.acquire().await;
    until("it is seen", || {
        a.health().processes == 2 && a.health().in_use == 1
    })
    .await;
    assert_eq!((a.db.in_use(), b.db.in_use()), (0, 1));
    assert_eq!(Resource::new("local", 1).health(), None);
}

pub(crate) async fn routes_are_limited_across_processes(venue: &Venue) {
    async fn work() -> &'static str {
        sleep(200 * MS).await;
        "done"
    }
    let (a, b) = (venue.db(1).await, venue.db(1).await);
    let app = |p: &Process, timeout: Duration| {
        let layer = p.limiter.resources([&p.db]).timeout(timeout);
        Router::new().route("/", get(work).route_layer(layer))
    };
    let request = || Request::builder().uri("/").body(Body::empty()).unwrap();
    let first = tokio::spawn(app(&a, MS * 5_000).oneshot(request()));
    until("it is held", || a.db.in_use() == 1).await;
    let refused = app(&b, 20 * MS).oneshot(request()).await.unwrap();
    assert_eq!(refused.status(), 503);
    let response = first.await.unwrap().unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(a.db.in_use(), 1, "until the body has ended");
    drop(
        axum::body::to_bytes(response.into_body(), 100)
            .await
            .unwrap(),
    );
    let response = app(&b, MS * 5_000).oneshot(request()).await.unwrap();
    assert_eq!(response.status(), 200);
}
