//! A claim that exceeds what it can have stands aside, and blocks nothing.

use std::time::Duration;

use http::StatusCode;
use tokio::{
    task::{JoinHandle, JoinSet, yield_now},
    time::{Instant, advance, sleep},
};
use tokio_test::{
    assert_pending, assert_ready_err, assert_ready_ok,
    task::{Spawn, spawn},
};
use tower::{Layer, ServiceExt, service_fn};
use tower_concurrency_limiter::{
    Lane, Lanes, Limiter, Overload, Permit, Rate, Reason, Resource, limiter::Acquire,
};
use tracing_subscriber::filter::LevelFilter;

use test_support::{events::listen, http::get};

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

/// The same limit, of a resource that is nothing else and of some that are more.
fn each_kind(limit: usize) -> [Resource; 5] {
    let db = || Resource::builder("db").concurrency(limit);
    [
        db().build(),
        db().rate(Rate::per_second(1_000_000)).build(),
        db().lanes(Lanes::shared([Lane::new("all")])).build(),
        db().lanes(Lanes::keyed(8)).build(),
        db().overload(Overload::new().interval(100 * MS).target(20 * MS))
            .build(),
    ]
}

fn limiter_of<'a>(resources: impl IntoIterator<Item = &'a Resource>) -> Limiter {
    Limiter::new(60 * SECOND, resources)
}

fn wait(limiter: &Limiter, db: &Resource, units: usize) -> Spawn<Acquire> {
    let mut waiting = spawn(limiter.acquire([db.units(units)]));
    assert_pending!(waiting.poll());
    waiting
}

#[tokio::test(start_paused = true)]
async fn a_claim_above_a_lowered_limit_blocks_nobody() {
    for db in each_kind(4) {
        let limiter = limiter_of([&db]);
        db.set_limit(3).expect("in range");
        let wide = wait(&limiter, &db, 4);
        let held: Vec<Permit> = (0..3).flat_map(|_| limiter.try_acquire([&db])).collect();
        assert_eq!(
            held.len(),
            3,
            "all units of {db:?} are free for narrow claims"
        );
        let mut narrow: Vec<_> = (0..3).map(|_| wait(&limiter, &db, 1)).collect();
        assert_eq!(db.waiting(), 4, "it counts as a waiter");
        drop(held);
        assert!(narrow.iter_mut().all(|narrow| narrow.poll().is_ready()));
        assert!(!wide.is_woken());
    }
}

/// It was the first of its flow when the limit fell, and the last to come must not be hidden behind
/// it.
#[tokio::test(start_paused = true)]
async fn one_that_was_first_when_the_limit_fell_steps_aside() {
    for db in each_kind(4) {
        let limiter = limiter_of([&db]);
        let held = limiter.try_acquire([db.units(2)]).expect("free");
        let wide = wait(&limiter, &db, 4);
        let mut narrow: Vec<_> = (0..2).map(|_| wait(&limiter, &db, 1)).collect();
        db.set_limit(3).expect("in range");
        assert!(narrow[0].is_woken(), "one unit is left beside two of three");
        drop(assert_ready_ok!(narrow[0].poll()));
        drop(assert_ready_ok!(narrow[1].poll()));
        drop(held);
        assert!(!wide.is_woken());
        assert_eq!((db.in_use(), db.waiting()), (0, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn when_the_limit_is_raised_it_goes_at_once_and_in_its_order() {
    for db in each_kind(4) {
        let limiter = limiter_of([&db]);
        let held = limiter.try_acquire([db.units(3)]).expect("free");
        db.set_limit(3).expect("in range");
        let mut first = wait(&limiter, &db, 1);
        let mut wide = wait(&limiter, &db, 4);
        let mut last = wait(&limiter, &db, 1);
        db.set_limit(4).expect("in range");
        let permit = assert_ready_ok!(first.poll());
        assert!(
            !wide.is_woken() && !last.is_woken(),
            "it blocks, as it can be met"
        );
        drop((held, permit));
        let permit = assert_ready_ok!(wide.poll());
        assert!(!last.is_woken());
        drop(permit);
        drop(assert_ready_ok!(last.poll()));

        db.set_limit(3).expect("in range");
        let mut wide = wait(&limiter, &db, 4);
        db.set_limit(4).expect("in range");
        assert!(wide.is_woken(), "at once, as nothing is in use");
        drop(assert_ready_ok!(wide.poll()));
        assert_eq!((db.in_use(), db.waiting()), (0, 0));
        drop(limiter.try_acquire([db.units(4)]).expect("all are back"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_keeps_the_order_whatever_is_claimed() {
    for db in each_kind(3) {
        let limiter = limiter_of([&db]);
        let held = limiter.try_acquire([&db]).expect("free");
        let mut before = wait(&limiter, &db, 3);
        db.set_limit(0).expect("in range");
        let mut during = [1, 3, 1].map(|units| wait(&limiter, &db, units));
        drop(held);
        db.set_limit(2).expect("in range");
        let one = assert_ready_ok!(during[0].poll());
        let other = assert_ready_ok!(during[2].poll());
        assert!(!before.is_woken() && !during[1].is_woken(), "3 of 2");
        db.set_limit(3).expect("in range");
        drop((one, other));
        let permit = assert_ready_ok!(before.poll());
        assert!(!during[1].is_woken());
        drop(permit);
        drop(assert_ready_ok!(during[1].poll()));
    }
}

#[tokio::test(start_paused = true)]
async fn its_deadline_comes_and_names_the_resource() {
    for db in each_kind(4) {
        let fs = Resource::new("fs", 1);
        let limiter = limiter_of([&fs, &db]);
        db.set_limit(3).expect("in range");
        let start = Instant::now();
        let set = [fs.units(1), db.units(4)];
        let rejection = limiter.request(set).timeout(2 * SECOND).acquire().await;
        let rejection = rejection.expect_err("never");
        assert_eq!(
            (rejection.reason(), rejection.resource()),
            (Reason::Timeout, "db")
        );
        assert_eq!(
            (rejection.waited(), start.elapsed()),
            (2 * SECOND, 2 * SECOND)
        );
        assert!(limiter.try_acquire([db.units(4)]).is_err());
        assert_eq!((db.waiting(), fs.waiting(), fs.in_use()), (0, 0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_one_leaves_nothing_behind() {
    for db in each_kind(4) {
        let limiter = limiter_of([&db]);
        db.set_limit(3).expect("in range");
        let wide = [4, 4, 4].map(|units| wait(&limiter, &db, units));
        drop(wide);
        assert_eq!(db.waiting(), 0);
        db.set_limit(4).expect("in range");
        drop(limiter.try_acquire([db.units(4)]).expect("free"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_higher_priority_that_is_too_wide_blocks_no_lower_one() {
    for db in each_kind(4) {
        let limiter = limiter_of([&db]);
        let held = limiter.try_acquire([db.units(3)]).expect("free");
        db.set_limit(3).expect("in range");
        let mut wide = spawn(limiter.request([db.units(4)]).priority(200).acquire());
        assert_pending!(wide.poll());
        let mut narrow = wait(&limiter, &db, 1);
        drop(held);
        drop(assert_ready_ok!(narrow.poll()));
        let held = limiter.try_acquire([db.units(3)]).expect("free");
        let low = wait(&limiter, &db, 1);
        db.set_limit(4).expect("in range");
        drop(held);
        assert!(wide.is_woken() && !low.is_woken(), "by priority again");
    }
}

/// Who waits for `fs` in vain must not come to have units of `db` set aside.
#[tokio::test(start_paused = true)]
async fn a_set_that_is_too_wide_at_one_resource_blocks_none() {
    let (db, fs) = (Resource::new("db", 2), Resource::new("fs", 3));
    let limiter = limiter_of([&db, &fs]);
    // Overtaken by turns until its units are set aside at both.
    let mut held = [[db.units(2)], [fs.units(3)]].map(|all| limiter.try_acquire(all).ok());
    let mut set = spawn(limiter.acquire([db.units(2), fs.units(3)]));
    assert_pending!(set.poll());
    for round in 0.. {
        assert!(round < 40, "its units should have been set aside by now");
        let narrow = [&db, &fs].map(|resource| wait(&limiter, resource, 1));
        for (held, mut narrow) in held.iter_mut().zip(narrow) {
            *held = None;
            *held = narrow.is_woken().then(|| assert_ready_ok!(narrow.poll()));
        }
        if held.iter().any(Option::is_none) {
            break;
        }
    }
    fs.set_limit(2).expect("in range");
    held = [None, None];
    assert!(!set.is_woken());
    for _ in 0..40 {
        let all = [db.units(2), fs.units(2)].map(|claim| limiter.try_acquire([claim]));
        assert!(all.iter().all(Result::is_ok), "nothing is set aside");
    }
    drop(held);
    fs.set_limit(3).expect("in range");
    drop(assert_ready_ok!(set.poll()));
}

#[tokio::test(start_paused = true)]
async fn a_claim_wider_than_the_max_of_its_lane_blocks_neither_it_nor_others() {
    let lanes = Lanes::shared([Lane::new("user"), Lane::new("batch").max(2)]);
    let db = Resource::builder("db").concurrency(4).lanes(lanes).build();
    let limiter = limiter_of([&db]);
    let of = |lane: &'static str, units| limiter.request([db.units(units)]).lane(lane);
    let held = [of("user", 3), of("batch", 1)].map(|request| request.try_acquire().ok());
    let mut wide = spawn(of("batch", 3).acquire());
    assert_pending!(wide.poll());
    let mut waiting = ["batch", "user"].map(|lane| spawn(of(lane, 1).acquire()));
    waiting
        .iter_mut()
        .for_each(|waiting| assert_pending!(waiting.poll()));
    drop(held);
    let permits = waiting.map(|mut waiting| assert_ready_ok!(waiting.poll()));
    drop(permits);
    assert!(!wide.is_woken());
    db.set_lane(&Lane::new("batch").max(3)).expect("declared");
    drop(assert_ready_ok!(wide.poll()));
}

#[tokio::test(start_paused = true)]
async fn a_claim_wider_than_a_strict_portion_blocks_nobody_until_the_limit_is_raised() {
    let lanes = Lanes::strict([Lane::new("user"), Lane::new("batch")]);
    let db = Resource::builder("db").concurrency(8).lanes(lanes).build();
    let limiter = limiter_of([&db]);
    let of = |lane: &'static str, units| limiter.request([db.units(units)]).lane(lane);
    db.set_limit(4).expect("in range");
    let mut wide = spawn(of("batch", 4).acquire());
    assert_pending!(wide.poll());
    let held = of("batch", 2).try_acquire().expect("free");
    let mut narrow = spawn(of("batch", 1).acquire());
    assert_pending!(narrow.poll());
    drop(held);
    drop(assert_ready_ok!(narrow.poll()));
    db.set_limit(8).expect("in range");
    drop(assert_ready_ok!(wide.poll()));
}

#[tokio::test(start_paused = true)]
async fn a_claim_wider_than_reserves_leave_blocks_nobody() {
    let db = Resource::builder("db")
        .concurrency(4)
        .reserve(2, 100)
        .build();
    let limiter = limiter_of([&db]);
    let mut wide = spawn(limiter.acquire([db.units(3)]));
    assert_pending!(wide.poll());
    let held = limiter.try_acquire([db.units(2)]).expect("not reserved");
    let mut narrow = wait(&limiter, &db, 1);
    drop(held);
    drop(assert_ready_ok!(narrow.poll()));
    drop(limiter.request([db.units(4)]).priority(100).try_acquire());
    assert_eq!((db.in_use(), db.waiting()), (0, 1));
    db.set_reserve(1, 100).expect("there is one");
    drop(assert_ready_ok!(wide.poll()));
}

/// More is reserved than is left of the limit: those it is for can have what is there.
#[tokio::test(start_paused = true)]
async fn a_reserve_above_a_lowered_limit_is_for_those_it_is_for() {
    let db = Resource::builder("db")
        .concurrency(4)
        .reserve(3, 100)
        .build();
    let limiter = limiter_of([&db]);
    db.set_limit(2).expect("in range");
    let others = wait(&limiter, &db, 1);
    let urgent = |units| limiter.request([db.units(units)]).priority(100);
    let held = urgent(2).try_acquire().expect("theirs");
    let mut wide = spawn(urgent(3).acquire());
    let mut narrow = spawn(urgent(1).acquire());
    assert_pending!(wide.poll());
    assert_pending!(narrow.poll());
    drop(held);
    drop(assert_ready_ok!(narrow.poll()));
    db.set_limit(4).expect("in range");
    drop(assert_ready_ok!(wide.poll()));
    assert!(others.is_woken());
}

#[tokio::test(start_paused = true)]
async fn it_takes_a_place_in_the_queue_and_gives_way_as_others_do() {
    let db = Resource::builder("db")
        .concurrency(2)
        .max_waiting(2)
        .build();
    let limiter = limiter_of([&db]);
    db.set_limit(1).expect("in range");
    let _held = limiter.try_acquire([&db]).expect("free");
    let mut wide = wait(&limiter, &db, 2);
    let narrow = wait(&limiter, &db, 1);
    let full = limiter.acquire([&db]).await.expect_err("two wait");
    assert_eq!(full.reason(), Reason::QueueFull);
    let urgent = || spawn(limiter.request([&db]).priority(100).acquire());
    let mut first = urgent();
    assert_pending!(first.poll());
    assert!(
        narrow.is_woken() && !wide.is_woken(),
        "the youngest of the lowest"
    );
    let mut second = urgent();
    assert_pending!(second.poll());
    assert_eq!(assert_ready_err!(wide.poll()).reason(), Reason::Shed);
}

/// One claim a second that is too wide, beside narrow ones that have room.
async fn beside_a_stream(db: Resource) -> Vec<Duration> {
    let limiter = Limiter::new(5 * SECOND, [&db]);
    db.set_limit(3).expect("in range");
    let mut narrow = JoinSet::new();
    let mut wide: Vec<JoinHandle<_>> = Vec::new();
    for tick in 0..3_000 {
        if tick % 100 == 0 {
            wide.push(tokio::spawn(limiter.acquire([db.units(4)])));
        }
        let (limiter, db) = (limiter.clone(), db.clone());
        narrow.spawn(async move {
            let start = Instant::now();
            let _permit = limiter.acquire([&db]).await.expect("there is room");
            sleep(10 * MS).await;
            start.elapsed()
        });
        sleep(10 * MS).await;
    }
    let mut took = narrow.join_all().await;
    for wide in wide {
        wide.await.expect("no panic").expect_err("3 units in all");
    }
    took.sort();
    took
}

#[tokio::test(start_paused = true)]
async fn a_wide_claim_a_second_costs_narrow_ones_nothing() {
    for db in each_kind(4) {
        let took = beside_a_stream(db).await;
        let (p50, last) = (took[took.len() / 2], took[took.len() - 1]);
        assert!(
            p50 <= 11 * MS && last <= 21 * MS,
            "p50 {p50:?}, all {last:?}"
        );
    }
}

/// Where nothing was lowered it is as ever: whatever can be met is waited for.
#[tokio::test(start_paused = true)]
async fn a_wide_claim_that_can_be_met_is_not_starved() {
    for db in each_kind(4) {
        let limiter = limiter_of([&db]);
        let mut stream = JoinSet::new();
        for n in 0..400_u32 {
            let (limiter, db) = (limiter.clone(), db.clone());
            stream.spawn(async move {
                sleep(n * 10 * MS).await;
                let permit = limiter.acquire([&db]).await.expect("in time");
                sleep(30 * MS).await;
                drop(permit);
            });
        }
        sleep(SECOND).await;
        let start = Instant::now();
        drop(limiter.acquire([db.units(4)]).await.expect("in time"));
        assert!(start.elapsed() <= 31 * MS, "{:?}", start.elapsed());
        stream.join_all().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_layer_serves_those_that_fit() {
    let db = Resource::new("db", 4);
    let limiter = limiter_of([&db]);
    let ok = || {
        service_fn(|_| async {
            Ok::<_, std::convert::Infallible>(http::Response::new(String::new()))
        })
    };
    let wide = limiter.resources([db.units(4)]).layer(ok());
    let narrow = limiter.resources([&db]).layer(ok());
    db.set_limit(3).expect("in range");
    let mut kept = spawn(wide.oneshot(get("/wide")));
    assert_pending!(kept.poll());
    let response = narrow.oneshot(get("/narrow")).await.expect("infallible");
    assert_eq!(response.status(), StatusCode::OK);
    drop(response);
    db.set_limit(4).expect("in range");
    assert_eq!(assert_ready_ok!(kept.poll()).status(), StatusCode::OK);
}

/// The fail-fast deadline counts those that go before a request, and the pace at which they do.
#[tokio::test(start_paused = true)]
async fn those_that_stand_aside_are_not_counted_as_ahead() {
    let db = Resource::new("db", 2);
    let limiter = limiter_of([&db]);
    db.set_limit(1).expect("in range");
    let _wide: Vec<_> = (0..50).map(|_| wait(&limiter, &db, 2)).collect();
    // A pace: ten grants in 2 s, of which none was after a wait of its own.
    for _ in 0..10 {
        let held = limiter.try_acquire([&db]).expect("free");
        let mut next = wait(&limiter, &db, 1);
        advance(200 * MS).await;
        drop(held);
        drop(assert_ready_ok!(next.poll()));
    }
    advance(60 * SECOND).await;
    let held = limiter.try_acquire([&db]).expect("free");
    let mut first = wait(&limiter, &db, 1);
    let mut in_a_hurry = spawn(
        limiter
            .request([&db])
            .fail_fast_deadline(2 * SECOND)
            .acquire(),
    );
    assert_pending!(in_a_hurry.poll());
    drop(held);
    drop(assert_ready_ok!(first.poll()));
    drop(assert_ready_ok!(in_a_hurry.poll()));
}

/// The wait of one that stands aside is no sign of an overload.
#[tokio::test(start_paused = true)]
async fn one_that_stands_aside_makes_no_queue_stand() {
    let overload = Overload::new().interval(100 * MS).target(20 * MS);
    let db = Resource::builder("db")
        .concurrency(2)
        .overload(overload)
        .build();
    let limiter = limiter_of([&db]);
    db.set_limit(1).expect("in range");
    let wide = wait(&limiter, &db, 2);
    for _ in 0..100 {
        let held = limiter.try_acquire([&db]).expect("free");
        let mut first = wait(&limiter, &db, 1);
        let mut second = wait(&limiter, &db, 1);
        advance(5 * MS).await;
        drop(held);
        let permit = assert_ready_ok!(first.poll());
        assert!(!second.is_woken(), "first come, first served");
        advance(5 * MS).await;
        drop(permit);
        drop(assert_ready_ok!(second.poll()));
    }
    assert!(!wide.is_woken(), "neither shed nor served");
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_foretells_no_wait_behind_one_that_stands_aside() {
    let db = Resource::builder("db").concurrency(4).dry_run().build();
    let limiter = Limiter::new(2 * SECOND, [&db]);
    db.set_limit(3).expect("in range");
    let (heard, _guard) = listen(LevelFilter::TRACE);
    drop(limiter.acquire([db.units(4)]).await);
    for _ in 0..3 {
        let permit = limiter.acquire([&db]).await.expect("nothing is refused");
        advance(10 * MS).await;
        drop(permit);
    }
    advance(3 * SECOND).await;
    drop(limiter.acquire([&db]).await);
    yield_now().await;
    let foretold = heard.events();
    assert_eq!(foretold.len(), 1, "the wide one alone: {foretold:?}");
}
