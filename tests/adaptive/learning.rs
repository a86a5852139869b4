//! Limits that move by what each permit tells.

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
use http::{Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Empty, Full};
use tokio::time::{advance, sleep};
use tokio_test::{assert_pending, assert_ready_ok, task::spawn};
use tower::{BoxError, Layer, ServiceExt, service_fn};
use tower_concurrency_limiter::{
    Limiter, PermitHandle, Resource,
    adaptive::{AdaptiveLimit, Aimd, Outcome, Sample},
    middleware::ResponseHead,
};

use test_support::http::{data, get, shared, streamed};

const SECOND: Duration = Duration::from_secs(1);

/// Writes down what it is told, and says what it was told to say.
#[derive(Clone)]
struct Fake {
    limit: Arc<AtomicUsize>,
    floor: usize,
    samples: Arc<Mutex<Vec<Sample>>>,
}

impl Fake {
    fn new(limit: usize) -> Self {
        Self {
            limit: Arc::new(limit.into()),
            floor: 1,
            samples: Arc::default(),
        }
    }

    fn with_floor(self, floor: usize) -> Self {
        Self { floor, ..self }
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

    fn floor(&self) -> usize {
        self.floor
    }
}

fn adaptive(limit: usize) -> (Fake, Resource, Limiter) {
    with_floor(1, limit)
}

fn with_floor(floor: usize, limit: usize) -> (Fake, Resource, Limiter) {
    let fake = Fake::new(limit).with_floor(floor);
    let db = Resource::builder("db").adaptive(fake.clone()).build();
    let limiter = Limiter::new(60 * SECOND, [&db]);
    (fake, db, limiter)
}

#[tokio::test(start_paused = true)]
async fn it_sees_how_long_a_permit_was_held_and_what_was_in_use() {
    let (fake, db, limiter) = with_floor(3, 5);
    assert_eq!(db.limit(), Some(5), "where it starts");
    let one = limiter.try_acquire([&db]).expect("idle");
    let three = limiter.try_acquire([db.units(3)]).expect("idle");
    advance(2 * SECOND).await;
    drop(one);
    advance(SECOND).await;
    drop(three);
    let success = |seconds, in_use| Sample::new(seconds * SECOND, in_use, Outcome::Success);
    assert_eq!(fake.heard(), [success(2, 4), success(3, 3).with_units(3)]);
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
    assert_eq!(fake.outcomes(), [Outcome::Dropped]);
}

/// Each status of the service, read by a classifier as a server would.
#[tokio::test(start_paused = true)]
async fn a_layer_reads_the_status() {
    let (fake, db, limiter) = adaptive(5);
    let classify = |head: Option<&ResponseHead<'_>>| match head.map(|head| head.status()) {
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

/// gRPC puts its status into a header where there is no message, beside an HTTP status of 200.
#[tokio::test(start_paused = true)]
async fn a_layer_reads_the_whole_head() {
    #[derive(Clone)]
    struct Cached;

    let (fake, db, limiter) = adaptive(5);
    let classify = |head: Option<&ResponseHead<'_>>| {
        let head = head.expect("no failure");
        assert_eq!(
            (head.status(), head.version()),
            (StatusCode::OK, Version::HTTP_2)
        );
        match head.headers().get("grpc-status") {
            Some(code) if code == "14" => Outcome::Overload,
            _ if head.extensions().get::<Cached>().is_some() => Outcome::Ignore,
            _ => Outcome::Success,
        }
    };
    let layer = limiter.resources([&db]).classify(classify);
    let service = service_fn(|request: Request<Empty<Bytes>>| async move {
        let response = Response::builder().version(Version::HTTP_2);
        let response = match request.uri().path() {
            "/unavailable" => response.header("grpc-status", "14"),
            "/cached" => response.extension(Cached),
            _ => response,
        };
        response.body(Full::<Bytes>::from("body"))
    });
    let until_end = layer.clone().layer(service);
    let at_head = layer.clone().release_at_head().layer(service);
    let exposed = layer.expose_permit().layer(service);
    for (path, outcome) in [
        ("/unavailable", Outcome::Overload),
        ("/cached", Outcome::Ignore),
        ("/", Outcome::Success),
    ] {
        drop(
            until_end
                .clone()
                .oneshot(get(path))
                .await
                .expect("a response"),
        );
        drop(
            at_head
                .clone()
                .oneshot(get(path))
                .await
                .expect("a response"),
        );
        drop(
            exposed
                .clone()
                .oneshot(get(path))
                .await
                .expect("a response"),
        );
        assert_eq!(fake.outcomes(), [outcome; 3], "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_counts_as_dropped() {
    let (fake, db, limiter) = adaptive(5);
    let layer = limiter.resources([&db]);
    let stuck = service_fn(|_: Request<Empty<Bytes>>| async {
        std::future::pending::<()>().await;
        Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
    });
    for layer in [layer.clone(), layer.expose_permit()] {
        let mut call = spawn(layer.layer(stuck).oneshot(get("/")));
        assert_pending!(call.poll());
        advance(SECOND).await;
        drop(call);
        assert_eq!(fake.heard(), [Sample::new(SECOND, 1, Outcome::Dropped)]);
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
    let held = [(); 2].map(|()| limiter.try_acquire([&db]).expect("idle"));
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
    let (one, two) = (Fake::new(5).with_floor(2), Fake::new(7).with_floor(3));
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
    let overload = |units| Sample::new(SECOND, units, Outcome::Overload).with_units(units);
    assert_eq!(one.heard(), [overload(2)]);
    assert_eq!(two.heard(), [overload(3)]);
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
    let take = || limiter.try_acquire([&db]).ok();
    let mut all: Vec<_> = std::iter::from_fn(take).collect();
    assert_eq!(all.len(), 10);
    all.iter_mut()
        .for_each(|permit| permit.set_outcome(Outcome::Overload));
    drop(all);
    assert_eq!(db.limit(), Some(7), "a burst is one step");
    let low = db.limit();
    for _ in 0..200 {
        drop(std::iter::from_fn(take).collect::<Vec<_>>());
    }
    assert!(db.limit() > low, "it recovers");
}
