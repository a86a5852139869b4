//! Limiters of very many resources, say one for each tenant.
//!
//! What grows with their number is told apart from what does not by orders of magnitude: the bounds
//! are generous.

use std::time::Duration;

use tokio::time::Instant;
use tokio_test::{assert_pending, task::spawn};
use tower_concurrency_limiter::{Limiter, Rate, Resource};

const MANY: usize = 20_000;

fn limiter(resources: usize) -> (Vec<Resource>, Limiter) {
    let tenant = |number| {
        let tenant = Resource::builder(format!("tenant {number}")).concurrency(1);
        tenant
            .rate(Rate::per_second(1_000_000).burst(1_000_000))
            .build()
    };
    let resources: Vec<_> = (0..resources).map(tenant).collect();
    let limiter = Limiter::new(Duration::from_secs(600), &resources);
    (resources, limiter)
}

#[test]
fn a_limiter_of_many_resources_is_built_in_no_time() {
    let start = Instant::now();
    drop(limiter(MANY));
    let took = start.elapsed();
    assert!(took < Duration::from_secs(8), "took {took:?}");
}

/// How long a thousand requests take, while others wait.
fn thousand(resources: usize) -> Duration {
    let (resources, limiter) = limiter(resources);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let _held = limiter.try_acquire([&resources[0]]).expect("idle");
        let mut waiting = spawn(limiter.acquire([&resources[0]]));
        assert_pending!(waiting.poll());
        let start = Instant::now();
        for _ in 0..1_000 {
            drop(limiter.try_acquire([&resources[1]]).expect("idle"));
        }
        start.elapsed()
    })
}

#[test]
fn a_request_costs_the_same_among_many_resources() {
    let (few, many) = (thousand(2), thousand(MANY));
    assert!(
        many < 30 * few + Duration::from_millis(20),
        "{many:?} against {few:?}"
    );
}
