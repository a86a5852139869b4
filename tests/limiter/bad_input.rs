//! Mistakes are told at start-up, at the caller's line, with the cure. The words are pinned here.

use std::{
    panic::{AssertUnwindSafe, Location, catch_unwind},
    sync::{Mutex, Once},
    thread::ThreadId,
    time::Duration,
};

use tower_concurrency_limiter::{
    Claim, Lane, Lanes, Limiter, Rate, Resource,
    adaptive::{Aimd, Gradient2},
};

/// Where and how the last panic of each thread came about.
static PANICS: Mutex<Vec<(ThreadId, String, u32, String)>> = Mutex::new(Vec::new());

fn catch(mistake: impl FnOnce()) -> (String, u32, String) {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let place = info.location().expect("always there");
            let payload = info.payload();
            let literal = payload
                .downcast_ref::<&str>()
                .map(|words| (*words).to_owned());
            let words = literal.or_else(|| payload.downcast_ref::<String>().cloned());
            let words = words.unwrap_or_default();
            let this = std::thread::current().id();
            let mut panics = PANICS.lock().expect("no panics in between");
            panics.push((this, place.file().to_owned(), place.line(), words));
            drop(panics);
            report(info);
        }));
    });
    let ended = catch_unwind(AssertUnwindSafe(mistake));
    assert!(ended.is_err(), "expected a panic");
    let this = std::thread::current().id();
    let mut panics = PANICS.lock().expect("no panics in between");
    let last = panics
        .iter()
        .rposition(|p| p.0 == this)
        .expect("seen by the hook");
    let (_, file, line, words) = panics.remove(last);
    (file, line, words)
}

/// Asserts that `mistake`, which starts on the line of this call, panics there with these words.
#[track_caller]
fn blames_its_caller(words: &str, mistake: impl FnOnce()) {
    let caller = Location::caller();
    let (file, line, said) = catch(mistake);
    assert_eq!(said, words);
    assert_eq!(
        (&*file, line),
        (caller.file(), caller.line()),
        "the caller's place"
    );
}

macro_rules! mistake {
    ($words:expr, $mistake:expr) => {
        blames_its_caller($words, || drop($mistake))
    };
}

#[test]
fn a_limit_of_zero() {
    let words = "resource \"db\": limit 0 admits nothing; use 1 or more";
    mistake!(words, Resource::new("db", 0));
    mistake!(words, Resource::builder("db").concurrency(0).build());
    let error = Resource::builder("db").concurrency(0).try_build();
    let error = error.expect_err("admits nothing");
    assert_eq!(error.to_string(), words);
    assert!(error.is_limit() && !error.is_name());
}

#[test]
fn a_huge_limit() {
    let words = format!(
        "resource \"db\": limit {} is out of range; use at most 2147483647, `Resource::MAX_LIMIT`",
        usize::MAX
    );
    mistake!(&words, Resource::new("db", usize::MAX));
    let error = Resource::builder("db").concurrency(usize::MAX).try_build();
    assert_eq!(error.expect_err("too much").to_string(), words);
    let error = Resource::builder("db")
        .concurrency(Resource::MAX_LIMIT + 1)
        .try_build();
    assert!(error.expect_err("one too many").is_limit());
}

#[test]
fn the_largest_limit_works() {
    let db = Resource::new("db", Resource::MAX_LIMIT);
    let limiter = Limiter::new(Duration::ZERO, [&db]);
    let most = limiter
        .try_acquire([db.units(Resource::MAX_LIMIT - 1)])
        .expect("idle");
    let last = limiter.try_acquire([&db]).expect("one is left");
    assert_eq!(db.in_use(), Resource::MAX_LIMIT);
    assert!(limiter.try_acquire([&db]).is_err(), "none is left");
    drop((most, last));
    assert_eq!(db.in_use(), 0);
    assert_eq!(db.limit(), Some(Resource::MAX_LIMIT));
    let all = limiter.try_acquire([db.units(Resource::MAX_LIMIT)]);
    assert!(all.is_ok(), "all at once");
}

#[test]
fn no_limit() {
    let words = "resource \"db\": no limit is set; set one with `.concurrency(n)`, or a rate with `.rate(..)`";
    mistake!(words, Resource::builder("db").build());
    let error = Resource::builder("db").try_build().expect_err("no limit");
    assert_eq!(error.to_string(), words);
}

#[test]
fn an_empty_name() {
    let words = "resource name is empty; pass one that identifies it in logs, such as \"db\"";
    mistake!(words, Resource::new("", 1));
    let error = Resource::builder("").concurrency(1).try_build();
    let error = error.expect_err("no name");
    assert_eq!(error.to_string(), words);
    assert!(error.is_name() && !error.is_limit());
}

#[test]
fn no_resources() {
    let words = "limiter has no resources; pass all that its sets will contain";
    let none: [Resource; 0] = [];
    mistake!(words, Limiter::new(Duration::ZERO, &none));
    mistake!(words, Limiter::builder().build());
    let error = Limiter::builder().try_build().expect_err("no resources");
    assert_eq!(error.to_string(), words);
}

#[test]
fn two_resources_of_one_name() {
    let words = "resource \"db\" is registered twice; register each resource once, and give \
                 each its own name";
    let (one, two) = (Resource::new("db", 1), Resource::new("db", 1));
    mistake!(words, Limiter::new(Duration::ZERO, [&one, &two]));
    mistake!(words, Limiter::new(Duration::ZERO, [&one, &one]));
    let error = Limiter::builder().resources([&one, &two]).try_build();
    let error = error.expect_err("the same name");
    assert_eq!(error.to_string(), words);
    assert!(error.is_duplicate_name() && !error.is_already_registered());
    assert_eq!(
        Limiter::new(Duration::ZERO, [&one])
            .registered_resources()
            .len(),
        1,
        "a failed limiter keeps nothing"
    );
}

#[test]
fn a_resource_of_another_limiter() {
    let words = "resource \"fs\" is registered with another limiter; clone that limiter, or register the \
                 resource with this one alone";
    let (db, fs) = (Resource::new("db", 1), Resource::new("fs", 1));
    let first = Limiter::new(Duration::ZERO, [&fs]);
    mistake!(words, Limiter::new(Duration::ZERO, [&db, &fs]));
    let error = Limiter::builder().resources([&db, &fs]).try_build();
    let error = error.expect_err("taken");
    assert_eq!(error.to_string(), words);
    assert!(error.is_already_registered() && !error.is_duplicate_name());

    drop(first);
    let second = Limiter::new(Duration::ZERO, [&db, &fs]);
    assert!(second.try_acquire([&db, &fs]).is_ok(), "free again");
}

fn two() -> (Resource, Resource, Limiter) {
    let (db, fs) = (Resource::new("db", 5), Resource::new("fs", 10));
    let limiter = Limiter::new(Duration::ZERO, [&db, &fs]);
    (db, fs, limiter)
}

#[test]
fn an_empty_set() {
    let words = "set is empty; pass at least one resource";
    let (_db, _fs, limiter) = two();
    let none: [Resource; 0] = [];
    mistake!(words, limiter.resources(none.clone()));
    mistake!(words, limiter.acquire(none.clone()));
    let error = limiter.try_resources(none).expect_err("empty");
    assert_eq!(error.to_string(), words);
    assert!(error.is_empty());
}

#[test]
fn an_unregistered_resource() {
    let words = "resource \"s3\" is not registered with this limiter; add it to \
                 `Limiter::new(timeout, [..])`";
    let (db, _fs, limiter) = two();
    let s3 = Resource::new("s3", 1);
    mistake!(words, limiter.resources([&db, &s3]));
    let error = limiter.try_resources([&s3]).expect_err("unregistered");
    assert_eq!(error.to_string(), words);
    assert!(error.is_unregistered());

    let _other = Limiter::new(Duration::ZERO, [&s3]);
    let error = limiter.try_resources([&s3]).expect_err("with another one");
    assert!(error.is_unregistered());
    assert_eq!(
        error.to_string(),
        "resource \"s3\" is registered with another limiter; use that limiter, or register it \
         with this one alone"
    );
}

#[test]
fn another_resource_of_a_registered_name() {
    let words = "resource \"db\": another resource of this name is registered with this limiter; \
                 pass a clone of that one";
    let (db, fs, limiter) = two();
    let other = Resource::new("db", 5);
    mistake!(words, limiter.resources([&other]));
    mistake!(words, limiter.acquire([&other, &fs]));
    let error = limiter.try_request([&other]).expect_err("another one");
    assert_eq!(error.to_string(), words);
    assert!(error.is_unregistered() && !error.is_duplicate());
    let _elsewhere = Limiter::new(Duration::ZERO, [&other]);
    let error = limiter
        .try_request([&other])
        .expect_err("still another one");
    assert_eq!(error.to_string(), words);
    assert!(limiter.try_acquire([&db.clone()]).is_ok(), "the cure");
}

#[test]
fn a_repeated_resource() {
    let words = "resource \"db\" is in the set twice; pass it once, with `.units(n)` for more than \
                 one";
    let (db, fs, limiter) = two();
    mistake!(words, limiter.resources([&db, &db]));
    let error = limiter
        .try_resources([&db, &fs, &db])
        .expect_err("repeated");
    assert_eq!(error.to_string(), words, "said before the order is");
    assert!(error.is_duplicate());
}

#[test]
fn zero_units() {
    let words =
        "resource \"db\": a claim of 0 units limits nothing; claim 1 or more, or leave it out";
    let (db, _fs, limiter) = two();
    mistake!(words, limiter.resources([db.units(0)]));
    let error = limiter.try_resources([db.units(0)]).expect_err("nothing");
    assert_eq!(error.to_string(), words);
    assert!(error.is_units());
}

#[test]
fn more_units_than_there_are() {
    let words = "resource \"db\": a claim of 6 units exceeds the limit of 5; claim fewer, or raise the \
                 limit";
    let (db, _fs, limiter) = two();
    mistake!(words, limiter.resources([db.units(6)]));
    let error = limiter.try_resources([db.units(6)]).expect_err("too wide");
    assert_eq!(error.to_string(), words);
    assert!(error.is_units());
    assert!(
        limiter.try_resources([db.units(usize::MAX)]).is_err(),
        "no wrap-around"
    );
    assert!(
        limiter.try_resources([db.units(5)]).is_ok(),
        "all of them is fine"
    );
    let api = Resource::builder("api").rate(Rate::per_second(5)).build();
    let limiter = Limiter::new(Duration::ZERO, [&api]);
    let error = limiter.try_resources([api.units(Resource::MAX_LIMIT + 1)]);
    assert_eq!(
        error.expect_err("more than can be counted").to_string(),
        "resource \"api\": a claim of 2147483648 units is out of range; claim at most 2147483647"
    );
}

#[test]
fn out_of_order() {
    let words = "set is not in the order in which its resources were registered; pass them as [db, fs], \
                 or build the limiter with `.allow_any_order()`";
    let (db, fs, limiter) = two();
    mistake!(words, limiter.resources([&fs, &db]));
    let error = limiter.try_resources([&fs, &db]).expect_err("out of order");
    assert_eq!(error.to_string(), words);
    assert!(error.is_out_of_order());
}

#[test]
fn any_order_on_request() {
    let (db, fs) = (Resource::new("db", 1), Resource::new("fs", 1));
    let limiter = Limiter::builder()
        .allow_any_order()
        .resources([&db, &fs])
        .build();
    let permit = limiter.try_acquire([&fs, &db]).expect("idle");
    let held: Vec<_> = permit.claims().map(|(r, _)| r.name()).collect();
    assert_eq!(held, ["db", "fs"], "in canonical order all the same");
    let error = limiter
        .try_resources([&fs, &db, &fs])
        .expect_err("repeated");
    assert!(error.is_duplicate());
}

#[test]
fn every_way_in_blames_its_caller() {
    let words = "set is not in the order in which its resources were registered; pass them as [db, fs], \
                 or build the limiter with `.allow_any_order()`";
    let (db, fs, limiter) = two();
    mistake!(words, limiter.resources([&fs, &db]));
    mistake!(words, limiter.acquire([&fs, &db]));
    mistake!(words, limiter.try_acquire([&fs, &db]));
    mistake!(words, limiter.request([&fs, &db]));
    mistake!(words, limiter.run([&fs, &db], || async {}));
    let error = limiter.try_request([&fs, &db]).expect_err("out of order");
    assert_eq!(error.to_string(), words);
    assert_eq!((db.in_use(), fs.in_use()), (0, 0));
}

#[test]
fn errors_debug_as_their_message() {
    let (db, fs, limiter) = two();
    let set = limiter.try_resources([&db, &db]).expect_err("repeated");
    assert_eq!(format!("{set:?}"), format!("InvalidSet({set})"));
    let taken = Limiter::builder().resources([&fs]).try_build();
    let taken = taken.expect_err("taken");
    assert_eq!(format!("{taken:?}"), format!("InvalidLimiter({taken})"));
    let name = Resource::builder("").concurrency(1).try_build();
    let name = name.expect_err("no name");
    assert_eq!(format!("{name:?}"), format!("InvalidResource({name})"));
}

/// Whatever converts into a claim, from whatever can be iterated.
#[test]
fn sets_come_in_many_shapes() {
    let (db, fs) = (Resource::new("db", 100), Resource::new("fs", 100));
    let limiter = Limiter::new(Duration::ZERO, [&db, &fs]);
    let claims: Vec<Claim> = vec![Claim::from(&db), fs.units(2)];
    for permit in [
        limiter.try_acquire([&db, &fs]),
        limiter.try_acquire([db.clone(), fs.clone()]),
        limiter.try_acquire(vec![db.clone(), fs.clone()]),
        limiter.try_acquire(&[db.clone(), fs.clone()]),
        limiter.try_acquire(&claims),
        limiter.try_acquire(claims.clone()),
        limiter.try_acquire([Claim::from(&db), fs.units(3)]),
        limiter.try_acquire(limiter.registered_resources()),
        limiter.try_acquire([&db, &fs].into_iter().filter(|r| r.limit() > Some(0))),
    ] {
        let permit = permit.expect("idle");
        assert_eq!(permit.claims().count(), 2);
    }
    assert_eq!((db.in_use(), fs.in_use()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn sets_of_64_resources_work() {
    let many: Vec<_> = (0..64)
        .map(|n| Resource::new(format!("r{n:02}"), 1))
        .collect();
    let limiter = Limiter::new(Duration::from_secs(5), &many);
    let all = limiter.acquire(&many).await.expect("idle");
    assert_eq!(all.claims().count(), 64);
    assert!(many.iter().all(|r| r.in_use() == 1));

    let mut waiting = tokio_test::task::spawn(limiter.acquire(&many));
    tokio_test::assert_pending!(waiting.poll());
    assert!(many.iter().all(|r| r.waiting() == 1));
    drop(all);
    let all = waiting.await.expect("granted");
    let refused = limiter.try_acquire([&many[63]]).expect_err("busy");
    assert_eq!(refused.resource(), "r63");
    drop(all);
    assert!(many.iter().all(|r| r.in_use() == 0 && r.waiting() == 0));
}

#[tokio::test]
async fn layers_work_after_their_limiter_is_dropped() {
    use tower::{BoxError, Layer, ServiceExt, service_fn};

    let db = Resource::new("db", 1);
    let limiter = Limiter::new(Duration::ZERO, [&db]);
    let layer = limiter.resources([&db]).for_any_service();
    let busy = limiter.try_acquire([&db]).expect("idle");
    drop(limiter);
    let service = layer.layer(service_fn(async |()| Ok::<_, BoxError>("served")));
    assert!(service.clone().oneshot(()).await.is_err(), "it limits");
    drop(busy);
    assert_eq!(service.clone().oneshot(()).await.expect("idle"), "served");
    assert!(
        Limiter::builder().resources([&db]).try_build().is_err(),
        "the layer still has the resource"
    );
    drop((layer, service));
    assert!(Limiter::builder().resources([&db]).try_build().is_ok());
}

fn poll_once<F: Future>(future: F) -> std::task::Poll<F::Output> {
    tokio_test::task::spawn(future).poll()
}

#[test]
fn waiting_without_a_runtime() {
    let db = Resource::new("db", 1);
    let limiter = Limiter::new(Duration::from_secs(5), [&db]);
    let free = poll_once(limiter.acquire([&db]));
    let permit = tokio_test::assert_ready_ok!(free, "what is free needs no runtime");

    for _ in 0..2 {
        let (_, _, words) = catch(|| drop(poll_once(limiter.acquire([&db]))));
        assert_eq!(
            words,
            "waiting for a resource needs a tokio runtime, for its deadline; wait inside one, or \
             use `try_acquire`, which does not wait"
        );
        assert_eq!(db.waiting(), 0, "nobody is left in the queue");
    }
    drop(permit);
    assert!(limiter.try_acquire([&db]).is_ok(), "nothing is lost");
}

#[test]
fn waiting_in_a_runtime_without_a_time_driver() {
    let db = Resource::new("db", 1);
    let limiter = Limiter::new(Duration::from_secs(5), [&db]);
    let permit = limiter.try_acquire([&db]).expect("idle");
    let timeless = tokio::runtime::Builder::new_current_thread().build();
    let timeless = timeless.expect("a runtime");
    for _ in 0..2 {
        let (_, _, words) = catch(|| drop(timeless.block_on(limiter.acquire([&db]))));
        assert!(
            words.contains("timers are disabled") && words.contains("enable_time"),
            "the cure is in the message: {words}"
        );
        assert_eq!(db.waiting(), 0, "nobody is left in the queue");
    }
    drop(permit);
}

#[test]
fn adaptive_limits_that_cannot_be() {
    let reversed =
        "the floor 9 is above the ceiling 5; pass the smaller one first, as `between(5, 9)`";
    mistake!(reversed, Box::new(Aimd::between(9, 5).build()));
    mistake!(reversed, Box::new(Gradient2::between(9, 5).build()));

    let aimd = || Aimd::between(1, 9);
    let gradient = || Gradient2::between(1, 9);
    let start = "a start at 10 is not between the floor 1 and the ceiling 9; pass one that is to \
                 `.start(units)`, or leave it out to start at the floor";
    let floor = "a floor of 0 would let the limit fall to 0, from where no permit could raise it; \
                 pass 1 or more";
    for (error, words) in [
        (Aimd::between(0, 5).try_build().err(), floor),
        (Gradient2::between(0, 5).try_build().err(), floor),
        (aimd().start(10).try_build().err(), start),
        (gradient().start(10).try_build().err(), start),
        (
            aimd().increase(0).try_build().err(),
            "an increase of 0 would let the limit fall but never rise; pass 1 or more to \
             `.increase(units)`",
        ),
        (
            aimd().backoff(1.0).try_build().err(),
            "a backoff to 1 of the limit is not between 0 and 1; pass a ratio above 0 and below 1 \
             to `.backoff(ratio)`, such as 0.7",
        ),
        (
            aimd().timeout(Duration::ZERO).try_build().err(),
            "a timeout of zero would count every permit as overload; pass a longer one to \
             `.timeout(duration)`, or leave it out",
        ),
        (
            gradient().smoothing(0.0).try_build().err(),
            "a smoothing of 0 is not a share of the way to the new limit; pass one above 0 and at \
             most 1 to `.smoothing(share)`, such as 0.2",
        ),
        (
            gradient().tolerance(0.5).try_build().err(),
            "a tolerance of 0.5 is not a ratio of 1 or more; pass a finite one to \
             `.tolerance(ratio)`, such as 1.5",
        ),
        (
            gradient().queue_size(0).try_build().err(),
            "a queue size of 0 would let the limit fall but never rise; pass 1 or more to \
             `.queue_size(units)`",
        ),
        (
            gradient().long_window(0).try_build().err(),
            "a long window of 0 rounds has no average; pass 1 or more to `.long_window(rounds)`, \
             such as 600",
        ),
    ] {
        assert_eq!(error.expect("a fault").to_string(), words);
    }
}

/// Asserts what `try_build` says of these lanes of a resource of 4 units, and that `build` says so
/// at the caller's line.
#[track_caller]
fn wrong_lanes(words: &str, lanes: &Lanes) {
    let words = format!("resource \"db\": {words}");
    let db = || Resource::builder("db").concurrency(4).lanes(lanes.clone());
    let error = db().try_build().expect_err("wrong lanes");
    assert_eq!(error.to_string(), words);
    assert!(error.is_lanes() && !error.is_limit() && !error.is_rate());
    let (_, _, said) = catch(|| drop(db().build()));
    assert_eq!(said, words);
}

#[test]
fn overload_without_an_interval() {
    let overload = tower_concurrency_limiter::Overload::new().interval(Duration::ZERO);
    let db = Resource::builder("db").concurrency(4).overload(overload);
    assert_eq!(
        db.try_build().expect_err("no interval").to_string(),
        "resource \"db\": overload interval 0 s is out of range; use one longer than the bursts that the \
         queue has to bridge, such as 100 ms"
    );
}

#[test]
fn lanes_that_cannot_be() {
    let lane = Lane::new;
    wrong_lanes(
        "no lane is declared; declare one, or use `Lanes::keyed`",
        &Lanes::shared([]),
    );
    wrong_lanes(
        "lanes for 0 keys serve nothing; use 1 or more",
        &Lanes::keyed(0),
    );
    wrong_lanes(
        "two lanes are named \"user\"; give each its own name",
        &Lanes::shared([lane("user"), lane("batch"), lane("user")]),
    );
    wrong_lanes(
        "lane name is empty; pass one, such as \"batch\"",
        &Lanes::shared([lane("")]),
    );
    wrong_lanes(
        "lane \"user\" has weight 0 and would never be served; use 1 or more",
        &Lanes::shared([lane("user").weight(0)]),
    );
    wrong_lanes(
        "lane \"user\" has a `max` of 0 and would never be served; use 1 or more",
        &Lanes::shared([lane("user").max(0)]),
    );
    wrong_lanes(
        "lane \"others\" has weight 0 and would never be served; use 1 or more",
        &Lanes::shared([lane("user")]).with_others(lane("others").weight(0)),
    );
    wrong_lanes(
        "lane \"user\" has a reserve of 3 above its `max` of 2; reserve less, or raise the `max`",
        &Lanes::shared([lane("user").max(2).reserve(3)]),
    );
    wrong_lanes(
        "the lane of `.with_others(..)` cannot have a reserve; declare a lane for the requests that are to \
         have it",
        &Lanes::shared([lane("user")]).with_others(lane("others").reserve(1)),
    );
    wrong_lanes(
        "strict lanes have fixed portions and cannot be keyed; use `Lanes::shared`",
        &Lanes::strict([lane("user")]).with_keyed(5),
    );
    wrong_lanes(
        "5 strict lanes exceed the limit of 4, as each needs a unit of its own; declare fewer, or \
         raise the limit",
        &Lanes::strict(["a", "b", "c", "d", "e"].map(lane)),
    );
    wrong_lanes(
        "5 reserved units exceed the limit of 4; reserve fewer, or raise the limit",
        &Lanes::shared([lane("user").reserve(3), lane("batch").reserve(2)]),
    );
}

#[test]
fn more_reserved_than_there_is() {
    let words = "resource \"db\": 5 reserved units exceed the limit of 4; reserve fewer, or raise the \
                 limit";
    let db = || Resource::builder("db").concurrency(4);
    mistake!(words, db().reserve(2, 100).reserve(3, 200).build());
    let error = db().reserve(5, 100).try_build().expect_err("too many");
    assert_eq!(error.to_string(), words);
    let two = db().reserve(usize::MAX, 100).reserve(usize::MAX, 200);
    assert!(two.try_build().expect_err("no wrap-around").is_lanes());
    assert!(
        db().reserve(4, 100).try_build().is_ok(),
        "all of them is fine"
    );
}

#[test]
fn rates_that_cannot_be() {
    let api = || Resource::builder("api");
    let zero = "resource \"api\": rate 0 per 60s admits nothing; use a count of 1 or more";
    mistake!(zero, api().rate(Rate::per_minute(0)).build());

    let second = Duration::from_secs(1);
    for (rate, words) in [
        (
            Rate::per_minute(0),
            "0 per 60s admits nothing; use a count of 1 or more",
        ),
        (
            Rate::per_second(Rate::MAX_COUNT + 1),
            "9007199254740993 per 1s has a count out of range; use at most 9007199254740992, \
             `Rate::MAX_COUNT`",
        ),
        (
            Rate::new(5, Duration::ZERO),
            "5 per 0ns has no period; use one above 0, such as `Duration::from_secs(60)`",
        ),
        (
            Rate::new(5, Rate::MAX_PERIOD + second),
            "5 per 315360001s has a period out of range; use at most 315360000s, \
             `Rate::MAX_PERIOD`",
        ),
        (
            Rate::per_second(5).burst(0),
            "5 per 1s, burst 0 admits nothing; use a burst of 1 or more, or leave out `.burst(n)`",
        ),
        (
            Rate::per_second(1).burst(Rate::MAX_COUNT + 1),
            "1 per 1s, burst 9007199254740993 has a burst out of range; use at most \
             9007199254740992, `Rate::MAX_COUNT`",
        ),
    ] {
        let running = api()
            .rate(Rate::per_second(1))
            .load_rate(Rate::per_second(1))
            .build();
        let _limiter = Limiter::new(Duration::ZERO, [&running]);
        for (error, what) in [
            (api().rate(rate).try_build().map(drop), "rate"),
            (api().load_rate(rate).try_build().map(drop), "load rate"),
            (running.set_rate(rate), "rate"),
            (running.set_load_rate(rate), "load rate"),
        ] {
            let error = error.expect_err("out of range");
            assert_eq!(
                error.to_string(),
                format!("resource \"api\": {what} {words}")
            );
            assert!(error.is_rate() && !error.is_limit() && !error.is_lanes());
        }
    }
    assert!(
        api()
            .rate(Rate::new(1, Duration::from_secs(u64::MAX)))
            .try_build()
            .is_err(),
        "no wrap-around"
    );
}

#[test]
fn a_huge_limit_while_running() {
    let db = Resource::new("db", 5);
    let refused = |db: &Resource| {
        let error = db.set_limit(Resource::MAX_LIMIT + 1).expect_err("too much");
        assert!(error.is_limit());
        assert_eq!(
            error.to_string(),
            "resource \"db\": limit 2147483648 is out of range; use at most 2147483647, \
             `Resource::MAX_LIMIT`"
        );
        assert_eq!(db.limit(), Some(5), "unchanged");
    };
    refused(&db);
    let _limiter = Limiter::new(Duration::ZERO, [&db]);
    refused(&db);
    db.set_limit(Resource::MAX_LIMIT).expect("the largest one");
    assert_eq!(db.limit(), Some(Resource::MAX_LIMIT));
}

#[test]
fn rules_that_are_not_there_to_be_changed() {
    let no = |rule: &str| {
        format!(
            "resource \"db\": no {rule} to change; build the resource with one, and register \
             it with a limiter first"
        )
    };
    let says = |result: Result<(), tower_concurrency_limiter::resource::InvalidResource>, rule| {
        assert_eq!(result.expect_err("not there").to_string(), no(rule));
    };
    let db = Resource::new("db", 5);
    let _limiter = Limiter::new(Duration::ZERO, [&db]);
    says(db.set_rate(Rate::per_second(1)), "rate");
    says(db.set_load_rate(Rate::per_second(1)), "load rate");
    says(db.set_lane(&Lane::new("user")), "lane of this name");
    says(db.set_reserve(1, 100), "reserve for this priority");
    let zero = db
        .set_rate(Rate::per_second(0))
        .expect_err("admits nothing");
    assert!(zero.is_rate());

    let db = Resource::builder("db")
        .concurrency(5)
        .rate(Rate::per_second(1))
        .lanes(Lanes::shared([Lane::new("user"), Lane::new("batch")]).with_keyed(5))
        .reserve(1, 100)
        .build();
    says(db.set_rate(Rate::per_second(2)), "rate"); // not registered
    let limiter = Limiter::new(Duration::ZERO, [&db]);
    says(db.set_load_rate(Rate::per_second(1)), "load rate");
    says(
        db.set_lane(&Lane::new("user").reserve(1)),
        "reserve for this lane",
    );
    says(db.set_reserve(1, 99), "reserve for this priority");
    let zero = db
        .set_lane(&Lane::new("user").weight(0))
        .expect_err("never served");
    assert!(zero.is_lanes());
    let _key = limiter.request([&db]).lane("acme").try_acquire();
    says(db.set_lane(&Lane::new("acme")), "lane of this name"); // a key is not declared
    assert!(db.set_lane(&Lane::new("user").weight(2)).is_ok());
    drop((limiter, _key));
    says(
        db.set_lane(&Lane::new("user").weight(2)),
        "lane of this name",
    ); // not any more
}

#[test]
fn closures_that_need_http() {
    let words = "`.bypass(..)`, `.priority(..)` and the like, and `.expose_permit()` need HTTP requests; \
                 leave them out with `.for_any_service()`";
    let (db, _fs, limiter) = two();
    let layer = limiter.resources([&db]).lane(|_| "user".into());
    mistake!(words, layer.for_any_service());
    let layer = limiter.resources([&db]).expose_permit();
    mistake!(words, layer.for_any_service());
}
