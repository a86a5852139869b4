//! However and whenever a call ends, everything is returned and everybody who waits is served.

use std::{
    fmt::Debug,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::BodyExt;
use tokio_test::{
    assert_pending, assert_ready, assert_ready_ok,
    task::{Spawn, spawn},
};
use tower::{Layer, Service};
use tower_concurrency_limiter::{
    Claim, Limiter, Permit, Rejection, Resource, limiter::Acquire, middleware::ResponseBody,
};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    Queued,
    /// The grant is there, but its future has not been polled since.
    Granted,
    Calling,
    Body,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Finish,
    Error,
    Panic,
    Drop,
}

/// A service that comes to the given end at the given stage, when it is told to.
#[derive(Clone)]
struct Actor {
    stage: Stage,
    end: End,
    act: Arc<AtomicBool>,
}

impl Actor {
    /// Whether to come to the end now, if this is the stage.
    fn acts(&self, stage: Stage) -> Option<End> {
        (self.stage == stage && self.act.load(Ordering::SeqCst)).then_some(self.end)
    }

    fn end_at(&self, stage: Stage) -> Poll<io::Result<()>> {
        match self.acts(stage) {
            None if self.stage == stage => Poll::Pending,
            None | Some(End::Finish | End::Drop) => Poll::Ready(Ok(())),
            Some(End::Error) => Poll::Ready(Err(io::Error::other("the end"))),
            Some(End::Panic) => panic!("the end"),
        }
    }
}

impl Service<Request<()>> for Actor {
    type Response = Response<Actor>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Response<Actor>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.acts(Stage::Granted) {
            Some(End::Error) => Poll::Ready(Err(io::Error::other("the end"))),
            _ => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        if self.acts(Stage::Granted) == Some(End::Panic) {
            panic!("the end");
        }
        let actor = self.clone();
        Box::pin(async move {
            std::future::poll_fn(|_| actor.end_at(Stage::Calling)).await?;
            Ok(Response::new(actor))
        })
    }
}

impl http_body::Body for Actor {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.end_at(Stage::Body).map(|end| end.err().map(Err))
    }
}

/// A system of two resources, all of it taken.
struct System {
    db: Resource,
    fs: Resource,
    limiter: Limiter,
    all: Option<Permit>,
}

const SETS: [&str; 6] = ["db", "fs", "db+fs", "2db", "2db+fs", "2db+2fs"];

impl System {
    fn new() -> Self {
        let db = Resource::new("db", 2);
        let fs = Resource::new("fs", 2);
        let limiter = Limiter::new(Duration::from_secs(5), [&db, &fs]);
        let all = limiter.try_acquire([db.units(2), fs.units(2)]).ok();
        assert!(all.is_some(), "idle");
        Self {
            db,
            fs,
            limiter,
            all,
        }
    }

    fn set(&self, set: &str) -> Vec<Claim> {
        set.split('+')
            .map(|claim| match claim {
                "db" => self.db.units(1),
                "2db" => self.db.units(2),
                "fs" => self.fs.units(1),
                "2fs" => self.fs.units(2),
                other => panic!("no such claim: {other}"),
            })
            .collect()
    }

    /// One waiter for each of the sets.
    fn waiters(&self) -> Vec<Spawn<Acquire>> {
        let acquire = |set| {
            let request = self.limiter.request(self.set(set));
            let mut waiter = spawn(request.timeout(Duration::from_secs(60)).acquire());
            assert_pending!(waiter.poll());
            waiter
        };
        SETS.into_iter().map(acquire).collect()
    }

    /// Polls waiters as they are woken, and returns what they are granted.
    fn serve(&self, mut waiters: Vec<Spawn<Acquire>>, case: &dyn Debug) {
        while let Some(next) = waiters.iter().position(Spawn::is_woken) {
            let mut waiter = waiters.remove(next);
            drop(assert_ready_ok!(
                waiter.poll(),
                "woken for nothing in {case:?}"
            ));
        }
        assert_eq!(waiters.len(), 0, "everybody is served after {case:?}");
        for resource in [&self.db, &self.fs] {
            assert_eq!(resource.in_use(), 0, "all is returned after {case:?}");
            assert_eq!(resource.waiting(), 0, "nobody is queued after {case:?}");
        }
    }

    fn free_all(&mut self) {
        drop(self.all.take());
    }
}

type Answer = io::Result<Response<ResponseBody<Actor>>>;

/// Polls the body once.
fn poll_body(body: &mut ResponseBody<Actor>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
    spawn(body.frame()).poll()
}

fn panics(what: impl FnOnce(), case: &dyn Debug) {
    let ended = catch_unwind(AssertUnwindSafe(what));
    assert!(ended.is_err(), "a panic passes through in {case:?}");
}

/// Drops what it was given while a panic unwinds.
fn panics_over<T>(value: T, case: &dyn Debug) {
    panics(
        || {
            let _value = value;
            panic!("the end");
        },
        case,
    );
}

async fn comes_to_its_end(stage: Stage, end: End, set: &str) {
    let case = (stage, end, set);
    let mut system = System::new();
    let act = Arc::new(AtomicBool::new(false));
    let mut service = system.limiter.resources(system.set(set)).layer(Actor {
        stage,
        end,
        act: Arc::clone(&act),
    });
    assert_ready_ok!(spawn(std::future::poll_fn(|cx| service.poll_ready(cx))).poll());
    let mut call = spawn(service.call(Request::new(())));
    assert_pending!(call.poll(), "{case:?}");
    let mut waiters = system.waiters();

    if stage == Stage::Queued {
        match end {
            End::Finish => system.free_all(),
            End::Error => {
                tokio::time::advance(Duration::from_secs(5)).await;
                tokio::task::yield_now().await;
                assert!(call.is_woken(), "by its deadline in {case:?}");
                let answer: Answer = assert_ready!(call.poll());
                let answer = answer.expect("a refusal");
                assert!(answer.extensions().get::<Rejection>().is_some());
                system.free_all();
                return system.serve(waiters, &case);
            }
            End::Panic => {
                panics_over(call, &case);
                system.free_all();
                return system.serve(waiters, &case);
            }
            End::Drop => {
                drop(call);
                system.free_all();
                return system.serve(waiters, &case);
            }
        }
    } else {
        system.free_all();
    }
    assert!(call.is_woken(), "first come, first served in {case:?}");

    if stage == Stage::Granted {
        act.store(true, Ordering::SeqCst);
        match end {
            End::Finish => {}
            End::Error => {
                assert!(assert_ready!(call.poll()).is_err(), "{case:?}");
                return system.serve(waiters, &case);
            }
            End::Panic => {
                panics(|| drop(call.poll()), &case);
                drop(call);
                return system.serve(waiters, &case);
            }
            End::Drop => {
                drop(call);
                return system.serve(waiters, &case);
            }
        }
    }

    if stage == Stage::Calling {
        assert_pending!(call.poll(), "{case:?}");
        act.store(true, Ordering::SeqCst);
        match end {
            End::Finish => {}
            End::Error => {
                assert!(assert_ready!(call.poll()).is_err(), "{case:?}");
                return system.serve(waiters, &case);
            }
            End::Panic => {
                panics(|| drop(call.poll()), &case);
                drop(call);
                return system.serve(waiters, &case);
            }
            End::Drop => {
                drop(call);
                return system.serve(waiters, &case);
            }
        }
    }

    let answer: Answer = assert_ready!(call.poll());
    let mut body = answer.expect("an answer").into_body();
    if stage == Stage::Body {
        assert_pending!(poll_body(&mut body).map(drop), "{case:?}");
        act.store(true, Ordering::SeqCst);
        match end {
            End::Finish => {}
            End::Error => {
                let frame = assert_ready!(poll_body(&mut body)).expect("a frame");
                assert!(frame.is_err(), "{case:?}");
            }
            End::Panic => {
                panics(|| drop(poll_body(&mut body)), &case);
                drop(body);
                return system.serve(waiters, &case);
            }
            End::Drop => {
                drop(body);
                return system.serve(waiters, &case);
            }
        }
    }
    if end == End::Finish {
        assert!(assert_ready!(poll_body(&mut body)).is_none(), "{case:?}");
    }
    // The body, the call and the service are still there, and hold nothing.
    waiters.rotate_left(1);
    system.serve(waiters, &case);
}

#[tokio::test(start_paused = true)]
async fn every_call_at_every_stage_with_every_set() {
    for stage in [Stage::Queued, Stage::Granted, Stage::Calling, Stage::Body] {
        for end in [End::Finish, End::Error, End::Panic, End::Drop] {
            for set in SETS {
                comes_to_its_end(stage, end, set).await;
            }
        }
    }
}

/// A waiter at the head that leaves lets those go whom it stood in front of.
#[tokio::test(start_paused = true)]
async fn a_cancelled_wide_waiter_unblocks_the_narrow_ones_behind_it() {
    let db = Resource::new("db", 2);
    let limiter = Limiter::new(Duration::from_secs(5), [&db]);
    let _one = limiter.try_acquire([&db]).expect("idle");
    let mut wide = spawn(limiter.acquire([db.units(2)]));
    assert_pending!(wide.poll());
    let mut narrow = spawn(limiter.acquire([&db]));
    assert_pending!(narrow.poll(), "behind the wide one");
    drop(wide);
    assert!(narrow.is_woken(), "nobody is in front any more");
    let _two = assert_ready_ok!(narrow.poll());
    assert_eq!((db.in_use(), db.waiting()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn an_expired_wide_waiter_unblocks_the_narrow_ones_behind_it() {
    let db = Resource::new("db", 2);
    let limiter = Limiter::new(Duration::from_secs(5), [&db]);
    let _one = limiter.try_acquire([&db]).expect("idle");
    let mut wide = spawn(limiter.acquire([db.units(2)]));
    assert_pending!(wide.poll());
    let patient = limiter.request([&db]).timeout(Duration::from_secs(60));
    let mut narrow = spawn(patient.acquire());
    assert_pending!(narrow.poll(), "behind the wide one");
    tokio::time::advance(Duration::from_secs(5)).await;
    tokio::task::yield_now().await;
    assert!(assert_ready!(wide.poll()).is_err(), "its time is over");
    assert!(narrow.is_woken(), "nobody is in front any more");
    drop(assert_ready_ok!(narrow.poll()));
}

#[tokio::test(start_paused = true)]
async fn a_grant_that_nobody_collects_goes_to_the_next_at_once() {
    let db = Resource::new("db", 1);
    let limiter = Limiter::new(Duration::from_secs(5), [&db]);
    let permit = limiter.try_acquire([&db]).expect("idle");
    let mut waiters: Vec<_> = (0..100)
        .map(|_| {
            let mut waiter = spawn(limiter.acquire([&db]));
            assert_pending!(waiter.poll());
            waiter
        })
        .collect();
    drop(permit);
    let mut last = waiters.pop().expect("100 of them");
    for waiter in waiters {
        assert!(waiter.is_woken(), "its turn");
        drop(waiter);
    }
    assert!(last.is_woken(), "its turn");
    drop(assert_ready_ok!(last.poll()));
    assert_eq!((db.in_use(), db.waiting()), (0, 0));
}

/// Wakers that panic, drop futures or come back for more must not find the queue locked.
#[tokio::test(start_paused = true)]
async fn a_waker_may_use_the_limiter() {
    struct Nosy(Limiter, Resource, AtomicBool);

    impl std::task::Wake for Nosy {
        fn wake(self: Arc<Self>) {
            let busy = self.0.try_acquire([&self.1]).is_err();
            self.2.store(busy, Ordering::SeqCst);
        }
    }

    let db = Resource::new("db", 1);
    let limiter = Limiter::new(Duration::from_secs(5), [&db]);
    let permit = limiter.try_acquire([&db]).expect("idle");
    let nosy = Arc::new(Nosy(limiter.clone(), db.clone(), AtomicBool::new(false)));
    let waker = Arc::clone(&nosy).into();
    let mut waiter = Box::pin(limiter.acquire([&db]));
    assert_pending!(waiter.as_mut().poll(&mut Context::from_waker(&waker)));
    drop(permit);
    assert!(
        nosy.2.load(Ordering::SeqCst),
        "woken; its unit is its own already"
    );
    drop(waiter);
    assert_eq!(db.in_use(), 0);
}

#[tokio::test]
async fn run_returns_the_set_however_its_work_ends() {
    let db = Resource::new("db", 1);
    let limiter = Limiter::new(Duration::from_secs(5), [&db]);

    let in_use = limiter.run([&db], || async { db.in_use() }).await;
    assert_eq!(in_use.expect("served"), 1, "while it runs");
    assert_eq!(db.in_use(), 0, "finished");

    let failed = limiter
        .run([&db], || async { Err::<(), _>("failed") })
        .await;
    assert_eq!(failed.expect("served"), Err("failed"));
    assert_eq!(db.in_use(), 0, "failed");

    let work = limiter.run([&db], || async { panic!("the end") });
    assert!(tokio::spawn(work).await.is_err_and(|e| e.is_panic()));
    assert_eq!(db.in_use(), 0, "panicked in its future");

    let work = limiter.run([&db], || -> std::future::Ready<()> { panic!("the end") });
    assert!(tokio::spawn(work).await.is_err_and(|e| e.is_panic()));
    assert_eq!(db.in_use(), 0, "panicked before its future");

    let mut work = spawn(limiter.run([&db], std::future::pending::<()>));
    assert_pending!(work.poll().map(drop));
    assert_eq!(db.in_use(), 1);
    drop(work);
    assert_eq!(db.in_use(), 0, "dropped");
}

/// A handler that panics under axum closes its connection, and returns its permit.
#[tokio::test]
async fn a_panicking_handler_returns_its_permit() {
    let db = Resource::new("db", 1);
    let limiter = Limiter::new(Duration::from_secs(5), [&db]);
    let layer = limiter.resources([&db]);
    let app = axum::Router::new().route(
        "/",
        axum::routing::get(|| async { panic!("the end") as &str }).layer(layer),
    );
    let request = Request::get("/").body(axum::body::Body::empty());
    let call = tower::ServiceExt::oneshot(app, request.expect("a request"));
    assert!(tokio::spawn(call).await.is_err_and(|e| e.is_panic()));
    assert_eq!(db.in_use(), 0);
}
