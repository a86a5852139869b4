//! Nothing is formatted when nobody listens.
//!
//! A file of its own, because listeners of other tests would be heard here.

use std::time::Duration;

use tokio_test::{assert_pending, assert_ready, task::spawn};
use tower_concurrency_limiter::{Limiter, Resource};
use tracing::subscriber::with_default;
use tracing_subscriber::{filter::LevelFilter, fmt, prelude::*};

/// What it allocates to collect the grant of a set, whose name would have to be put together.
async fn allocations_to_collect_a_grant() -> u64 {
    let (db, fs) = (Resource::new("db", 1), Resource::new("fs", 1));
    let limiter = Limiter::new(Duration::from_secs(5), [&db, &fs]);
    let permit = limiter.try_acquire([&db]).expect("idle");
    let mut waiter = spawn(limiter.acquire([&db, &fs]));
    assert_pending!(waiter.poll());
    drop(permit);
    let mut granted = None;
    let allocated = allocation_counter::measure(|| granted = Some(waiter.poll()));
    assert!(assert_ready!(granted.expect("polled")).is_ok());
    allocated.count_total
}

/// The tests run one after the other: levels are global.
#[test]
fn nothing_is_formatted() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let count = || runtime.block_on(allocations_to_collect_a_grant());
    assert_eq!(count(), 0, "without a subscriber");

    let only_info = fmt::layer()
        .with_writer(std::io::sink)
        .with_filter(LevelFilter::INFO);
    with_default(tracing_subscriber::registry().with(only_info), || {
        count();
        assert_eq!(count(), 0, "with a subscriber that does not care");
        let span = tracing::info_span!("request", path = "/");
        span.in_scope(count);
        assert_eq!(span.in_scope(count), 0, "in a span that does not ask");
        let span = tracing::info_span!("request", limit.resource = tracing::field::Empty);
        assert_ne!(span.in_scope(count), 0, "the measure itself: this one asks");
    });
}
