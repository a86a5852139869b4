//! What rejected requests are told about when to come back, and which deadlines are hopeless, as
//! the resource gets slow and fast again.

use std::{collections::BTreeSet, convert::Infallible, time::Duration};

use bytes::Bytes;
use futures_util::future::join_all;
use http::{Request, Response};
use http_body_util::{Empty, Full};
use tokio::time::{Instant, advance, sleep};
use tower::{Layer, ServiceExt, service_fn};
use tower_concurrency_limiter::{Lane, Lanes, Limiter, Rate, Reason, Rejection, Resource};

use test_support::http::get;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);

/// Requests that arrive at these intervals, and hold one unit for as long: what became of each.
async fn load(
    limiter: &Limiter,
    db: &Resource,
    requests: usize,
    every: Duration,
    hold: Duration,
    deadline: Option<Duration>,
) -> Vec<Option<Rejection>> {
    let mut tasks = Vec::new();
    for _ in 0..requests {
        let request = limiter.request([db]);
        let request = match deadline {
            Some(deadline) => request.fail_fast_deadline(deadline),
            None => request,
        };
        tasks.push(tokio::spawn(request.run(move || sleep(hold))));
        sleep(every).await;
    }
    let outcomes = join_all(tasks).await.into_iter();
    outcomes
        .map(|task| task.expect("no panics").err())
        .collect()
}

/// Sixty requests at once of a second each, at a limit of one.
async fn slow_minute(limiter: &Limiter, db: &Resource) {
    load(limiter, db, 60, Duration::ZERO, SECOND, None).await;
}

/// Waves of 20 requests, of which each needs 10 ms: those behind wait for 190 ms.
async fn waves(limiter: &Limiter, db: &Resource, waves: usize, gap: Duration) -> Vec<Rejection> {
    let mut rejections = Vec::new();
    for _ in 0..waves {
        let wave = load(limiter, db, 20, Duration::ZERO, 10 * MS, Some(SECOND)).await;
        rejections.extend(wave.into_iter().flatten());
        sleep(gap).await;
    }
    rejections
}

fn limited(limit: usize) -> (Resource, Limiter) {
    let db = Resource::new("db", limit);
    let limiter = Limiter::new(120 * SECOND, [&db]);
    (db, limiter)
}

#[tokio::test(start_paused = true)]
async fn an_hour_after_a_slow_minute_nothing_is_hopeless() {
    for quiet in [10 * SECOND, HOUR, 365 * 24 * HOUR] {
        let (db, limiter) = limited(1);
        slow_minute(&limiter, &db).await;
        advance(quiet).await;
        let refused = waves(&limiter, &db, 25, SECOND).await;
        assert_eq!(refused.len(), 0, "of 500, after {quiet:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_is_fast_again_refuses_few_by_mistake() {
    let (db, limiter) = limited(1);
    slow_minute(&limiter, &db).await;
    let refused = waves(&limiter, &db, 25, 100 * MS).await;
    assert!(refused.len() <= 20, "{} of 500", refused.len());
    for rejection in &refused {
        assert_eq!(rejection.reason(), Reason::WouldTimeOut);
        assert_eq!(rejection.waited(), Duration::ZERO);
    }
    assert_eq!(waves(&limiter, &db, 25, 100 * MS).await.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn short_busy_stretches_are_enough_to_know_the_pace() {
    let (db, limiter) = limited(1);
    assert_eq!(waves(&limiter, &db, 3, 2 * SECOND).await.len(), 0);
    let queue = load(&limiter, &db, 20, Duration::ZERO, 10 * MS, None);
    let hopeless = async {
        sleep(MS).await; // the others are there
        let hasty = limiter
            .request([&db])
            .fail_fast_deadline(100 * MS)
            .acquire()
            .await;
        let hasty = hasty.expect_err("189 ms to wait");
        assert_eq!(hasty.reason(), Reason::WouldTimeOut);
        assert!(hasty.to_string().starts_with("would time out waiting for"));
        let patient = limiter
            .request([&db])
            .fail_fast_deadline(300 * MS)
            .acquire()
            .await;
        patient.expect("in time")
    };
    let (_, permit) = tokio::join!(queue, hopeless);
    drop(permit);
}

#[tokio::test(start_paused = true)]
async fn a_queue_of_200_ms_is_worth_a_second() {
    let (db, limiter) = limited(1);
    slow_minute(&limiter, &db).await;
    sleep(HOUR).await;
    waves(&limiter, &db, 1, Duration::ZERO).await;
    let _held = limiter.try_acquire([&db]).expect("idle");
    let mut waiting = Vec::new();
    for _ in 0..20 {
        let mut acquire = tokio_test::task::spawn(limiter.acquire([&db]));
        tokio_test::assert_pending!(acquire.poll());
        waiting.push(acquire);
    }
    let busy = limiter.try_acquire([&db]).expect_err("held");
    let after = busy.retry_after().expect("known");
    assert!((200 * MS..=240 * MS).contains(&after), "{after:?}");
    assert_eq!(busy.response().headers()["retry-after"], "1");
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_stands_does_not_make_another_one_hopeless() {
    let lanes = Lanes::shared([Lane::new("slow").max(1), Lane::new("fast")]);
    let db = Resource::builder("db").concurrency(2).lanes(lanes).build();
    let limiter = Limiter::new(HOUR, [&db]);
    let slow = || limiter.request([&db]).lane("slow");
    for _ in 0..30 {
        tokio::spawn(slow().run(|| sleep(10 * SECOND)));
    }
    sleep(150 * SECOND).await;
    let hopeless = slow().fail_fast_deadline(10 * SECOND).acquire().await;
    assert_eq!(
        hopeless.expect_err("15 wait").reason(),
        Reason::WouldTimeOut
    );
    let fast = (0..50).map(|_| {
        let request = limiter
            .request([&db])
            .lane("fast")
            .fail_fast_deadline(SECOND);
        request.run(|| sleep(10 * MS))
    });
    for outcome in join_all(fast).await {
        outcome.expect("half a second for all");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_is_no_pace() {
    let (db, limiter) = limited(1);
    slow_minute(&limiter, &db).await;
    db.set_limit(0).expect("in range");
    let waiting = tokio::spawn(load_of(&limiter, &db));
    sleep(60 * SECOND).await;
    let hasty = limiter
        .request([&db])
        .fail_fast_deadline(SECOND)
        .acquire()
        .await;
    assert_eq!(
        hasty.expect_err("paused").reason(),
        Reason::Timeout,
        "it waited"
    );
    db.set_limit(1).expect("in range");
    assert_eq!(waves(&limiter, &db, 5, SECOND).await.len(), 0);
    waiting.await.expect("no panics");
}

/// Three requests that need 10 ms each.
fn load_of(limiter: &Limiter, db: &Resource) -> impl Future<Output = ()> + use<> {
    let (limiter, db) = (limiter.clone(), db.clone());
    async move {
        load(&limiter, &db, 3, Duration::ZERO, 10 * MS, None).await;
    }
}

// Rates

/// What so many clients are told whom a rate refuses at the same moment.
async fn told(rate: Rate, clients: usize) -> Vec<Duration> {
    let api = Resource::builder("api").rate(rate).build();
    let limiter = Limiter::new(Duration::ZERO, [&api]);
    while let Ok(permit) = limiter.try_acquire([&api]) {
        drop(permit);
    }
    let told = (0..clients).map(|_| {
        let refused = limiter.try_acquire([&api]).expect_err("spent");
        assert_eq!(refused.reason(), Reason::NotNow);
        assert!(refused.is_rate_limited());
        refused.retry_after().expect("a rate knows")
    });
    told.collect()
}

#[tokio::test(start_paused = true)]
async fn a_thousand_clients_of_a_rate_do_not_come_back_at_once() {
    for (rate, ready) in [
        (Rate::per_minute(60), 60 * SECOND),
        (Rate::per_hour(10), HOUR),
        (Rate::per_second(10).smooth(), SECOND / 10),
    ] {
        let told = told(rate, 1_000).await;
        assert!(
            told.iter().all(|after| *after >= ready),
            "{rate}: too early"
        );
        let latest = told.iter().max().expect("many");
        assert!(*latest <= 2 * ready + 10 * SECOND, "{rate}: {latest:?}");
        let header = |after: &Duration| after.as_secs_f64().ceil() as u64;
        let mut by_second = std::collections::BTreeMap::new();
        for second in told.iter().map(header) {
            *by_second.entry(second).or_insert(0) += 1;
        }
        let most = by_second.values().max().expect("many");
        assert!(
            by_second.len() >= 10 && *most < 200,
            "{rate}: {by_second:?}"
        );
    }
}

/// As many as the rate allows come back when they were told, each is served, and the others again
/// later.
#[tokio::test(start_paused = true)]
async fn whoever_comes_back_as_told_is_not_too_early() {
    let api = Resource::builder("api")
        .rate(Rate::per_second(5).smooth())
        .build();
    let limiter = Limiter::new(Duration::ZERO, [&api]);
    let start = Instant::now();
    let clients = (0..100).map(|_| async {
        let mut visits = 1;
        loop {
            match limiter.try_acquire([&api]) {
                Ok(_) => return visits,
                Err(refused) => sleep(refused.retry_after().expect("known")).await,
            }
            visits += 1;
        }
    });
    let visits: usize = join_all(clients).await.into_iter().sum();
    let took = start.elapsed();
    assert!((19 * SECOND..60 * SECOND).contains(&took), "{took:?}");
    assert!(visits < 1_000, "{visits} visits of 100 clients");
}

#[tokio::test(start_paused = true)]
async fn a_long_time_is_exact_after_a_wait_too() {
    let days = 24 * HOUR;
    for after in [
        5 * SECOND + Duration::from_nanos(1),
        30 * days,
        3_000 * days,
    ] {
        let api = Resource::builder("api")
            .rate(Rate::new(1, after + 5 * SECOND))
            .build();
        let limiter = Limiter::new(5 * SECOND, [&api]);
        drop(limiter.try_acquire([&api]).expect("the first"));
        let late = limiter.acquire([&api]).await.expect_err("not in time");
        assert_eq!(late.reason(), Reason::Timeout);
        assert_eq!(
            (late.waited(), late.retry_after()),
            (5 * SECOND, Some(after))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn several_whose_wait_is_over_are_spread_too() {
    let api = Resource::builder("api").rate(Rate::per_hour(3_600)).build();
    let limiter = Limiter::new(5 * SECOND, [&api]);
    drop(join_all((0..3_600).map(|_| limiter.acquire([&api]))).await);
    let late = join_all((0..500).map(|_| limiter.acquire([&api]))).await;
    let told = late.into_iter().map(|late| late.expect_err("not in time"));
    let told: BTreeSet<u64> = told
        .map(|late| late.retry_after().expect("known").as_secs())
        .collect();
    assert!(told.len() > 100 && told.first() >= Some(&3_595), "{told:?}");
}

// Reasons

#[tokio::test(start_paused = true)]
async fn without_time_it_is_not_now_and_with_time_a_timeout() {
    let (db, limiter) = limited(1);
    let _held = limiter.try_acquire([&db]).expect("idle");
    let at_once = limiter
        .request([&db])
        .timeout(Duration::ZERO)
        .acquire()
        .await;
    let run = limiter
        .request([&db])
        .fail_fast_deadline(Duration::ZERO)
        .run(async || ());
    let service = service_fn(|_: Request<Empty<Bytes>>| async {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("served")))
    });
    let layer = limiter.resources([&db]).timeout(Duration::ZERO);
    let response = layer.layer(service).oneshot(get("/")).await;
    let response = response.expect("infallible");
    let from_layer: &Rejection = response.extensions().get().expect("always there");
    for rejection in [
        limiter.try_acquire([&db]).expect_err("held"),
        at_once.expect_err("held"),
        run.await.expect_err("held"),
        from_layer.clone(),
    ] {
        assert_eq!(rejection.reason(), Reason::NotNow);
        assert_eq!(rejection.reason().as_str(), "not_now");
        assert_eq!(rejection.waited(), Duration::ZERO);
        assert_eq!(
            rejection.to_string(),
            "resource \"db\" is not available now"
        );
    }
    let late = limiter.request([&db]).timeout(SECOND).acquire().await;
    assert_eq!(late.expect_err("held").reason(), Reason::Timeout);
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_tells_the_same_reasons() {
    let (heard, _guard) =
        test_support::events::listen(tracing_subscriber::filter::LevelFilter::DEBUG);
    for is_dry in [false, true] {
        let db = Resource::builder("db").concurrency(1);
        let db = if is_dry {
            db.dry_run().build()
        } else {
            db.build()
        };
        let limiter = Limiter::new(60 * SECOND, [&db]);
        let slow = tokio::spawn({
            let (limiter, db) = (limiter.clone(), db.clone());
            async move { load(&limiter, &db, 20, Duration::ZERO, SECOND, None).await }
        });
        sleep(10_500 * MS).await;
        let hopeless = limiter
            .request([&db])
            .fail_fast_deadline(2 * SECOND)
            .acquire()
            .await;
        let now = limiter.try_acquire([&db]);
        assert_eq!((hopeless.is_ok(), now.is_ok()), (is_dry, is_dry));
        drop((hopeless, now));
        slow.await.expect("no panics");
        sleep(60 * SECOND).await;
        drop(limiter.try_acquire([&db]).expect("idle"));
        let events = heard.events();
        let reason =
            |(_, _, fields): &(_, _, test_support::events::Fields)| fields.get("reason").cloned();
        let reasons: Vec<_> = events.iter().filter_map(reason).collect();
        let both = ["would_time_out", "not_now"].repeat(1 + usize::from(is_dry));
        assert_eq!(reasons, both, "dry: {is_dry}");
    }
}
