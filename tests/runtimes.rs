//! One limiter in several runtimes, some of which are not driven any more, or shut down.
//!
//! These run in real time, because paused time belongs to one runtime. Nothing asserts how long
//! anything takes: a deadline that does not fire shows as a test that does not end.

use std::{sync::mpsc, thread, time::Duration};

use futures_util::poll;
use tokio::runtime::{Builder, Runtime};
use tower_concurrency_limiter::{Limiter, Permit, Reason, Rejection, Resource};

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
