//! Nothing that is accepted at start-up can be locked out by a limit that moves.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tower_concurrency_limiter::{
    Lane, Lanes, Limiter, Resource,
    adaptive::{AdaptiveLimit, Aimd, Gradient2, Outcome, Sample},
};

const SECOND: Duration = Duration::from_secs(1);

/// Returns what it was told to, with the floor of its name.
#[derive(Clone)]
struct Told(Arc<AtomicUsize>, usize);

impl AdaptiveLimit for Told {
    fn update(&mut self, _: &Sample) -> usize {
        self.limit()
    }

    fn limit(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    fn floor(&self) -> usize {
        self.1
    }
}

fn told(limit: usize, floor: usize) -> Told {
    Told(Arc::new(limit.into()), floor)
}

fn limiter(db: &Resource) -> Limiter {
    Limiter::builder().timeout(SECOND).resources([db]).build()
}

#[test]
fn a_claim_above_the_floor_is_a_mistake_that_names_the_cure() {
    let aimd = Aimd::between(4, 200).start(50).build();
    let db = Resource::builder("db").adaptive(aimd).build();
    let limiter = limiter(&db);
    let message = "resource \"db\": a claim of 10 units exceeds the floor of its adaptive limit, 4, \
                   and could never be granted there; claim fewer, or raise the floor";
    let error = limiter
        .try_resources([db.units(10)])
        .expect_err("locks itself");
    assert_eq!(error.to_string(), message);
    assert!(error.is_units());
    let error = limiter
        .try_request([db.units(10)])
        .expect_err("locks itself");
    assert_eq!(error.to_string(), message);
    assert!(limiter.try_resources([db.units(4)]).is_ok());
}

#[test]
fn every_adaptive_limit_has_a_floor() {
    let floors: [(Resource, usize); 4] = [
        (
            Resource::builder("db")
                .adaptive(Aimd::between(4, 200).build())
                .build(),
            4,
        ),
        (
            Resource::builder("db")
                .adaptive(Gradient2::between(7, 200).build())
                .build(),
            7,
        ),
        (Resource::builder("db").adaptive(told(50, 0)).build(), 1),
        (
            Resource::builder("db")
                .adaptive(Box::new(told(50, 3)) as Box<dyn AdaptiveLimit>)
                .dry_run()
                .build(),
            3,
        ),
    ];
    for (db, floor) in floors {
        let limiter = limiter(&db);
        assert!(limiter.try_request([db.units(floor)]).is_ok());
        assert!(
            limiter.try_request([db.units(floor + 1)]).is_err(),
            "{floor}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_claim_of_the_floor_is_granted_wherever_the_limit_goes() {
    for limit in [
        Box::new(Aimd::between(4, 200).start(40).build()) as Box<dyn AdaptiveLimit>,
        Box::new(Gradient2::between(4, 200).start(40).build()),
    ] {
        let db = Resource::builder("db").adaptive(limit).build();
        let limiter = limiter(&db);
        for _ in 0..2_000 {
            let mut permit = limiter.try_acquire([db.units(4)]).expect("idle");
            permit.set_outcome(Outcome::Overload);
        }
        assert_eq!(db.limit(), Some(4));
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_returns_less_than_its_floor_is_held_there() {
    let limit = told(20, 5);
    let db = Resource::builder("db").adaptive(limit.clone()).build();
    let limiter = limiter(&db);
    for said in [0, 4, 5] {
        limit.0.store(said, Ordering::SeqCst);
        drop(limiter.acquire([db.units(5)]).await.expect("idle"));
        assert_eq!(db.limit(), Some(5), "returned {said}");
    }
    let low = Resource::builder("low").adaptive(told(2, 5)).build();
    let limiter = Limiter::new(SECOND, [&low]);
    assert!(
        limiter.try_acquire([low.units(5)]).is_ok(),
        "also where it starts"
    );
}

#[tokio::test(start_paused = true)]
async fn a_limit_set_by_hand_stays_above_the_floor() {
    let db = Resource::builder("db").adaptive(told(20, 5)).build();
    db.set_limit(2).expect("in range");
    let limiter = limiter(&db);
    assert_eq!(db.limit(), Some(20), "its own, from the start");
    db.set_limit(2).expect("in range");
    assert_eq!(db.limit(), Some(5));
    assert!(limiter.try_acquire([db.units(5)]).is_ok());
    assert_eq!(db.limit(), Some(20));
    db.set_limit(0).expect("in range");
    assert!(limiter.try_acquire([&db]).is_err(), "paused by hand");
}

#[tokio::test(start_paused = true)]
async fn another_limiter_keeps_the_floor() {
    let db = Resource::builder("db").adaptive(told(20, 5)).build();
    let first = limiter(&db);
    db.set_limit(0).expect("in range");
    drop(first);
    let second = limiter(&db);
    assert!(second.try_request([db.units(6)]).is_err());
    assert!(second.try_acquire([db.units(5)]).is_ok());
}

#[test]
fn what_is_reserved_stays_below_the_floor() {
    let db = |reserved| {
        let aimd = Aimd::between(4, 200).start(50).build();
        Resource::builder("db")
            .adaptive(aimd)
            .reserve(reserved, 200)
            .try_build()
    };
    assert!(db(3).is_ok());
    let error = db(4).expect_err("leaves nothing");
    assert!(error.is_lanes());
    assert_eq!(
        error.to_string(),
        "resource \"db\": 4 reserved units leave nothing of the floor of 4 of its adaptive limit; \
         reserve fewer, or raise the floor"
    );
}

#[test]
fn every_strict_lane_has_a_unit_at_the_floor() {
    let db = |floor| {
        let lanes = Lanes::strict([Lane::new("a"), Lane::new("b"), Lane::new("c")]);
        let aimd = Aimd::between(floor, 200).start(50).build();
        Resource::builder("db")
            .adaptive(aimd)
            .lanes(lanes)
            .try_build()
    };
    assert!(db(3).is_ok());
    assert!(db(2).is_err());
}

#[test]
fn an_impossible_floor_is_a_mistake() {
    let error = Resource::builder("db")
        .adaptive(told(5, usize::MAX))
        .try_build();
    assert!(error.expect_err("too much").is_limit());
}
