//! Sets of which some is shared between processes, at a shared limit in memory.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::{advance, timeout};
use tokio_test::{assert_pending, assert_ready, task::spawn};
use tracing::{Dispatch, Event, Subscriber, subscriber::set_default};
use tracing_subscriber::{Layer, layer::Context, prelude::*};

use crate::{
    Claim, Lane, Lanes, Limiter, Overload, Rate, Reason, Rejection, Resource,
    adaptive::Aimd,
    permit::Permit,
    resource::ResourceBuilder,
    shared::{
        Absence, NotLeased,
        stand_in::{StandIn, StandInRecord},
    },
};

const SECOND: Duration = Duration::from_secs(1);

fn builder(name: &'static str, stand_in: &StandIn) -> ResourceBuilder {
    let stand_in = stand_in.clone();
    let builder = Resource::builder(name).concurrency(5);
    builder.open_with(move |_| Ok(Arc::new(stand_in.clone())))
}

/// A limiter of `zoo` and `api`, which are shared, and `db` between them, with a timeout of 5 s.
struct Scene {
    limiter: Limiter,
    zoo: Resource,
    db: Resource,
    api: Resource,
    zoo_behind: StandIn,
    api_behind: StandIn,
    record: StandInRecord,
}

impl Scene {
    fn new() -> Self {
        Self::with(Resource::new("db", 1))
    }

    fn with(db: Resource) -> Self {
        let record = StandInRecord::default();
        let zoo_behind = StandIn::new("zoo", 1, &record);
        let api_behind = StandIn::new("api", 1, &record);
        let zoo = builder("zoo", &zoo_behind).build();
        let api = builder("api", &api_behind).build();
        Self {
            limiter: Limiter::new(5 * SECOND, [&zoo, &db, &api]),
            zoo,
            db,
            api,
            zoo_behind,
            api_behind,
            record,
        }
    }

    fn all(&self) -> [Claim; 3] {
        [&self.zoo, &self.db, &self.api].map(Claim::from)
    }

    /// What has happened since this was asked last.
    #[track_caller]
    fn expect(&self, expected: &[&str]) {
        let mut record = self.record.lock().expect("no panics");
        assert_eq!(*record, expected);
        record.clear();
    }

    fn in_use(&self) -> [usize; 3] {
        [&self.zoo, &self.db, &self.api].map(Resource::in_use)
    }

    fn waiting(&self) -> [usize; 3] {
        [&self.zoo, &self.db, &self.api].map(Resource::waiting)
    }

    /// Nobody holds anything, and nobody waits.
    #[track_caller]
    fn expect_idle(&self) {
        assert_eq!(self.in_use(), [0; 3], "in use");
        assert_eq!(self.waiting(), [0; 3], "waiting");
        let free = [&self.zoo_behind, &self.api_behind].map(StandIn::free);
        assert_eq!(free, [1; 2], "behind");
    }
}

#[track_caller]
fn expect_refusal(result: Result<Permit, Rejection>, reason: Reason, resource: &str) -> Rejection {
    let rejection = result.expect_err("a rejection");
    assert_eq!(
        (rejection.reason(), rejection.resource()),
        (reason, resource)
    );
    rejection
}

#[tokio::test]
async fn what_is_shared_is_taken_in_the_order_of_names() {
    let scene = Scene::new();
    let permit = scene.limiter.acquire(scene.all()).await.expect("all free");
    scene.expect(&["took api", "took zoo"]);
    assert_eq!(scene.in_use(), [1; 3]);
    let claims = permit
        .claims()
        .map(|(resource, units)| (resource.name(), units));
    let canonical = [("zoo", 1), ("db", 1), ("api", 1)];
    assert_eq!(claims.collect::<Vec<_>>(), canonical);
    drop(permit);
    scene.expect(&["returned api", "returned zoo"]);
    scene.expect_idle();
}

#[tokio::test]
async fn it_is_asked_with_what_the_request_says_of_itself() {
    let scene = Scene::new();
    scene.api_behind.be_strict();
    let request = scene.limiter.request([scene.api.units(1)]);
    let request = request.priority(77).load(9).max_waiting(3).lane("batch");
    drop(request.acquire().await);
    let ask = scene.api_behind.asks()[0];
    assert_eq!((ask.units, ask.priority, ask.load), (1, 77, 9));
    assert_eq!(ask.max_waiting, Some(3));
    // Only processes that share a limit have to agree on the hash of a lane.
    assert_eq!(ask.lane.is_some(), cfg!(feature = "redis"));
    drop(scene.limiter.acquire([&scene.api]).await);
    assert_eq!(scene.api_behind.asks()[1].lane, None);
}

#[tokio::test(start_paused = true)]
async fn all_waits_together_have_one_deadline() {
    let scene = Scene::new();
    scene.api_behind.set_free(0);
    scene.zoo_behind.set_free(0);
    let mut acquire = spawn(scene.limiter.acquire(scene.all()));
    assert_pending!(acquire.poll());
    assert_eq!(scene.waiting(), [0, 0, 1], "at the one that it waits for");
    assert_eq!(scene.in_use(), [0; 3], "nothing local is held");
    advance(3 * SECOND).await;
    scene.api_behind.set_free(1);
    assert!(acquire.is_woken());
    assert_pending!(acquire.poll());
    assert_eq!(scene.waiting(), [1, 0, 0]);
    assert_eq!(scene.in_use(), [0, 0, 1], "what is shared is held");
    advance(2 * SECOND).await;
    let rejection = expect_refusal(assert_ready!(acquire.poll()), Reason::Timeout, "zoo");
    assert_eq!(rejection.waited(), 5 * SECOND);
    let deadlines = [&scene.api_behind, &scene.zoo_behind].map(|behind| behind.asks()[0].deadline);
    assert_eq!(deadlines[0], deadlines[1]);
    scene.expect(&["asked api", "took api", "asked zoo", "refunded api"]);
    scene.zoo_behind.set_free(1);
    scene.expect_idle();
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_the_rest_has_the_same_deadline() {
    let scene = Scene::new();
    let held = scene.limiter.try_acquire([&scene.db]).expect("free");
    scene.api_behind.set_free(0);
    let mut acquire = spawn(scene.limiter.acquire(scene.all()));
    assert_pending!(acquire.poll());
    advance(4 * SECOND).await;
    scene.api_behind.set_free(1);
    assert_pending!(acquire.poll());
    assert_eq!(scene.waiting(), [0, 1, 0]);
    assert_eq!(scene.in_use(), [1; 3]);
    let before = tokio::time::Instant::now();
    let rejection = expect_refusal(acquire.await, Reason::Timeout, "db");
    let left = before.elapsed();
    assert!(
        left >= SECOND && left < SECOND + Duration::from_millis(5),
        "{left:?}"
    );
    assert!(rejection.waited() >= 5 * SECOND);
    scene.expect(&[
        "asked api",
        "took api",
        "took zoo",
        "refunded api",
        "refunded zoo",
    ]);
    drop(held);
    scene.expect_idle();
}

/// It was not polled while the units came and the deadline passed.
#[tokio::test(start_paused = true)]
async fn nobody_goes_on_to_the_next_after_the_deadline() {
    for rest in [0, 1] {
        let scene = Scene::new();
        scene.api_behind.set_free(0);
        let set = match rest {
            0 => vec![&scene.db, &scene.api],
            _ => vec![&scene.zoo, &scene.api],
        };
        let mut acquire = spawn(scene.limiter.acquire(set));
        assert_pending!(acquire.poll());
        scene.api_behind.set_free(1);
        advance(6 * SECOND).await;
        let short = ["db", "zoo"][rest];
        expect_refusal(assert_ready!(acquire.poll()), Reason::Timeout, short);
        scene.expect(&["asked api", "took api", "refunded api"]);
        scene.expect_idle();
    }
}

#[tokio::test(start_paused = true)]
async fn at_the_deadline_it_is_not_too_late() {
    let scene = Scene::new();
    scene.api_behind.set_free(0);
    let mut acquire = spawn(scene.limiter.acquire(scene.all()));
    assert_pending!(acquire.poll());
    advance(5 * SECOND).await;
    scene.api_behind.set_free(1);
    assert!(assert_ready!(acquire.poll()).is_ok());
    scene.expect_idle();
}

#[tokio::test(start_paused = true)]
async fn a_dropped_future_returns_what_it_has() {
    let scene = Scene::new();
    // Waiting for the first, for the second, for the rest, and granted all.
    for (step, held) in [
        [0, 0, 0], // zoo, db, api
        [0, 0, 1],
        [1, 1, 1],
        [1, 1, 1],
    ]
    .into_iter()
    .enumerate()
    {
        let db = scene.limiter.try_acquire([&scene.db]).expect("free");
        scene.api_behind.set_free((step > 0).into());
        scene.zoo_behind.set_free((step > 1).into());
        let mut acquire = spawn(scene.limiter.acquire(scene.all()));
        assert_pending!(acquire.poll());
        let waiting = [
            usize::from(step == 1),
            usize::from(step >= 2),
            usize::from(step == 0),
        ];
        assert_eq!(scene.waiting(), waiting, "{step}");
        if step < 2 {
            drop(db);
            assert_eq!(scene.in_use(), held, "{step}");
        } else if step == 2 {
            assert_eq!(scene.in_use(), held);
            drop(acquire);
            assert_eq!(scene.in_use(), [0, 1, 0]);
            drop(db);
            scene.expect_idle();
            continue;
        } else {
            drop(db);
            assert!(acquire.is_woken(), "granted, not collected");
            assert_eq!(scene.in_use(), held);
        }
        drop(acquire);
        scene.api_behind.set_free(1);
        scene.zoo_behind.set_free(1);
        scene.expect_idle();
    }
    let record = scene.record.lock().expect("no panics");
    assert!(
        !record.iter().any(|what| what.starts_with("returned")),
        "{record:?}"
    );
    assert_eq!(
        record.iter().filter(|what| *what == "refunded api").count(),
        3
    );
}

/// Panics at all it is told.
struct Startled;

impl<S: Subscriber> Layer<S> for Startled {
    fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
        panic!("startled");
    }
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_panics_keeps_nothing() {
    for rules in [false, true] {
        let db = Resource::builder("db").concurrency(1);
        let scene = Scene::with(match rules {
            false => db.build(),
            true => db.reserve(1, 5).build(),
        });
        // Of two subscribers `tracing` asks each; of one, whichever the thread of another test
        // happens to have.
        let _other = Dispatch::new(tracing_subscriber::registry());
        let _guard = set_default(tracing_subscriber::registry().with(Startled));
        let held = scene.limiter.try_acquire([&scene.db]).expect("free");
        let mut acquire = spawn(scene.limiter.acquire(scene.all()));
        assert_pending!(acquire.poll());
        drop(held);
        let ended = catch_unwind(AssertUnwindSafe(|| drop(acquire.poll())));
        assert!(ended.is_err(), "told that it was admitted");
        scene.expect(&["took api", "took zoo", "refunded api", "refunded zoo"]);
        scene.expect_idle();

        scene.zoo_behind.set_free(0);
        let refused = || drop(scene.limiter.try_acquire(scene.all()));
        assert!(catch_unwind(AssertUnwindSafe(refused)).is_err());
        scene.zoo_behind.set_free(1);
        scene.expect(&["took api", "refunded api"]);
        scene.expect_idle();
    }
}

#[tokio::test]
async fn what_can_be_had_without_asking_needs_no_wait() {
    let scene = Scene::new();
    let permit = scene.limiter.try_acquire(scene.all()).expect("all free");
    let rejection = scene.limiter.try_acquire([&scene.api]);
    let rejection = expect_refusal(rejection, Reason::NotNow, "api");
    assert!(rejection.waited().is_zero());
    drop(permit);
    scene.record.lock().expect("no panics").clear();

    scene.zoo_behind.be_strict();
    let rejection = scene.limiter.try_acquire(scene.all());
    expect_refusal(rejection, Reason::NotNow, "zoo");
    scene.expect(&["took api", "refunded api"]);
    scene.expect_idle();

    let busy = scene.limiter.try_acquire([&scene.db]).expect("free");
    let set = [&scene.db, &scene.api];
    expect_refusal(scene.limiter.try_acquire(set), Reason::NotNow, "db");
    scene.expect(&["took api", "refunded api"]);
    drop(busy);
    scene.expect_idle();
}

#[tokio::test(start_paused = true)]
async fn without_time_it_asks_once() {
    let scene = Scene::new();
    scene.api_behind.be_strict();
    let request = || {
        scene
            .limiter
            .request([&scene.db, &scene.api])
            .timeout(Duration::ZERO)
    };
    let mut acquire = spawn(request().acquire());
    let permit = assert_ready!(acquire.poll()).expect("free");
    scene.expect(&["asked api", "took api"]);
    let mut again = spawn(request().acquire());
    expect_refusal(assert_ready!(again.poll()), Reason::NotNow, "api");
    drop(permit);
    let busy = scene.limiter.try_acquire([&scene.db]).expect("free");
    let mut again = spawn(request().acquire());
    expect_refusal(assert_ready!(again.poll()), Reason::NotNow, "db");
    drop(busy);
    scene.expect_idle();
}

#[tokio::test]
async fn why_nothing_was_leased_is_told() {
    for (why, reason) in [
        (Absence::Timeout, Reason::Timeout),
        (Absence::Full, Reason::QueueFull),
        (Absence::Shed, Reason::Shed),
        (Absence::Unavailable, Reason::Unavailable),
    ] {
        let scene = Scene::new();
        let by_rate = matches!(why, Absence::Timeout | Absence::Full);
        let retry_after = Some(7 * SECOND);
        scene.zoo_behind.answer(NotLeased {
            why,
            by_rate,
            retry_after,
        });
        let rejection = scene.limiter.acquire(scene.all()).await;
        let rejection = expect_refusal(rejection, reason, "zoo");
        assert_eq!(rejection.is_rate_limited(), by_rate);
        assert_eq!(rejection.retry_after(), retry_after);
        assert!(rejection.waited().is_zero());
        scene.expect(&["took api", "asked zoo", "refunded api"]);
        scene.expect_idle();
    }
}

#[tokio::test(start_paused = true)]
async fn a_closed_limiter_turns_everybody_away() {
    let scene = Scene::new();
    let held = scene
        .limiter
        .try_acquire([&scene.zoo, &scene.db])
        .expect("free");
    let mut for_shared = spawn(scene.limiter.acquire([&scene.zoo]));
    let mut for_rest = spawn(scene.limiter.acquire([&scene.db, &scene.api]));
    assert_pending!(for_shared.poll());
    assert_pending!(for_rest.poll());
    scene.record.lock().expect("no panics").clear();
    scene.limiter.close();
    assert!(for_shared.is_woken() && for_rest.is_woken());
    expect_refusal(assert_ready!(for_shared.poll()), Reason::Closed, "zoo");
    expect_refusal(assert_ready!(for_rest.poll()), Reason::Closed, "db");
    scene.expect(&["closed zoo", "closed api", "refunded api"]);

    let mut late = spawn(scene.limiter.acquire([&scene.api]));
    expect_refusal(assert_ready!(late.poll()), Reason::Closed, "api");
    expect_refusal(
        scene.limiter.try_acquire(scene.all()),
        Reason::Closed,
        "zoo",
    );
    scene.expect(&[]); // nobody was asked

    assert!(held.is_valid());
    let mut drained = spawn(scene.limiter.drained());
    assert_pending!(drained.poll());
    drop(held);
    assert!(drained.is_woken());
    assert_ready!(drained.poll());
    scene.expect(&["returned zoo"]);
    scene.expect_idle();
}

/// Units came at the moment at which the limiter was closed.
#[tokio::test]
async fn what_was_leased_to_a_closed_limiter_goes_back() {
    let scene = Scene::new();
    scene.api_behind.set_free(0);
    let mut acquire = spawn(scene.limiter.acquire([&scene.api]));
    assert_pending!(acquire.poll());
    scene.limiter.close();
    scene.api_behind.reopen();
    scene.api_behind.set_free(1);
    expect_refusal(assert_ready!(acquire.poll()), Reason::Closed, "api");
    scene.expect_idle();
}

#[tokio::test(start_paused = true)]
async fn a_lease_alone_keeps_a_limiter_from_being_drained() {
    let scene = Scene::new();
    let held = scene.limiter.try_acquire([&scene.api]).expect("free");
    let drained = scene.limiter.drained();
    assert!(timeout(SECOND, drained).await.is_err());
    let mut drained = spawn(scene.limiter.drained());
    assert_pending!(drained.poll());
    drop(held);
    assert!(drained.is_woken());
    assert_ready!(drained.poll());
    // From here on returns need not be seen any more; who asks for something shared still has to
    // ask.
    scene.record.lock().expect("no panics").clear();
    drop(scene.limiter.try_acquire([&scene.api]).expect("free"));
    scene.expect(&["took api", "returned api"]);
}

#[tokio::test]
async fn gauges_count_this_process() {
    let scene = Scene::new();
    scene.api_behind.set_free(4);
    let three = scene
        .limiter
        .try_acquire([scene.api.units(3)])
        .expect("free");
    assert_eq!((scene.api.in_use(), scene.api.limit()), (3, Some(5)));
    let mut waiters = [0, 1].map(|_| spawn(scene.limiter.acquire([scene.api.units(2)])));
    waiters
        .iter_mut()
        .for_each(|waiter| assert_pending!(waiter.poll()));
    assert_eq!((scene.api.waiting(), scene.api_behind.free()), (2, 1));
    drop(three);
    let first = assert_ready!(waiters[0].poll());
    assert_eq!((scene.api.in_use(), scene.api.waiting()), (2, 1));
    drop((first, waiters));
    assert_eq!((scene.api.in_use(), scene.api.waiting()), (0, 0));
}

#[tokio::test]
async fn the_limit_changes_for_all_processes_and_nothing_else_does() {
    let scene = Scene::new();
    scene.api.set_limit(8).expect("in range");
    scene.expect(&["limit 8 of api"]);
    assert_eq!(scene.api.limit(), Some(8));
    let words = |what: &str| {
        format!(
            "resource \"api\": {what} cannot be changed while the resource is shared between processes; \
             change it in the builder and raise the revision"
        )
    };
    let expect = |result: Result<(), crate::resource::InvalidResource>, what: &str| {
        let error = result.expect_err("an error");
        assert_eq!(error.to_string(), words(what));
        assert!(error.is_shared());
    };
    expect(scene.api.set_rate(Rate::per_second(1)), "rate");
    expect(scene.api.set_load_rate(Rate::per_second(1)), "load rate");
    expect(scene.api.set_lane(&Lane::new("batch")), "lanes");
    expect(scene.api.set_reserve(1, 9), "reserve for this priority");
}

#[tokio::test]
async fn a_permit_knows_what_is_shared_of_it() {
    let scene = Scene::new();
    let local = scene.limiter.try_acquire([&scene.db]).expect("free");
    assert!(local.is_valid());
    assert_eq!(local.fencing_token(&scene.db), None);
    let mut never = spawn(local.lost());
    assert_pending!(never.poll());
    drop(local);

    let set = scene.limiter.request(scene.all()).load(3);
    let mut permit = set.acquire().await.expect("all free");
    let token = permit.fencing_token(&scene.api).expect("shared");
    assert_eq!(token.to_string(), "1.1");
    assert_eq!(permit.fencing_token(&scene.db), None);
    assert_eq!(
        permit.fencing_token(&Resource::new("api", 1)),
        None,
        "another"
    );
    assert_eq!(permit.load(), 3);
    scene.record.lock().expect("no panics").clear();
    permit.settle_load(5);
    assert_eq!(permit.load(), 5);
    scene.expect(&["load 5 of api", "load 5 of zoo"]);

    let mut lost = spawn(permit.lost());
    assert_pending!(lost.poll());
    scene.zoo_behind.lose();
    assert!(lost.is_woken());
    assert_ready!(lost.poll());
    assert!(!permit.is_valid());
    drop(permit);
    scene.expect_idle();
    assert_pending!(never.poll());
}

#[tokio::test]
async fn work_under_a_permit_returns_it() {
    let scene = Scene::new();
    let in_use = scene.limiter.run(scene.all(), || async { scene.in_use() });
    assert_eq!(in_use.await.expect("all free"), [1; 3]);
    scene.expect(&["took api", "took zoo", "returned api", "returned zoo"]);
    scene.expect_idle();
}

/// What is local may have rules of its own, and what it spent comes back with a failed set.
#[tokio::test(start_paused = true)]
async fn local_rates_are_spent_by_who_is_let_in() {
    let rate = Rate::per_hour(1);
    let scene = Scene::with(Resource::builder("db").concurrency(9).rate(rate).build());
    scene.api_behind.set_free(0);
    let set = [&scene.db, &scene.api];
    expect_refusal(scene.limiter.try_acquire(set), Reason::NotNow, "api");
    scene.api_behind.set_free(1);
    drop(scene.limiter.try_acquire(set).expect("nothing was spent"));
    scene.record.lock().expect("no panics").clear();
    let rejection = expect_refusal(scene.limiter.try_acquire(set), Reason::NotNow, "db");
    assert!(rejection.is_rate_limited());
    scene.expect(&["took api", "refunded api"]);
    scene.expect_idle();
}

#[test]
fn it_is_opened_with_all_that_was_said_each_time_it_is_registered() {
    let record = StandInRecord::default();
    let stand_in = StandIn::new("api", 1, &record);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (opened, open) = (Arc::clone(&seen), stand_in.clone());
    let lanes = Lanes::shared([Lane::new("batch").weight(2)]);
    let api = Resource::builder("api")
        .concurrency(5)
        .rate(Rate::per_minute(3))
        .lanes(lanes.clone())
        .reserve(2, 100)
        .open_with(move |spec| {
            assert_eq!(&**spec.name, "api");
            assert_eq!(spec.lanes, Some(&lanes));
            assert_eq!(spec.reserves, [(2, 100.into())]);
            assert_eq!(spec.rates.len(), 1);
            let mut opened = opened.lock().expect("no panics");
            opened.push((spec.limit, spec.max_waiting, spec.credit));
            Ok(Arc::new(open.clone()))
        })
        .build();
    assert!(seen.lock().expect("no panics").is_empty(), "not before");
    assert!(
        api.rules().is_plain(),
        "nothing for the queue of this process"
    );
    let limiter = Limiter::new(SECOND, [&api]);
    drop(
        limiter
            .try_acquire([&api])
            .expect("its rate is not this process's to count"),
    );
    drop(limiter.try_acquire([&api]).expect("free"));
    drop(limiter);
    api.set_limit(4).expect("in range");
    let builder = Limiter::builder().max_waiting(7).priority_credit(SECOND);
    drop(builder.resources([&api]).build());
    let expected = [(5, 1024, None), (4, 7, Some(SECOND))];
    assert_eq!(*seen.lock().expect("no panics"), expected);
}

#[test]
fn what_cannot_be_opened_is_told_and_can_be_registered_again() {
    let fails = Arc::new(Mutex::new(true));
    let record = StandInRecord::default();
    let (failing, behind) = (Arc::clone(&fails), StandIn::new("api", 1, &record));
    let builder = Resource::builder("api").concurrency(5);
    let api = builder.open_with(move |_| match *failing.lock().expect("no panics") {
        true => Err("9 rates exceed what can be shared; leave some out".into()),
        false => Ok(Arc::new(behind.clone())),
    });
    let (db, api) = (Resource::new("db", 1), api.build());
    let set = [&db, &api];
    let error = Limiter::builder().resources(set).try_build();
    let error = error.expect_err("it fails");
    let words = "resource \"api\": 9 rates exceed what can be shared; leave some out";
    assert_eq!(error.to_string(), words);
    assert!(error.is_shared() && !error.is_already_registered());
    *fails.lock().expect("no panics") = false;
    drop(Limiter::new(SECOND, set));
}

#[test]
fn what_each_process_would_have_for_itself_cannot_be_shared() {
    let behind = StandIn::new("db", 1, &StandInRecord::default());
    let db = || builder("db", &behind);
    for (builder, fault, call) in [
        (
            db().overload(Overload::default()),
            "overload control",
            ".overload(..)",
        ),
        (
            db().adaptive(Aimd::between(1, 5).build()),
            "an adaptive limit",
            ".adaptive(..)",
        ),
        (db().dry_run(), "a dry run", ".dry_run()"),
    ] {
        let error = builder.try_build().expect_err("not shared");
        assert!(error.is_shared() && !error.is_lanes());
        assert_eq!(
            error.to_string(),
            format!(
                "resource \"db\": {fault} cannot be shared between processes; leave out `{call}`, or do not \
                 share the resource"
            )
        );
    }
}

/// By the numbers of FIPS 180: the SHA-1 of "abc" begins with `a9993e364706816a`.
#[cfg(feature = "redis")]
#[tokio::test]
async fn lanes_have_the_same_hash_in_all_processes() {
    const ABC: u64 = 0xa999_3e36_4706_816a;
    assert_eq!(Lane::new("abc").hash().number(), ABC);
    let scene = Scene::new();
    scene.api_behind.be_strict();
    let header = http::HeaderValue::from_static("abc");
    for (lane, like) in [
        (crate::LaneKey::from("abc"), "abc"),
        ((&header).into(), "abc"),
        (String::from("abc").into(), "abc"),
        (u64::MAX.into(), "18446744073709551615"),
        (0.into(), "0"),
    ] {
        let request = scene.limiter.request([&scene.api]).lane(lane);
        drop(request.acquire().await);
        let asked = scene.api_behind.asks().pop().expect("asked").lane;
        assert_eq!(asked, Some(Lane::new(like).hash().number()), "{like}");
    }
    assert_eq!(scene.api_behind.asks()[0].lane, Some(ABC));
}

/// The hash that all processes agree on is dear, and of no use to limits of this process.
#[test]
fn a_lane_is_hashed_for_all_processes_only_where_something_is_shared() {
    let key = crate::LaneKey::from("abc");
    let mut claims = crate::admission::Attributes::default();
    key.claim(&mut claims, false);
    assert!(claims.lane.is_some() && claims.lane_hash.is_none());
    key.claim(&mut claims, true);
    assert_eq!(claims.lane_hash.is_some(), cfg!(feature = "redis"));
    crate::LaneKey::none().claim(&mut claims, true);
    assert!(claims.lane.is_none() && claims.lane_hash.is_none());
}
