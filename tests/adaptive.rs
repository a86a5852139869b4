//! Limits that move by what each permit tells.

mod common;

use std::{
    convert::Infallible,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Full};
use tokio::time::{advance, sleep};
use tokio_test::{assert_pending, assert_ready_ok, task::spawn};
use tower::{BoxError, Layer, ServiceExt, service_fn};
use tower_concurrency_limiter::{
    Limiter, PermitHandle, Resource,
    adaptive::{AdaptiveLimit, Aimd, Outcome, Sample},
};

use common::{data, get, shared, streamed};

const SECOND: Duration = Duration::from_secs(1);

/// Writes down what it is told, and says what it was told to say.
#[derive(Clone)]
struct Fake {
    limit: Arc<AtomicUsize>,
    samples: Arc<Mutex<Vec<Sample>>>,
}

impl Fake {
    fn new(limit: usize) -> Self {
        Self {
            limit: Arc::new(limit.into()),
            samples: Arc::default(),
        }
    }

    fn say(&self, limit: usize) {
        self.limit.store(limit, Ordering::SeqCst);
    }

    /// What it has been told since it was asked last.
    fn heard(&self) -> Vec<Sample> {
        std::mem::take(&mut *self.samples.lock().expect("no panics"))
    }

    fn outcomes(&self) -> Vec<Outcome> {
        self.heard().iter().map(Sample::outcome).collect()
    }
}

impl AdaptiveLimit for Fake {
    fn update(&mut self, sample: &Sample) -> usize {
        self.samples.lock().expect("no panics").push(*sample);
        self.limit()
    }

    fn limit(&self) -> usize {
        self.limit.load(Ordering::SeqCst)
    }
}

fn adaptive(limit: usize) -> (Fake, Resource, Limiter) {
    let fake = Fake::new(limit);
    let db = Resource::builder("db").adaptive(fake.clone()).build();
    let limiter = Limiter::new(60 * SECOND, [&db]);
    (fake, db, limiter)
}

#[tokio::test(start_paused = true)]
async fn it_sees_how_long_a_permit_was_held_and_what_was_in_use() {
    let (fake, db, limiter) = adaptive(5);
    assert_eq!(db.limit(), Some(5), "where it starts");
    let one = limiter.try_acquire([&db]).expect("idle");
    let three = limiter.try_acquire([db.units(3)]).expect("idle");
    advance(2 * SECOND).await;
    drop(one);
    advance(SECOND).await;
    drop(three);
    let success = |seconds, in_use| Sample::new(seconds * SECOND, in_use, Outcome::Success);
    assert_eq!(fake.heard(), [success(2, 4), success(3, 3)]);
}

/// The time in the queue is not part of it, and neither is that in which nobody looked.
#[tokio::test(start_paused = true)]
async fn a_wait_is_not_held_time() {
    let (fake, db, limiter) = adaptive(1);
    let held = limiter.try_acquire([&db]);
    let mut waiting = spawn(limiter.acquire([&db]));
    assert_pending!(waiting.poll());
    advance(7 * SECOND).await;
    drop(held);
    let permit = assert_ready_ok!(waiting.poll());
    advance(2 * SECOND).await;
    drop(permit);
    let held: Vec<_> = fake.heard().iter().map(Sample::held).collect();
    assert_eq!(held, [7 * SECOND, 2 * SECOND]);
}

#[tokio::test(start_paused = true)]
async fn a_grant_that_nobody_collects_tells_nothing() {
    let (fake, db, limiter) = adaptive(1);
    let held = limiter.try_acquire([&db]);
    let mut waiting = spawn(limiter.acquire([&db]));
    assert_pending!(waiting.poll());
    drop(held);
    fake.heard();
    drop(waiting);
    assert_eq!(fake.heard(), []);
    assert_eq!(db.in_use(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_permit_says_how_it_went() {
    let (fake, db, limiter) = adaptive(5);
    for outcome in [Outcome::Overload, Outcome::Ignore, Outcome::Success] {
        let mut permit = limiter.try_acquire([&db]).expect("idle");
        permit.set_outcome(Outcome::Ignore);
        permit.set_outcome(outcome); // the last word counts
        drop(permit);
        assert_eq!(fake.outcomes(), [outcome]);
    }
}

#[tokio::test(start_paused = true)]
async fn run_succeeds_unless_it_is_dropped() {
    let (fake, db, limiter) = adaptive(5);
    limiter.run([&db], || async {}).await.expect("idle");
    assert_eq!(fake.outcomes(), [Outcome::Success]);
    let mut run = spawn(limiter.run([&db], || sleep(SECOND)));
    assert_pending!(run.poll());
    drop(run);
    assert_eq!(fake.outcomes(), [Outcome::Ignore]);
}

/// Each status of the service, read by a classifier as a server would.
#[tokio::test(start_paused = true)]
async fn a_layer_reads_the_status() {
    let (fake, db, limiter) = adaptive(5);
    let classify = |status: Option<StatusCode>| match status {
        None => Outcome::Overload,
        Some(StatusCode::SERVICE_UNAVAILABLE) => Outcome::Overload,
        Some(status) if status.is_client_error() => Outcome::Ignore,
        Some(_) => Outcome::Success,
    };
    let layer = limiter.resources([&db]);
    let service = service_fn(|request: Request<Empty<Bytes>>| async move {
        match request.uri().path().trim_start_matches('/').parse() {
            Ok(status) => {
                let mut response = Response::new(Full::<Bytes>::from("body"));
                *response.status_mut() = status;
                Ok(response)
            }
            Err(_) => Err(BoxError::from("the table is gone")),
        }
    });
    let without = layer.clone().layer(service);
    let until_end = layer.clone().classify(classify).layer(service);
    let at_head = layer
        .clone()
        .classify(classify)
        .release_at_head()
        .layer(service);
    let exposed = layer.classify(classify).expose_permit().layer(service);
    for (path, outcome) in [
        ("/200", Outcome::Success),
        ("/404", Outcome::Ignore),
        ("/503", Outcome::Overload),
        ("/broken", Outcome::Overload),
    ] {
        let _ = without.clone().oneshot(get(path)).await.map(drop);
        assert_eq!(
            fake.outcomes(),
            [Outcome::Success],
            "unless it is said otherwise"
        );
        let _ = until_end.clone().oneshot(get(path)).await.map(drop);
        assert_eq!(fake.outcomes(), [outcome], "{path}");
        let _ = at_head.clone().oneshot(get(path)).await.map(drop);
        assert_eq!(fake.outcomes(), [outcome], "{path}, at the head");
        let _ = exposed.clone().oneshot(get(path)).await.map(drop);
        assert_eq!(
            fake.outcomes(),
            [outcome],
            "{path}, with a permit that nobody took"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_tells_nothing_of_the_resource() {
    let (fake, db, limiter) = adaptive(5);
    let layer = limiter.resources([&db]);
    let stuck = service_fn(|_: Request<Empty<Bytes>>| async {
        std::future::pending::<()>().await;
        Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
    });
    for layer in [layer.clone(), layer.expose_permit()] {
        let mut call = spawn(layer.layer(stuck).oneshot(get("/")));
        assert_pending!(call.poll());
        drop(call);
        assert_eq!(fake.outcomes(), [Outcome::Ignore]);
    }
}

/// A handler that takes its permit speaks for itself, also where a status says otherwise.
#[tokio::test(start_paused = true)]
async fn a_handler_with_the_permit_says_so_itself() {
    let (fake, db, limiter) = adaptive(5);
    let layer = limiter
        .resources([&db])
        .classify(|_| Outcome::Overload)
        .expose_permit();
    for outcome in [None, Some(Outcome::Ignore)] {
        let service = layer.layer(service_fn(move |request: Request<Empty<Bytes>>| {
            let handle = request.extensions().get::<PermitHandle>().cloned();
            let mut permit = handle.and_then(|handle| handle.take()).expect("exposed");
            outcome
                .into_iter()
                .for_each(|outcome| permit.set_outcome(outcome));
            async move {
                drop(permit);
                Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
            }
        }));
        drop(service.oneshot(get("/")).await.expect("infallible"));
        assert_eq!(fake.outcomes(), [outcome.unwrap_or(Outcome::Success)]);
    }
}

/// The body is part of the time, and its client may leave without a change of the outcome.
#[tokio::test(start_paused = true)]
async fn a_streamed_body_is_held_time() {
    let (fake, db, limiter) = adaptive(5);
    let (frames, body) = streamed();
    let body = shared(Some(body));
    let service = limiter
        .resources([&db])
        .layer(service_fn(|_: Request<Empty<Bytes>>| {
            let body = body.lock().expect("no panics").take().expect("called once");
            async { Ok::<_, Infallible>(Response::new(body)) }
        }));
    let mut response = service.oneshot(get("/")).await.expect("infallible");
    frames.send(data("one")).await.expect("somebody reads");
    response
        .body_mut()
        .frame()
        .await
        .expect("a frame")
        .expect("data");
    advance(4 * SECOND).await;
    assert_eq!(fake.heard(), []);
    drop(response);
    assert_eq!(fake.heard(), [Sample::new(4 * SECOND, 1, Outcome::Success)]);
}

#[tokio::test(start_paused = true)]
async fn the_limit_moves_and_wakes() {
    let (fake, db, limiter) = adaptive(2);
    let held = limiter.try_acquire([db.units(2)]);
    let mut waiting: Vec<_> = (0..4)
        .map(|_| {
            let mut waiting = spawn(limiter.acquire([&db]));
            assert_pending!(waiting.poll());
            waiting
        })
        .collect();
    fake.say(3);
    drop(held);
    assert_eq!((db.limit(), db.in_use(), db.waiting()), (Some(3), 3, 1));
    let mut permits: Vec<_> = waiting
        .drain(..3)
        .map(|mut waiting| assert_ready_ok!(waiting.poll()))
        .collect();
    fake.say(1);
    for in_use in [2, 1] {
        drop(permits.pop());
        assert_eq!(
            (db.limit(), db.in_use()),
            (Some(1), in_use),
            "it falls as permits end"
        );
        assert!(!waiting[0].is_woken());
    }
    drop(permits);
    drop(assert_ready_ok!(waiting[0].poll()));
    assert_eq!((db.in_use(), db.waiting()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn an_impossible_limit_wedges_nothing() {
    let (fake, db, limiter) = adaptive(2);
    for (said, limit) in [
        (0, 1),
        (usize::MAX, Resource::MAX_LIMIT),
        (0, 1),
        (Resource::MAX_LIMIT + 1, Resource::MAX_LIMIT),
        (u32::MAX as usize, Resource::MAX_LIMIT),
        (3, 3),
    ] {
        fake.say(said);
        drop(limiter.try_acquire([&db]).expect("idle"));
        assert_eq!((db.limit(), db.in_use()), (Some(limit), 0), "said {said}");
    }
}

#[test]
fn an_impossible_start_is_a_mistake() {
    let error = Resource::builder("db").adaptive(Fake::new(0)).try_build();
    assert!(error.expect_err("admits nothing").is_limit());
    let error = Resource::builder("db")
        .adaptive(Fake::new(usize::MAX))
        .try_build();
    assert!(error.expect_err("too much").is_limit());
}

/// A panic in somebody's limit is that permit's, and loses neither units nor waiters.
#[tokio::test(start_paused = true)]
async fn a_limit_that_panics() {
    struct Brittle(Arc<AtomicUsize>);

    impl AdaptiveLimit for Brittle {
        fn update(&mut self, _: &Sample) -> usize {
            assert_ne!(self.0.fetch_add(1, Ordering::SeqCst), 0, "the first sample");
            1
        }

        fn limit(&self) -> usize {
            1
        }
    }

    let db = Resource::builder("db")
        .adaptive(Brittle(Arc::default()))
        .build();
    let limiter = Limiter::new(60 * SECOND, [&db]);
    let held = limiter.try_acquire([&db]);
    let mut waiting = spawn(limiter.acquire([&db]));
    assert_pending!(waiting.poll());
    assert!(catch_unwind(AssertUnwindSafe(|| drop(held))).is_err());
    assert!(waiting.is_woken());
    drop(assert_ready_ok!(waiting.poll()));
    assert_eq!((db.in_use(), db.waiting()), (0, 0));
}

/// In a set, each resource hears of its own units, and those with a fixed limit of nothing.
#[tokio::test(start_paused = true)]
async fn a_set_of_adaptive_and_fixed_limits() {
    let (one, two) = (Fake::new(5), Fake::new(7));
    let db = Resource::builder("db").adaptive(one.clone()).build();
    let fs = Resource::new("fs", 3);
    let api = Resource::builder("api").adaptive(two.clone()).build();
    let limiter = Limiter::new(60 * SECOND, [&db, &fs, &api]);
    let mut permit = limiter.try_acquire([db.units(2), fs.units(1), api.units(3)]);
    permit
        .as_mut()
        .expect("idle")
        .set_outcome(Outcome::Overload);
    advance(SECOND).await;
    one.say(4);
    two.say(6);
    drop(permit);
    assert_eq!(one.heard(), [Sample::new(SECOND, 2, Outcome::Overload)]);
    assert_eq!(two.heard(), [Sample::new(SECOND, 3, Outcome::Overload)]);
    assert_eq!(
        [db.limit(), fs.limit(), api.limit()],
        [Some(4), Some(3), Some(6)]
    );
}

/// What was learnt moves on with the resource.
#[tokio::test(start_paused = true)]
async fn it_goes_with_the_resource_to_another_limiter() {
    let (fake, db, limiter) = adaptive(5);
    fake.say(3);
    drop(limiter.try_acquire([&db]));
    drop(limiter);
    assert_eq!(fake.heard().len(), 1);
    let limiter = Limiter::new(SECOND, [&db]);
    assert_eq!(db.limit(), Some(3));
    drop(limiter.try_acquire([&db]));
    assert_eq!(fake.heard().len(), 1, "it still listens");
}

/// One of the shipped ones, in its place.
#[tokio::test(start_paused = true)]
async fn aimd_under_a_limiter() {
    let aimd = Aimd::between(1, 100).start(10).build();
    let db = Resource::builder("db").adaptive(aimd).build();
    let limiter = Limiter::new(SECOND, [&db]);
    let mut permit = limiter.try_acquire([db.units(10)]).expect("idle");
    permit.set_outcome(Outcome::Overload);
    drop(permit);
    assert!(db.limit() < Some(10));
    let low = db.limit();
    for _ in 0..200 {
        let take = || limiter.try_acquire([&db]).ok();
        drop(std::iter::from_fn(take).collect::<Vec<_>>());
    }
    assert!(db.limit() > low, "it recovers");
}
