//! Mistakes are told at start-up, at the caller's line, with the cure. The words are pinned here.

use std::{
    panic::{AssertUnwindSafe, Location, catch_unwind},
    sync::{Mutex, Once},
    thread::ThreadId,
    time::Duration,
};

use tower_concurrency_limiter::{
    Claim, Limiter, Resource,
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
    let words = "resource \"db\" has limit 0 and would admit nothing; pass 1 or more";
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
        "resource \"db\" has limit {}, above the largest one, 2147483647; pass \
         `Resource::MAX_LIMIT` or less",
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
    assert_eq!(db.limit(), Resource::MAX_LIMIT);
    let all = limiter.try_acquire([db.units(Resource::MAX_LIMIT)]);
    assert!(all.is_ok(), "all at once");
}

#[test]
fn no_limit() {
    let words =
        "resource \"db\" has no limit; set one with `.concurrency(n)`, or a rate with `.rate(..)`";
    mistake!(words, Resource::builder("db").build());
    let error = Resource::builder("db").try_build().expect_err("no limit");
    assert_eq!(error.to_string(), words);
}

#[test]
fn an_empty_name() {
    let words = "a resource needs a name; pass one that tells it apart in logs, such as \"db\"";
    mistake!(words, Resource::new("", 1));
    let error = Resource::builder("").concurrency(1).try_build();
    let error = error.expect_err("no name");
    assert_eq!(error.to_string(), words);
    assert!(error.is_name() && !error.is_limit());
}

#[test]
fn no_resources() {
    let words = "a limiter needs at least one resource; pass all that its sets will name";
    let none: [Resource; 0] = [];
    mistake!(words, Limiter::new(Duration::ZERO, &none));
    mistake!(words, Limiter::builder().build());
    let error = Limiter::builder().try_build().expect_err("no resources");
    assert_eq!(error.to_string(), words);
}

#[test]
fn two_resources_of_one_name() {
    let words = "two resources are named \"db\"; register a resource once, and give each its own \
                 name";
    let (one, two) = (Resource::new("db", 1), Resource::new("db", 1));
    mistake!(words, Limiter::new(Duration::ZERO, [&one, &two]));
    mistake!(words, Limiter::new(Duration::ZERO, [&one, &one]));
    let error = Limiter::builder().resources([&one, &two]).try_build();
    let error = error.expect_err("the same name");
    assert_eq!(error.to_string(), words);
    assert!(error.is_repeated_name() && !error.is_taken());
    assert_eq!(
        Limiter::new(Duration::ZERO, [&one]).registered().len(),
        1,
        "a failed limiter keeps nothing"
    );
}

#[test]
fn a_resource_of_another_limiter() {
    let words = "resource \"fs\" belongs to another limiter; clone that limiter, or register the \
                 resource with this one alone";
    let (db, fs) = (Resource::new("db", 1), Resource::new("fs", 1));
    let first = Limiter::new(Duration::ZERO, [&fs]);
    mistake!(words, Limiter::new(Duration::ZERO, [&db, &fs]));
    let error = Limiter::builder().resources([&db, &fs]).try_build();
    let error = error.expect_err("taken");
    assert_eq!(error.to_string(), words);
    assert!(error.is_taken() && !error.is_repeated_name());

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
    let words = "an empty set limits nothing; name at least one resource";
    let (_db, _fs, limiter) = two();
    let none: [Resource; 0] = [];
    mistake!(words, limiter.resources(none.clone()));
    mistake!(words, limiter.acquire(none.clone()));
    let error = limiter.try_resources(none).expect_err("empty");
    assert_eq!(error.to_string(), words);
    assert!(error.is_empty_set());
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
}

#[test]
fn a_repeated_resource() {
    let words = "resource \"db\" stands in the set twice; name it once, with `.units(n)` for more \
                 than one";
    let (db, fs, limiter) = two();
    mistake!(words, limiter.resources([&db, &db]));
    let error = limiter
        .try_resources([&db, &fs, &db])
        .expect_err("repeated");
    assert_eq!(error.to_string(), words, "said before the order is");
    assert!(error.is_repeated());
}

#[test]
fn zero_units() {
    let words = "a claim of 0 units of \"db\" limits nothing; claim 1 or more, or leave it out";
    let (db, _fs, limiter) = two();
    mistake!(words, limiter.resources([db.units(0)]));
    let error = limiter.try_resources([db.units(0)]).expect_err("nothing");
    assert_eq!(error.to_string(), words);
    assert!(error.is_units());
}

#[test]
fn more_units_than_there_are() {
    let words = "a claim of 6 units of \"db\" can never be granted, its limit is 5; claim fewer or \
                 raise the limit";
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
}

#[test]
fn out_of_order() {
    let words = "the set is not in the order in which its resources were registered; pass them as \
                 [db, fs], or build the limiter with `.any_order()`";
    let (db, fs, limiter) = two();
    mistake!(words, limiter.resources([&fs, &db]));
    let error = limiter.try_resources([&fs, &db]).expect_err("out of order");
    assert_eq!(error.to_string(), words);
    assert!(error.is_out_of_order());
}

#[test]
fn any_order_on_request() {
    let (db, fs) = (Resource::new("db", 1), Resource::new("fs", 1));
    let limiter = Limiter::builder().any_order().resources([&db, &fs]).build();
    let permit = limiter.try_acquire([&fs, &db]).expect("idle");
    let held: Vec<_> = permit.claims().map(|(r, _)| r.name()).collect();
    assert_eq!(held, ["db", "fs"], "in canonical order all the same");
    let error = limiter
        .try_resources([&fs, &db, &fs])
        .expect_err("repeated");
    assert!(error.is_repeated());
}

#[test]
fn every_way_in_blames_its_caller() {
    let words = "the set is not in the order in which its resources were registered; pass them as \
                 [db, fs], or build the limiter with `.any_order()`";
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
        limiter.try_acquire(limiter.registered()),
        limiter.try_acquire([&db, &fs].into_iter().filter(|r| r.limit() > 0)),
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
fn an_adaptive_limit_without_a_range() {
    let words =
        "the floor 9 is above the ceiling 5; pass the smaller one first, as `between(5, 9)`";
    mistake!(words, Box::new(Aimd::between(9, 5).build()));
    mistake!(words, Box::new(Gradient2::between(9, 5).build()));
}
