//! One limiter in several runtimes, some of which are not driven any more, or shut down.
//!
//! These run in real time, because paused time belongs to one runtime. Nothing asserts how long
//! anything takes: a deadline that does not fire shows as a test that does not end, or that ends
//! after what keeps it has given up.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    thread,
    time::Duration,
};

use futures_util::poll;
use tokio::{
    runtime::{Builder, Runtime},
    time::Instant,
};
use tower_concurrency_limiter::{Limiter, Permit, Rate, Reason, Rejection, Resource};

/// Soon enough for a test, and late enough to be queued.
const SOON: Duration = Duration::from_millis(20);
const LATE: Duration = Duration::from_secs(600);

fn current_thread() -> Runtime {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime")
}

fn multi_thread() -> Runtime {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.expect("a runtime")
}

fn busy() -> (Resource, Limiter, Permit) {
    let db = Resource::new("db", 1);
    let limiter = Limiter::new(SOON, [&db]);
    let permit = limiter.try_acquire([&db]).expect("idle");
    (db, limiter, permit)
}

/// A task of `runtime` that waits; queued when this returns.
fn wait_in(
    runtime: &Runtime,
    limiter: &Limiter,
    db: &Resource,
    timeout: Duration,
) -> tokio::task::JoinHandle<Result<Permit, Rejection>> {
    let (queued, is_queued) = mpsc::channel();
    let acquire = limiter.request([db]).timeout(timeout).acquire();
    let waiter = runtime.spawn(async move {
        let mut acquire = acquire;
        let first = poll!(&mut acquire);
        queued.send(()).expect("the test listens");
        match first {
            std::task::Poll::Ready(outcome) => outcome,
            std::task::Poll::Pending => acquire.await,
        }
    });
    is_queued.recv().expect("queued");
    waiter
}

fn assert_timed_out(outcome: Result<Permit, Rejection>) {
    let rejection = outcome.expect_err("never free");
    assert_eq!(rejection.reason(), Reason::Timeout);
}

/// The first waiter of all, and with it the first timer, is in a runtime that nobody drives again.
#[test]
fn deadlines_fire_beside_a_runtime_that_is_not_driven_any_more() {
    let (db, limiter, _permit) = busy();
    let idle = current_thread();
    let mut stuck = Box::pin(limiter.request([&db]).timeout(SOON).acquire());
    idle.block_on(async { assert!(poll!(&mut stuck).is_pending()) });

    let driven = multi_thread();
    assert_timed_out(driven.block_on(limiter.acquire([&db])));
    let other = current_thread();
    assert_timed_out(other.block_on(limiter.acquire([&db])));
    // Its own deadline passed meanwhile; whoever polls it hears of it.
    assert_timed_out(other.block_on(stuck));
    assert_eq!(db.waiting(), 0);
}

#[test]
fn a_later_and_shorter_deadline_in_another_runtime_fires_first() {
    let (db, limiter, _permit) = busy();
    let (one, two) = (multi_thread(), multi_thread());
    let patient = wait_in(&one, &limiter, &db, LATE);
    let hasty = wait_in(&two, &limiter, &db, SOON);
    assert_timed_out(two.block_on(hasty).expect("no panics"));
    assert!(!patient.is_finished());
    patient.abort();
    assert!(one.block_on(patient).is_err_and(|e| e.is_cancelled()));
    assert_eq!(db.waiting(), 0);
}

/// A future that was polled in one runtime, and is awaited in another.
#[test]
fn a_waiter_may_move_to_another_runtime() {
    let (db, limiter, permit) = busy();
    let idle = current_thread();
    let mut granted = Box::pin(limiter.request([&db]).timeout(LATE).acquire());
    idle.block_on(async { assert!(poll!(&mut granted).is_pending()) });
    let driven = multi_thread();
    let granted = driven.spawn(granted);
    drop(permit);
    let permit = driven.block_on(granted).expect("no panics");
    assert!(permit.is_ok(), "served elsewhere");
}

/// The timer of the runtime in which it was queued sleeps.
#[test]
fn a_waiter_that_moved_is_refused_at_its_deadline() {
    let (db, limiter, _permit) = busy();
    let idle = current_thread();
    let mut moved = Box::pin(limiter.request([&db]).timeout(SOON).acquire());
    idle.block_on(async { assert!(poll!(&mut moved).is_pending()) });
    let driven = multi_thread();
    assert_timed_out(driven.block_on(moved));
}

#[test]
fn waiters_of_a_runtime_that_shuts_down_leave_the_queue() {
    let (db, limiter, permit) = busy();
    let ends = multi_thread();
    let stays = multi_thread();
    let lost = [(); 10].map(|()| wait_in(&ends, &limiter, &db, LATE));
    let kept = wait_in(&stays, &limiter, &db, LATE);
    assert_eq!(db.waiting(), 11);
    drop(ends);
    assert_eq!(db.waiting(), 1, "the others are gone with their runtime");
    drop(permit);
    let permit = stays.block_on(kept).expect("no panics");
    drop(permit.expect("served"));
    drop(lost);
    assert_eq!((db.in_use(), db.waiting()), (0, 0));
}

/// The timer of a waiter that lives on goes down with the runtime in which it was queued.
#[test]
fn a_waiter_whose_timer_was_shut_down_is_refused_at_its_deadline() {
    let (db, limiter, _permit) = busy();
    let ends = multi_thread();
    let mut moved = Box::pin(limiter.request([&db]).timeout(SOON).acquire());
    ends.block_on(async { assert!(poll!(&mut moved).is_pending()) });
    let stays = multi_thread();
    let (polled, is_polled) = mpsc::channel();
    let waiter = stays.spawn(async move {
        let first = poll!(&mut moved);
        polled.send(()).expect("the test listens");
        match first {
            std::task::Poll::Ready(outcome) => outcome,
            std::task::Poll::Pending => moved.await,
        }
    });
    is_polled.recv().expect("polled");
    drop(ends);
    assert_timed_out(stays.block_on(waiter).expect("no panics"));
}

/// A permit returned where there is no runtime at all wakes those in one.
#[test]
fn a_permit_is_returned_from_any_thread() {
    let (db, limiter, permit) = busy();
    let runtime = multi_thread();
    let waiter = wait_in(&runtime, &limiter, &db, LATE);
    thread::spawn(move || drop(permit))
        .join()
        .expect("no panics");
    let granted = runtime.block_on(waiter).expect("no panics");
    drop(granted.expect("served"));
    assert_eq!(db.in_use(), 0);
}

#[test]
fn a_limiter_outlives_its_runtimes() {
    let (db, limiter, permit) = busy();
    for _ in 0..5 {
        let runtime = current_thread();
        assert_timed_out(runtime.block_on(limiter.acquire([&db])));
    }
    for _ in 0..5 {
        let runtime = current_thread();
        let mut abandoned = Box::pin(limiter.acquire([&db]));
        runtime.block_on(async { assert!(poll!(&mut abandoned).is_pending()) });
        drop(runtime);
        drop(abandoned);
    }
    drop(permit);
    let runtime = current_thread();
    drop(runtime.block_on(limiter.acquire([&db])).expect("idle"));
    assert_eq!((db.in_use(), db.waiting()), (0, 0));
}

/// Both workers of a runtime compute until they are let off, or for longer than any healthy machine
/// needs.
struct Busy {
    runtime: Runtime,
    over: Arc<AtomicBool>,
    has_given_up: Arc<AtomicBool>,
}

impl Busy {
    fn new(runtime: Runtime) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let has_given_up = Arc::new(AtomicBool::new(false));
        let (computing, computes) = mpsc::channel();
        for _ in 0..2 {
            let (over, has_given_up) = (Arc::clone(&over), Arc::clone(&has_given_up));
            let computing = computing.clone();
            runtime.spawn(async move {
                computing.send(()).expect("the test listens");
                let begin = Instant::now();
                while !over.load(SeqCst) {
                    if begin.elapsed() > Duration::from_secs(30) {
                        has_given_up.store(true, SeqCst);
                        return;
                    }
                }
            });
        }
        computes.iter().take(2).for_each(drop);
        Self {
            runtime,
            over,
            has_given_up,
        }
    }

    fn is_busy(&self) -> bool {
        !self.has_given_up.load(SeqCst)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.over.store(true, SeqCst);
    }
}

/// The busy one has waited first, and its waiter is the first in the queue.
#[test]
fn a_deadline_passes_in_an_idle_runtime_beside_a_busy_one() {
    for kind in [multi_thread, current_thread] {
        let (db, limiter, _permit) = busy();
        let runtime = multi_thread();
        let patient = wait_in(&runtime, &limiter, &db, LATE);
        let busy = Busy::new(runtime);
        let idle = kind();
        assert_timed_out(idle.block_on(limiter.acquire([&db])));
        let outcome = idle.block_on(limiter.run([&db], || async {}));
        assert_eq!(outcome.expect_err("busy").reason(), Reason::Timeout);
        assert!(
            busy.is_busy(),
            "the deadline has not waited for the other runtime"
        );
        busy.over.store(true, SeqCst);
        patient.abort();
        let cancelled = busy.runtime.block_on(patient);
        assert!(cancelled.is_err_and(|error| error.is_cancelled()));
    }
}

/// A rate lets a waiter go although the runtime that waited first computes.
#[test]
fn a_rate_lets_go_in_an_idle_runtime_beside_a_busy_one() {
    let api = Resource::builder("api").rate(Rate::new(1, SOON)).build();
    let limiter = Limiter::new(LATE, [&api]);
    drop(limiter.try_acquire([&api]).expect("idle"));
    let runtime = multi_thread();
    let first = wait_in(&runtime, &limiter, &api, LATE);
    let busy = Busy::new(runtime);
    let idle = multi_thread();
    drop(idle.block_on(limiter.acquire([&api])).expect("soon"));
    assert!(busy.is_busy());
    busy.over.store(true, SeqCst);
    drop(
        busy.runtime
            .block_on(first)
            .expect("no panics")
            .expect("served"),
    );
}

/// The runtime that is busy gets its own deadline late, and does not lose it.
#[test]
fn a_deadline_in_a_busy_runtime_passes_when_it_is_idle_again() {
    let (db, limiter, _permit) = busy();
    let runtime = multi_thread();
    let late = wait_in(&runtime, &limiter, &db, SOON);
    let busy = Busy::new(runtime);
    let idle = multi_thread();
    assert_timed_out(idle.block_on(limiter.request([&db]).timeout(SOON).acquire()));
    busy.over.store(true, SeqCst);
    assert_timed_out(busy.runtime.block_on(late).expect("no panics"));
    assert_eq!(db.waiting(), 0);
}

/// Counts how often a future is polled.
async fn counted<F: Future>(future: F, polls: Arc<AtomicUsize>) -> F::Output {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(move |cx| {
        polls.fetch_add(1, SeqCst);
        future.as_mut().poll(cx)
    })
    .await
}

/// A blocking task of `runtime` that waits; queued when this returns.
fn wait_blocking(
    runtime: &Runtime,
    acquire: tower_concurrency_limiter::limiter::Acquire,
    resource: &Resource,
    polls: &Arc<AtomicUsize>,
) -> tokio::task::JoinHandle<Result<Permit, Rejection>> {
    let (handle, polls) = (runtime.handle().clone(), Arc::clone(polls));
    let before = resource.waiting();
    let waiter = runtime.spawn_blocking(move || handle.block_on(counted(acquire, polls)));
    while resource.waiting() == before {
        thread::yield_now();
    }
    waiter
}

/// No timer runs in a runtime that shuts down, so its waiters are refused, without spinning, and it
/// ends.
#[test]
fn a_blocking_waiter_is_refused_when_its_runtime_shuts_down() {
    for kind in [multi_thread, current_thread] {
        let rules = Resource::builder("rules").concurrency(1).max_waiting(9);
        let rules = rules.reserve(0, 200).build();
        for db in [Resource::new("db", 1), rules] {
            let limiter = Limiter::new(LATE, [&db]);
            let _held = limiter.try_acquire([&db]).expect("idle");
            let runtime = kind();
            let polls = Arc::default();
            let waiters =
                [(); 3].map(|()| wait_blocking(&runtime, limiter.acquire([&db]), &db, &polls));
            drop(runtime);
            let driver = multi_thread();
            for waiter in waiters {
                let outcome = driver.block_on(waiter).expect("no panics");
                assert_eq!(outcome.expect_err("held").reason(), Reason::Closed);
            }
            let polls = polls.load(SeqCst);
            assert!(polls < 30, "polled {polls} times");
            assert_eq!(db.waiting(), 0);
            assert_timed_out(driver.block_on(limiter.request([&db]).timeout(SOON).acquire()));
        }
    }
}

/// So is one that comes when the runtime has begun to shut down; what fits is still granted.
#[test]
fn a_newcomer_is_refused_while_its_runtime_shuts_down() {
    let (db, limiter, permit) = busy();
    let runtime = multi_thread();
    let handle = runtime.handle().clone();
    let polls = Arc::default();
    let acquire = limiter.request([&db]).timeout(LATE).acquire();
    let waiter = wait_blocking(&runtime, acquire, &db, &polls);
    let newcomer = runtime.spawn_blocking({
        let (db, limiter) = (db.clone(), limiter.clone());
        move || {
            let first = handle.block_on(waiter).expect("no panics");
            let second = handle.block_on(limiter.request([&db]).timeout(LATE).acquire());
            let third = handle.block_on(limiter.request([&db]).timeout(LATE).run(async || ()));
            drop(permit);
            let last = handle.block_on(limiter.acquire([&db]));
            drop(last.expect("idle"));
            [first.map(drop), second.map(drop), third]
        }
    });
    drop(runtime);
    for outcome in multi_thread().block_on(newcomer).expect("no panics") {
        assert_eq!(outcome.expect_err("held").reason(), Reason::Closed);
    }
    assert_eq!((db.in_use(), db.waiting()), (0, 0));
}

/// Polled once in a runtime that ends, it goes on waiting in the next.
#[test]
fn a_waiter_survives_the_runtime_that_it_came_from() {
    let (db, limiter, permit) = busy();
    let mut moved = Box::pin(limiter.request([&db]).timeout(LATE).acquire());
    for kind in [multi_thread, current_thread, multi_thread] {
        let ends = kind();
        ends.block_on(async { assert!(poll!(&mut moved).is_pending()) });
    }
    assert_eq!(db.waiting(), 1);
    let stays = multi_thread();
    let moved = stays.spawn(moved);
    drop(permit);
    drop(stays.block_on(moved).expect("no panics").expect("served"));
    assert_eq!((db.in_use(), db.waiting()), (0, 0));
}

/// A waker of its own, such as those of a `FuturesUnordered`, does not show in which runtime it is
/// polled.
#[test]
fn a_waiter_is_followed_to_another_runtime_whatever_its_waker() {
    let (db, limiter, _permit) = busy();
    let waker = futures_util::task::noop_waker();
    let mut cx = std::task::Context::from_waker(&waker);
    let mut moved = Box::pin(limiter.acquire([&db]));
    let idle = current_thread();
    idle.block_on(async { assert!(moved.as_mut().poll(&mut cx).is_pending()) });
    let driven = multi_thread();
    driven.block_on(async {
        assert!(moved.as_mut().poll(&mut cx).is_pending());
        while db.waiting() > 0 {
            tokio::task::yield_now().await;
        }
    });
    assert_timed_out(driven.block_on(moved));
}
