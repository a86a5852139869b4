//! What the limiter says through `tracing`.

use std::time::Duration;

use tokio_test::{assert_pending, assert_ready, assert_ready_ok, task::spawn};
use tower::{BoxError, Layer as _, ServiceExt, service_fn};
use tower_concurrency_limiter::{Limiter, Resource, observe};
use tracing::{Level, field::Empty, info_span};
use tracing_subscriber::filter::LevelFilter;

use crate::limited;
use test_support::events::{Fields, Heard, fields, listen};

#[test]
fn the_target_is_the_documented_one() {
    assert_eq!(observe::TARGET, "tower_concurrency_limiter");
}

#[tokio::test(start_paused = true)]
async fn a_rejection_says_where_how_long_and_why() {
    let (heard, _guard) = listen(LevelFilter::DEBUG);
    let (db, limiter, _layer) = limited();
    let _permit = limiter.try_acquire([&db]).expect("idle");
    assert!(limiter.acquire([&db]).await.is_err());
    assert!(
        limiter
            .request([&db])
            .max_waiting(0)
            .acquire()
            .await
            .is_err()
    );
    let said = fields([("resource", "db"), ("waited", "5"), ("reason", "timeout")]);
    let then = fields([
        ("resource", "db"),
        ("waited", "0"),
        ("reason", "queue_full"),
    ]);
    assert_eq!(
        heard.events(),
        [
            (Level::DEBUG, "request rejected".to_owned(), said),
            (Level::DEBUG, "request rejected".to_owned(), then),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn an_admission_after_a_wait_says_how_long() {
    let (heard, _guard) = listen(LevelFilter::TRACE);
    let (db, fs) = (Resource::new("db", 1), Resource::new("fs", 1));
    let limiter = Limiter::new(Duration::from_secs(5), [&db, &fs]);
    let permit = limiter.try_acquire([&db]).expect("idle");
    let mut waiter = spawn(limiter.acquire([&db, &fs]));
    assert_pending!(waiter.poll());
    tokio::time::advance(Duration::from_millis(1_500)).await;
    assert_eq!(heard.events(), [], "those who wait say nothing");
    drop(permit);
    let _permit = assert_ready_ok!(waiter.poll());
    let said = fields([("resource", "db+fs"), ("waited", "1.5")]);
    let message = "request admitted after waiting".to_owned();
    assert_eq!(heard.events(), [(Level::TRACE, message, said)]);
}

#[tokio::test]
async fn a_request_that_is_admitted_at_once_says_nothing() {
    let (heard, _guard) = listen(LevelFilter::TRACE);
    let (db, limiter, layer) = limited();
    drop(limiter.acquire([&db]).await.expect("idle"));
    let service = service_fn(async |()| Ok::<_, BoxError>(()));
    let service = layer.for_any_service().layer(service);
    service.oneshot(()).await.expect("idle");
    assert_eq!(heard.events(), []);
    assert_eq!(heard.recorded(), Fields::new());
}

#[tokio::test(start_paused = true)]
async fn the_span_of_a_request_records_its_wait() {
    let (heard, _guard) = listen(LevelFilter::INFO);
    let (db, limiter, _layer) = limited();
    let permit = limiter.try_acquire([&db]).expect("idle");
    let span = || {
        info_span!(
            "request",
            limit.resource = Empty,
            limit.waited = Empty,
            limit.reason = Empty
        )
    };

    let mut waiter = spawn(limiter.acquire([&db]));
    assert_pending!(waiter.poll());
    tokio::time::advance(Duration::from_millis(250)).await;
    drop(permit);
    let _permit = span().in_scope(|| assert_ready_ok!(waiter.poll()));
    let recorded = fields([("limit.resource", "db"), ("limit.waited", "0.25")]);
    assert_eq!(heard.recorded(), recorded, "admitted after a wait");

    let refused = span().in_scope(|| limiter.try_acquire([&db]).is_err());
    assert!(refused);
    let recorded = fields([
        ("limit.resource", "db"),
        ("limit.waited", "0"),
        ("limit.reason", "not_now"),
    ]);
    assert_eq!(heard.recorded(), recorded, "rejected");
    assert_eq!(heard.events(), [], "at INFO there are only spans");
}

#[tokio::test(start_paused = true)]
async fn a_span_without_such_fields_is_left_alone() {
    let (heard, _guard) = listen(LevelFilter::INFO);
    let (db, limiter, _layer) = limited();
    let _permit = limiter.try_acquire([&db]).expect("idle");
    for span in [
        info_span!("request"),
        info_span!(
            "request",
            resource = "invoices",
            waited = Empty,
            reason = "none"
        ),
    ] {
        assert!(span.in_scope(|| limiter.try_acquire([&db]).is_err()));
        assert_eq!(heard.recorded(), Fields::new());
    }
}

#[cfg(debug_assertions)]
mod waits_for_itself {
    use super::*;

    fn warnings(heard: &Heard) -> Vec<Fields> {
        let warned = |(level, message, fields): (Level, String, Fields)| {
            (level == Level::WARN).then(|| {
                assert!(message.starts_with("waits for a resource that it holds"));
                fields
            })
        };
        heard.events().into_iter().filter_map(warned).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_handler_that_calls_its_own_limited_route() {
        let (heard, _guard) = listen(LevelFilter::WARN);
        let (db, limiter, layer) = limited();
        let layer = layer.for_any_service();
        let route = layer.layer(service_fn(async |()| Ok::<_, BoxError>("inner")));
        let handler = layer.layer(service_fn(move |()| route.clone().oneshot(())));
        assert!(
            handler.oneshot(()).await.is_err(),
            "it waits until its deadline"
        );
        assert_eq!(warnings(&heard), [fields([("resource", "db")])]);
        assert_eq!(db.in_use(), 0);
        drop(limiter);
    }

    #[tokio::test(start_paused = true)]
    async fn a_handler_that_acquires_what_it_holds() {
        let (heard, _guard) = listen(LevelFilter::WARN);
        let (db, limiter, layer) = limited();
        let again = limiter.clone();
        let service = service_fn(move |()| {
            let (again, db) = (again.clone(), db.clone());
            async move { Ok::<_, BoxError>(again.acquire([&db]).await.is_err()) }
        });
        let service = layer.for_any_service().layer(service);
        assert!(service.oneshot(()).await.expect("served"), "refused inside");
        assert_eq!(warnings(&heard).len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_within_a_run() {
        let (heard, _guard) = listen(LevelFilter::WARN);
        let (db, limiter, _layer) = limited();
        let nested = limiter.run([&db], || limiter.run([&db], || async {}));
        assert!(nested.await.expect("served").is_err(), "refused inside");
        assert_eq!(warnings(&heard).len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_else_is_warned() {
        let (heard, _guard) = listen(LevelFilter::WARN);
        let (db, fs) = (Resource::new("db", 1), Resource::new("fs", 1));
        let limiter = Limiter::new(Duration::from_secs(5), [&db, &fs]);
        let busy = limiter.try_acquire([&fs]).expect("idle");
        let other = limiter.run([&db], || limiter.run([&fs], || async {}));
        assert!(other.await.expect("served").is_err(), "another resource");
        drop(busy);

        let _busy = limiter.try_acquire([&db]).expect("idle");
        let mut waiter = spawn(limiter.acquire([&db]));
        assert_pending!(waiter.poll());
        drop(waiter);
        let mut inside = spawn(limiter.run([&fs], || limiter.run([&db], || async {})));
        assert_pending!(inside.poll().map(drop));
        let mut after = spawn(limiter.acquire([&fs]));
        assert_pending!(after.poll().map(drop), "not within the poll of the other");
        assert_eq!(warnings(&heard), [] as [Fields; 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_leaves_no_trace() {
        let (heard, _guard) = listen(LevelFilter::WARN);
        let (db, limiter, _layer) = limited();
        let mut panics = spawn(limiter.run([&db], || async { panic!("the end") }));
        let poll = std::panic::AssertUnwindSafe(|| drop(panics.poll()));
        assert!(std::panic::catch_unwind(poll).is_err());
        let mut waiter = spawn(limiter.acquire([&db]));
        assert_pending!(waiter.poll());
        assert_eq!(warnings(&heard), [] as [Fields; 0]);
        drop(panics);
        drop(assert_ready!(waiter.poll()).expect("granted"));
    }
}
