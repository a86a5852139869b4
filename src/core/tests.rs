//! What the fast path does without.

use std::{sync::Arc, time::Duration};

use futures_util::poll;
use tokio::runtime::{Builder, Runtime};

use super::{Claimant, Gate};
use crate::{
    Limiter,
    admission::{Demand, Demands},
    resource::Resource,
    sync::lock,
};

fn gate(resources: Vec<Resource>) -> Arc<Gate> {
    Arc::new(Gate::new(resources, 16, None))
}

/// Were the lock taken, this would never end.
#[test]
fn while_nobody_waits_nobody_takes_the_lock() {
    let gate = gate(vec![Resource::new("db", 2), Resource::new("fs", 1)]);
    let _locked = lock(&gate.state);
    let one = [Demand::new(0, 1)];
    let both = Demands::collect([Demand::new(0, 1), Demand::new(1, 1)].into_iter());
    assert!(gate.try_acquire(&one));
    assert!(gate.try_acquire(&both));
    assert!(!gate.try_acquire(&both), "`fs` is taken");
    gate.release(&one);
    gate.release(&both);
    let in_use = gate.resources().iter().map(Resource::in_use);
    assert_eq!(in_use.sum::<usize>(), 0);
}

/// A neighbour with more to it than a limit changes nothing for the others of its limiter.
#[test]
fn nor_beside_a_resource_with_rules() {
    let api = Resource::builder("api")
        .concurrency(2)
        .reserve(1, 100)
        .build();
    let gate = gate(vec![Resource::new("db", 1), api]);
    let locked = lock(&gate.state);
    assert!(gate.try_acquire(&[Demand::new(0, 1)]));
    gate.release(&[Demand::new(0, 1)]);
    assert!(
        !gate.try_acquire(&[Demand::new(1, 1)]),
        "by way of the queue"
    );
    drop(locked);
}

/// A limiter of which nothing is free, and how many timers it has.
fn busy(db: &Resource) -> (Limiter, impl Fn() -> usize) {
    let limiter = Limiter::new(Duration::from_secs(600), [db]);
    let set = limiter.set([db]).expect("registered");
    assert!(set.try_acquire(), "idle");
    let timers = move || lock(&set.gate().state).timers.len();
    (limiter, timers)
}

fn runtime(number: usize) -> Runtime {
    let mut builder = match number % 20 {
        0 => Builder::new_multi_thread(),
        _ => Builder::new_current_thread(),
    };
    let runtime = builder.worker_threads(1).enable_all().build();
    runtime.expect("a runtime")
}

#[test]
fn short_lived_runtimes_leave_no_timer_behind() {
    let db = Resource::new("db", 1);
    let (limiter, timers) = busy(&db);
    let mut left = Vec::new();
    for number in 0..2_000 {
        let runtime = runtime(number);
        let mut acquire = Box::pin(limiter.acquire([&db]));
        runtime.block_on(async { assert!(poll!(&mut acquire).is_pending()) });
        assert_eq!(timers(), 1);
        if number % 2 == 0 {
            left.push(acquire);
        }
        drop(runtime);
        assert_eq!(timers(), 0);
    }
    assert_eq!(db.waiting(), left.len());
}

#[test]
fn a_timer_ends_when_nothing_waits_in_its_runtime() {
    let db = Resource::new("db", 1);
    let (limiter, timers) = busy(&db);
    let (idle, ends) = (runtime(1), runtime(0));
    let mut stays = Box::pin(limiter.acquire([&db]));
    idle.block_on(async { assert!(poll!(&mut stays).is_pending()) });
    let soon = limiter.request([&db]).timeout(Duration::from_millis(5));
    assert!(ends.block_on(soon.acquire()).is_err());
    ends.block_on(async {
        while timers() > 1 {
            tokio::task::yield_now().await;
        }
    });
}
