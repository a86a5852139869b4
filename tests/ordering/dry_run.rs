//! A dry run decides, tells, and keeps nobody.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::{Instant, sleep, sleep_until};
use tower_concurrency_limiter::{Lane, Lanes, Limiter, Rate, Resource, resource::ResourceBuilder};
use tracing_subscriber::filter::LevelFilter;

use test_support::events::{fields, listen};

const TIMEOUT: Duration = Duration::from_millis(400_001);

/// Requests that arrive so long after each other, and work for so long. They come at whole seconds,
/// and next to nobody ends there: what happens in one instant happens in any order.
fn trace() -> Vec<(Duration, Duration)> {
    let mut random = 12_345_u64;
    let mut next = |most: u64| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        1 + (random >> 33) % most
    };
    let mut request = || {
        let gap = Duration::from_secs(next(60));
        (gap, Duration::from_millis(next(250_000)))
    };
    (0..500).map(|_| request()).collect()
}

/// How often which event was told, and how many requests were refused or had to wait.
async fn run(builder: ResourceBuilder, lanes: bool) -> (BTreeMap<String, usize>, usize, usize) {
    let (heard, _guard) = listen(LevelFilter::TRACE);
    let db = builder.build();
    let limiter = Limiter::new(TIMEOUT, [&db]);
    let mut tasks = Vec::new();
    let mut at = Instant::now();
    for (index, (gap, work)) in trace().into_iter().enumerate() {
        at += gap;
        let mut request = limiter.request([&db]).load(1 + index as u64 % 7);
        if lanes {
            request = request
                .lane(["a", "b"][index % 2])
                .priority(index as u8 % 3);
        }
        tasks.push(tokio::spawn(async move {
            sleep_until(at).await;
            let start = Instant::now();
            match request.acquire().await {
                Ok(_permit) => {
                    let waited = start.elapsed() > Duration::ZERO;
                    sleep(work).await;
                    (false, waited)
                }
                Err(_) => (true, start.elapsed() > Duration::ZERO),
            }
        }));
    }
    let (mut refused, mut waited) = (0, 0);
    for task in tasks {
        let outcome = task.await.expect("no panics");
        refused += usize::from(outcome.0);
        waited += usize::from(outcome.1);
    }
    // What is still to be told is told with the next request.
    sleep(10 * TIMEOUT).await;
    drop(limiter.try_acquire([&db]));
    let mut told = BTreeMap::new();
    for (_, message, fields) in heard.events() {
        let reason = fields.get("reason").cloned().unwrap_or_default();
        *told.entry(format!("{message} {reason}")).or_default() += 1;
    }
    (told, refused, waited)
}

async fn assert_foretold(builder: impl Fn() -> ResourceBuilder, lanes: bool) {
    let (real, refused, waited) = run(builder(), lanes).await;
    assert!(
        refused > 20 && waited > 50,
        "a trace that shows something: {real:?}"
    );
    let (dry, refused, waited) = run(builder().dry_run(), lanes).await;
    assert_eq!((refused, waited), (0, 0), "nobody is kept");
    assert_eq!(dry, real);
}

#[tokio::test(start_paused = true)]
async fn the_same_outcomes_as_the_real_run() {
    assert_foretold(|| Resource::builder("db").concurrency(3), false).await;
}

#[tokio::test(start_paused = true)]
async fn with_a_short_queue() {
    assert_foretold(
        || Resource::builder("db").concurrency(3).max_waiting(4),
        false,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn with_a_rate() {
    let builder = || {
        let rate = Rate::new(25, Duration::from_secs(1_000));
        Resource::builder("db")
            .rate(rate)
            .load_rate(Rate::new(90, Duration::from_secs(1_000)).burst(20))
    };
    assert_foretold(builder, false).await;
}

#[tokio::test(start_paused = true)]
async fn with_lanes_and_priorities() {
    let builder = || {
        let lanes = Lanes::shared([Lane::new("a").weight(3).reserve(1), Lane::new("b").max(2)]);
        Resource::builder("db")
            .concurrency(3)
            .lanes(lanes)
            .max_waiting(6)
    };
    assert_foretold(builder, true).await;
}

#[tokio::test(start_paused = true)]
async fn its_events_are_marked() {
    let (heard, _guard) = listen(LevelFilter::TRACE);
    let db = Resource::builder("db").concurrency(1).dry_run().build();
    let limiter = Limiter::new(TIMEOUT, [&db]);
    let first = limiter.try_acquire([&db]).expect("nobody is kept");
    let second = limiter.acquire([&db]).await.expect("nobody is kept");
    assert_eq!((db.in_use(), db.limit(), db.waiting()), (2, Some(1), 0));
    assert_eq!(heard.events(), []);
    sleep(TIMEOUT + Duration::from_millis(1)).await;
    drop(first);
    drop(second);
    let (_, message, told) = heard.events().remove(0);
    assert_eq!(message, "request rejected");
    let expected = [
        ("resource", "db"),
        ("waited", "400.001"),
        ("reason", "timeout"),
        ("dry_run", "true"),
    ];
    assert_eq!(told, fields(expected));
}

#[tokio::test(start_paused = true)]
async fn what_is_real_in_a_set_is_enforced() {
    let dry = Resource::builder("dry").concurrency(1).dry_run().build();
    let real = Resource::new("real", 1);
    let limiter = Limiter::new(TIMEOUT, [&dry, &real]);
    let held = limiter.try_acquire([&dry, &real]).expect("idle");
    let rejection = limiter
        .try_acquire([&dry, &real])
        .expect_err("one at a time");
    assert_eq!(rejection.resource(), "real");
    drop(limiter.try_acquire([&dry]).expect("nobody is kept"));
    drop(held);
    drop(limiter.acquire([&dry, &real]).await.expect("idle"));
    assert_eq!((dry.in_use(), real.in_use()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn its_limit_can_be_changed() {
    let (heard, _guard) = listen(LevelFilter::TRACE);
    let db = Resource::builder("db").concurrency(1).dry_run().build();
    let limiter = Limiter::new(TIMEOUT, [&db]);
    db.set_limit(2).expect("in range");
    let permits = [(); 2].map(|()| limiter.try_acquire([&db]).expect("nobody is kept"));
    drop(permits);
    assert_eq!((db.limit(), heard.events().len()), (Some(2), 0));
}

/// A load that is corrected while its request would still have waited counts from when it would
/// have been corrected.
#[tokio::test(start_paused = true)]
async fn with_corrected_loads() {
    async fn run(builder: ResourceBuilder) -> (usize, usize) {
        let (heard, _guard) = listen(LevelFilter::TRACE);
        let api = builder.build();
        let limiter = Limiter::new(Duration::from_secs(100), [&api]);
        let start = Instant::now();
        let mut tasks = Vec::new();
        for at in [0, 1, 61, 62] {
            let request = limiter.request([&api]).load(100);
            tasks.push(tokio::spawn(async move {
                sleep_until(start + Duration::from_secs(at)).await;
                if let Ok(mut permit) = request.acquire().await {
                    sleep(Duration::from_millis(100)).await;
                    permit.settle_load(300);
                    permit.settle_load(0);
                }
            }));
        }
        for task in tasks {
            task.await.expect("no panics");
        }
        sleep(10 * TIMEOUT).await;
        drop(limiter.try_acquire([&api]));
        let count = |message: &str| {
            let events = heard.events();
            events.iter().filter(|(_, told, _)| told == message).count()
        };
        (
            count("request admitted after waiting"),
            count("request rejected"),
        )
    }
    let builder = || Resource::builder("api").load_rate(Rate::per_minute(100));
    let real = run(builder()).await;
    assert_eq!(run(builder().dry_run()).await, real);
}

/// More can be held in a dry run than a limit can say.
#[tokio::test]
async fn more_than_any_limit() {
    let most = Resource::MAX_LIMIT;
    let memory = Resource::builder("memory")
        .concurrency(most)
        .dry_run()
        .build();
    let limiter = Limiter::new(TIMEOUT, [&memory]);
    let permits = [(); 5].map(|()| {
        let half = limiter.try_acquire([memory.units(most / 2)]);
        half.expect("nobody is kept")
    });
    assert_eq!((memory.limit(), memory.in_use()), (Some(most), most));
    drop(permits);
    assert_eq!((memory.limit(), memory.in_use()), (Some(most), 0));
}
