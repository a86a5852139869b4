//! Limits that change while requests come and go.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::poll;
use tokio::{task::JoinSet, task::yield_now, time::advance};
use tokio_test::{
    assert_pending, assert_ready_ok,
    task::{Spawn, spawn},
};
use tower_concurrency_limiter::{
    Lane, Lanes, Limiter, Permit, Rate, Reason, Resource, limiter::Acquire,
};

const SECOND: Duration = Duration::from_secs(1);

/// The same limit, of a resource that is nothing else and of some that are more.
fn each_kind(limit: usize) -> [Resource; 4] {
    let db = || Resource::builder("db").concurrency(limit);
    [
        db().build(),
        db().rate(Rate::per_second(1_000_000)).build(),
        db().lanes(Lanes::shared([Lane::new("all")])).build(),
        db().reserve(1, 250).build(),
    ]
}

fn limiter_of(db: &Resource) -> Limiter {
    Limiter::new(60 * SECOND, [db])
}

fn wait(limiter: &Limiter, db: &Resource) -> Spawn<Acquire> {
    let mut waiting = spawn(limiter.request([db]).priority(255).acquire());
    assert_pending!(waiting.poll());
    waiting
}

fn take_all(limiter: &Limiter, db: &Resource) -> Vec<Permit> {
    let take = || limiter.request([db]).priority(255).try_acquire().ok();
    std::iter::from_fn(take).collect()
}

#[tokio::test(start_paused = true)]
async fn raising_lets_waiters_in_at_once_and_in_order() {
    for db in each_kind(2) {
        let limiter = limiter_of(&db);
        let _held = take_all(&limiter, &db);
        let mut waiting: Vec<_> = (0..5).map(|_| wait(&limiter, &db)).collect();
        db.set_limit(4).expect("in range");
        let woken: Vec<_> = waiting.iter().map(Spawn::is_woken).collect();
        assert_eq!(woken, [true, true, false, false, false], "{db:?}");
        db.set_limit(6).expect("in range");
        assert_eq!((db.in_use(), db.waiting()), (6, 1));
        let permits: Vec<_> = waiting
            .drain(..4)
            .map(|mut waiting| assert_ready_ok!(waiting.poll()))
            .collect();
        drop(permits);
        assert!(waiting[0].is_woken());
    }
}

#[tokio::test(start_paused = true)]
async fn lowering_takes_nothing_and_lets_nobody_in_above_it() {
    for db in each_kind(5) {
        let limiter = limiter_of(&db);
        let mut held = take_all(&limiter, &db);
        assert_eq!(held.len(), 5);
        db.set_limit(2).expect("in range");
        assert_eq!((db.in_use(), db.limit()), (5, Some(2)));
        let waiting = wait(&limiter, &db);
        for in_use in [4, 3, 2] {
            drop(held.pop());
            assert_eq!(db.in_use(), in_use);
            assert!(!waiting.is_woken());
            assert!(limiter.try_acquire([&db]).is_err());
        }
        drop(held.pop());
        assert!(waiting.is_woken(), "now there is room");
        assert_eq!(db.in_use(), 2);
        drop((held, waiting));
        assert_eq!(take_all(&limiter, &db).len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_zero_pauses_until_it_is_raised() {
    for db in each_kind(2) {
        let limiter = limiter_of(&db);
        let layer = limiter.resources([db.units(2)]);
        let held = take_all(&limiter, &db);
        db.set_limit(0).expect("in range");
        drop(held);
        assert_eq!(take_all(&limiter, &db).len(), 0);
        let mut waiting = wait(&limiter, &db);
        advance(30 * SECOND).await;
        yield_now().await;
        assert_pending!(waiting.poll());
        let late = limiter.request([&db]).timeout(SECOND).acquire().await;
        assert_eq!(late.expect_err("paused").reason(), Reason::Timeout);
        drop((layer, limiter.resources([db.units(2)]))); // no mistake: there were as many
        db.set_limit(1).expect("in range");
        drop(assert_ready_ok!(waiting.poll()));
        assert_eq!((db.in_use(), db.waiting()), (0, 0));
    }
}

/// A claim above a lowered limit waits until it is raised.
#[tokio::test(start_paused = true)]
async fn a_wide_claim_waits_for_the_limit() {
    let db = Resource::new("db", 3);
    let limiter = limiter_of(&db);
    db.set_limit(2).expect("in range");
    let mut wide = spawn(limiter.acquire([db.units(3)]));
    assert_pending!(wide.poll());
    let error = limiter.try_request([db.units(4)]).expect_err("never had 4");
    assert!(error.is_units());
    db.set_limit(4).expect("in range");
    drop(assert_ready_ok!(wide.poll()));
    assert!(limiter.try_request([db.units(4)]).is_ok());
}

#[tokio::test(start_paused = true)]
async fn before_registration_and_after_the_limiter_is_gone() {
    for db in each_kind(5) {
        db.set_limit(2).expect("in range");
        let limiter = limiter_of(&db);
        assert_eq!(take_all(&limiter, &db).len(), 2);
        drop(limiter);
        db.set_limit(3).expect("in range");
        assert_eq!(db.limit(), Some(3));
        let limiter = limiter_of(&db);
        assert_eq!(take_all(&limiter, &db).len(), 3);
        let last = limiter.try_acquire([&db]).expect("idle");
        drop(limiter);
        db.set_limit(1).expect("in range");
        assert_eq!(
            (db.in_use(), db.limit()),
            (1, Some(1)),
            "the permit keeps it registered"
        );
        drop(last);
        assert_eq!(take_all(&limiter_of(&db), &db).len(), 1);
    }
}

/// Strict portions follow a limit that was changed before anybody was there.
#[tokio::test(start_paused = true)]
async fn strict_portions_follow_the_limit() {
    let lanes = Lanes::strict([Lane::new("user").weight(3), Lane::new("batch")]);
    let db = Resource::builder("db").concurrency(4).lanes(lanes).build();
    let room = |limiter: &Limiter, lane: &str| {
        let take = || limiter.request([&db]).lane(lane).try_acquire().ok();
        std::iter::from_fn(take).collect::<Vec<_>>().len()
    };
    db.set_limit(8).expect("in range");
    let limiter = limiter_of(&db);
    assert_eq!((room(&limiter, "user"), room(&limiter, "batch")), (6, 2));
    db.set_limit(16).expect("in range");
    assert_eq!((room(&limiter, "user"), room(&limiter, "batch")), (12, 4));
    db.set_limit(0).expect("in range");
    assert_eq!((room(&limiter, "user"), room(&limiter, "batch")), (0, 0));
    db.set_limit(4).expect("in range");
    assert_eq!((room(&limiter, "user"), room(&limiter, "batch")), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn a_lane_may_change() {
    let lanes = Lanes::shared([Lane::new("user").reserve(1), Lane::new("batch").max(2)]);
    let db = Resource::builder("db").concurrency(10).lanes(lanes).build();
    let limiter = limiter_of(&db);
    let take = |lane: &str| {
        let take = || limiter.request([&db]).lane(lane).try_acquire().ok();
        std::iter::from_fn(take).collect::<Vec<_>>()
    };
    let held = take("batch");
    assert_eq!(held.len(), 2);
    let mut waiting = spawn(limiter.request([&db]).lane("batch").acquire());
    assert_pending!(waiting.poll());
    db.set_lane(&Lane::new("batch").max(3)).expect("declared");
    assert!(waiting.is_woken(), "at once");
    drop(assert_ready_ok!(waiting.poll()));
    drop(held);
    db.set_lane(&Lane::new("batch")).expect("declared");
    assert_eq!(take("batch").len(), 9, "all but the reserve");
    db.set_lane(&Lane::new("user").reserve(4))
        .expect("declared");
    assert_eq!(take("batch").len(), 6);
    db.set_lane(&Lane::new("user")).expect("declared");
    assert_eq!(take("batch").len(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_reserve_may_change() {
    let db = Resource::builder("db")
        .concurrency(4)
        .reserve(3, 100)
        .build();
    let limiter = limiter_of(&db);
    let _held = limiter.try_acquire([&db]).expect("one is for all");
    let mut waiting = spawn(limiter.acquire([&db]));
    assert_pending!(waiting.poll());
    db.set_reserve(2, 100).expect("there is one");
    assert!(waiting.is_woken(), "at once");
    let permit = assert_ready_ok!(waiting.poll());
    drop(permit);
    db.set_reserve(4, 100).expect("there is one");
    assert!(limiter.try_acquire([&db]).is_err());
    assert!(limiter.request([&db]).priority(100).try_acquire().is_ok());
}

/// What cannot be changed changes nothing.
#[tokio::test(start_paused = true)]
async fn a_mistake_changes_nothing() {
    let lanes = Lanes::shared([Lane::new("user"), Lane::new("batch").max(2)]);
    let db = Resource::builder("db").concurrency(10).lanes(lanes).build();
    let limiter = limiter_of(&db);
    let refused = db.set_lane(&Lane::new("batch").max(5).reserve(1));
    refused.expect_err("it has no reserve");
    let take = || limiter.request([&db]).lane("batch").try_acquire().ok();
    assert_eq!(std::iter::from_fn(take).collect::<Vec<_>>().len(), 2);
}

/// Dice that can be thrown again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        ((self.0 >> 33) % sides) as usize
    }
}

async fn client(limiter: Limiter, resources: [Resource; 2], seed: u64, most: usize) {
    let [db, _] = &resources;
    let mut dice = Dice(seed);
    for _ in 0..2_000 {
        let set = match dice.roll(4) {
            0 => vec![db.units(1 + dice.roll(3))],
            1 => resources.iter().map(|r| r.units(1)).collect(),
            _ => vec![db.units(1)],
        };
        let request = limiter
            .request(set)
            .priority(dice.roll(256) as u8)
            .lane(dice.roll(3) as u64);
        match dice.roll(8) {
            0 => db.set_limit(dice.roll(most as u64 + 1)).expect("in range"),
            1 => drop(request.try_acquire()),
            2 => {
                let mut acquire = request.acquire();
                drop(poll!(&mut acquire));
                yield_now().await;
            }
            3 => drop(request.timeout(Duration::from_micros(50)).acquire().await),
            _ => {
                let permit = request.timeout(Duration::from_millis(1)).acquire().await;
                assert!(db.in_use() <= most, "never above the highest limit");
                yield_now().await;
                drop(permit);
            }
        }
    }
}

/// From several threads, and in the end nothing is held and nobody waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn limits_at_random_under_load() {
    const MOST: usize = 6;
    for db in each_kind(MOST) {
        let fs = Resource::new("fs", 2);
        let limiter = Limiter::new(60 * SECOND, [&db, &fs]);
        let mut clients = JoinSet::new();
        for seed in 0..8 {
            let resources = [db.clone(), fs.clone()];
            clients.spawn(client(limiter.clone(), resources, seed, MOST));
        }
        let done = clients.join_all();
        tokio::time::timeout(60 * SECOND, done)
            .await
            .expect("nobody sleeps for ever");
        assert_eq!((db.in_use(), db.waiting()), (0, 0), "{db:?}");
        assert_eq!((fs.in_use(), fs.waiting()), (0, 0));
        db.set_limit(MOST).expect("in range");
        assert_eq!(take_all(&limiter, &db).len(), MOST, "all units are there");
    }
}

/// A limit that only goes up and down by one: whoever waits is let in, as each raise finds room.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_wake_up_is_lost_when_limits_move() {
    for db in each_kind(1) {
        let limiter = Limiter::new(600 * SECOND, [&db]);
        let served = Arc::new(AtomicUsize::new(0));
        let mut clients = JoinSet::new();
        for _ in 0..8 {
            let (limiter, db, served) = (limiter.clone(), db.clone(), Arc::clone(&served));
            clients.spawn(async move {
                for _ in 0..500 {
                    let permit = limiter.request([&db]).priority(255).acquire().await;
                    served.fetch_add(1, Ordering::Relaxed);
                    yield_now().await;
                    drop(permit.expect("in time"));
                }
            });
        }
        let mover = async {
            for limit in (0..3).cycle() {
                db.set_limit(limit).expect("in range");
                yield_now().await;
                if served.load(Ordering::Relaxed) == 4_000 {
                    return;
                }
            }
        };
        tokio::time::timeout(120 * SECOND, mover)
            .await
            .expect("all are served");
        while clients.join_next().await.is_some() {}
        assert_eq!((db.in_use(), db.waiting()), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_resource_without_a_limit_has_none_until_it_is_given_one() {
    for is_registered in [false, true] {
        let api = Resource::builder("api")
            .rate(Rate::per_second(1_000))
            .build();
        let limiter = is_registered.then(|| limiter_of(&api));
        assert_eq!(api.limit(), None);
        assert!(format!("{api:?}").contains("limit: None"), "{api:?}");
        assert!(api.set_limit(Resource::MAX_LIMIT + 1).is_err());
        assert_eq!(api.limit(), None, "unchanged");
        api.set_limit(Resource::MAX_LIMIT).expect("the largest one");
        assert_eq!(api.limit(), Some(Resource::MAX_LIMIT));
        api.set_limit(2).expect("in range");
        assert_eq!(api.limit(), Some(2));
        let limiter = limiter.unwrap_or_else(|| limiter_of(&api));
        assert_eq!(take_all(&limiter, &api).len(), 2);
    }
}
