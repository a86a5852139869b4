//! Work that does not end soon, and clients that do not wait for it to end, under adaptive limits.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{advance, sleep, timeout},
};
use tokio_test::{assert_pending, task::spawn};
use tower::{
    BoxError, Layer, ServiceExt, service_fn, timeout::TimeoutLayer, util::BoxCloneService,
};
use tower_concurrency_limiter::{
    Limiter, Permit, Resource,
    adaptive::{AdaptiveLimit, Aimd, Gradient2, Outcome, Sample},
};

const SECOND: Duration = Duration::from_secs(1);
const MILLIS: Duration = Duration::from_millis(1);

fn in_force(resource: &Resource) -> usize {
    resource.limit().expect("an adaptive one")
}

fn adaptive(limit: impl AdaptiveLimit + 'static) -> (Resource, Limiter) {
    let db = Resource::builder("db").adaptive(limit).build();
    let limiter = Limiter::new(5 * SECOND, [&db]);
    (db, limiter)
}

fn streams(limiter: &Limiter, db: &Resource, outcome: Outcome) -> Vec<Permit> {
    let stream = |_| {
        let mut permit = limiter.try_acquire([db]).expect("room for streams");
        permit.set_outcome(outcome);
        permit
    };
    (0..18).map(stream).collect()
}

/// As much short work of 100 ms as 40 clients get done in this time.
async fn short_work(limiter: &Limiter, db: &Resource, time: Duration) -> usize {
    let done = Arc::new(AtomicUsize::new(0));
    let mut clients = JoinSet::new();
    for _ in 0..40 {
        let (limiter, db, done) = (limiter.clone(), db.clone(), Arc::clone(&done));
        clients.spawn(async move {
            loop {
                if limiter.run([&db], || sleep(100 * MILLIS)).await.is_ok() {
                    done.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
    }
    sleep(time).await;
    clients.shutdown().await;
    done.load(Ordering::Relaxed)
}

#[tokio::test(start_paused = true)]
async fn streams_keep_no_short_work_out() {
    for outcome in [Outcome::Ignore, Outcome::Success] {
        let limits: [fn() -> Box<dyn AdaptiveLimit>; 2] = [
            || Box::new(Gradient2::between(4, 200).start(45).build()),
            || Box::new(Aimd::between(4, 200).start(45).build()),
        ];
        for limit in limits {
            let (db, limiter) = adaptive(limit());
            let alone = short_work(&limiter, &db, 60 * SECOND).await;
            let (db, limiter) = adaptive(limit());
            let streams = streams(&limiter, &db, outcome);
            let beside = short_work(&limiter, &db, 60 * SECOND).await;
            drop(streams);
            assert!(beside * 10 >= alone * 9, "{outcome:?}: {beside} of {alone}");
        }
    }
}

/// Two steps down, and 18 streams hold more than the limit, before any of them has lasted.
#[tokio::test(start_paused = true)]
async fn an_aimd_limit_below_the_streams_locks_nobody_out() {
    let (db, limiter) = adaptive(Aimd::between(4, 200).start(25).build());
    let _streams = streams(&limiter, &db, Outcome::Ignore);
    for _ in 0..20 {
        let mut short = limiter.acquire([&db]).await.expect("a place");
        sleep(10 * MILLIS).await;
        short.set_outcome(Outcome::Overload);
        drop(short);
        if in_force(&db) < 18 {
            break;
        }
    }
    assert!(limiter.try_acquire([&db]).is_err(), "below the streams");
    let done = short_work(&limiter, &db, 60 * SECOND).await;
    assert!(done > 60 * 10 * 4, "{done} at the floor of 4 and more");
}

/// The same where nobody comes any more: the waiters are seen to by the timer.
#[tokio::test(start_paused = true)]
async fn waiters_behind_work_that_does_not_end_are_let_in() {
    let (db, limiter) = adaptive(Aimd::between(1, 9).start(3).build());
    drop(limiter.try_acquire([&db]).expect("idle"));
    let _streams: Vec<_> = (0..3)
        .map(|_| limiter.try_acquire([&db]).expect("room"))
        .collect();
    let short = limiter.run([&db], || sleep(10 * MILLIS));
    timeout(4 * SECOND, short)
        .await
        .expect("not for ever")
        .expect("let in before its deadline");
}

#[tokio::test(start_paused = true)]
async fn the_limit_in_force_is_what_lasting_work_is_added_to() {
    let (db, limiter) = adaptive(Aimd::between(4, 30).start(20).build());
    let streams = streams(&limiter, &db, Outcome::Ignore);
    short_work(&limiter, &db, 60 * SECOND).await;
    assert_eq!(in_force(&db), 30, "the ceiling holds for both");
    assert!(db.in_use() <= in_force(&db));
    drop(streams);
    let mut low = limiter.try_acquire([&db]).expect("idle");
    low.set_outcome(Outcome::Overload);
    drop(low);
    assert!(
        in_force(&db) <= 30 * 7 / 10,
        "no stream is left: {}",
        in_force(&db)
    );
    limiter.close();
    limiter.drained().await;
    assert_eq!(db.in_use(), 0);
}

/// Everything is held for long, but nothing comes and goes: that is no stream.
#[tokio::test(start_paused = true)]
async fn a_resource_that_does_not_respond_is_not_flooded() {
    let (db, limiter) = adaptive(Gradient2::between(4, 200).start(20).build());
    short_work(&limiter, &db, 2 * SECOND).await;
    let before = in_force(&db);
    let mut stuck = JoinSet::new();
    for _ in 0..2_000 {
        let (limiter, db) = (limiter.clone(), db.clone());
        stuck.spawn(async move {
            limiter
                .run([&db], || sleep(10 * SECOND))
                .await
                .map_or_else(drop, drop)
        });
        sleep(5 * MILLIS).await;
    }
    let in_use = db.in_use();
    assert!(
        in_use <= before + 4 * 4,
        "{in_use} where {before} were let in"
    );
}

/// 100 users who give up after a second, of a resource that serves 10 in 50 ms, and is slower by
/// the square of what is more.
async fn users_that_give_up(with_layer: bool) -> (usize, usize) {
    let (db, limiter) = adaptive(
        Aimd::between(4, 200)
            .start(100)
            .timeout(500 * MILLIS)
            .build(),
    );
    let served = Arc::new(AtomicUsize::new(0));
    let running = Arc::new(AtomicUsize::new(0));
    let work = move || {
        let running = Arc::clone(&running);
        async move {
            let load = running.fetch_add(1, Ordering::Relaxed) as u32 / 10 + 1;
            let _running = Running(&running);
            sleep(50 * MILLIS * load * load).await;
        }
    };
    let mut users = JoinSet::new();
    for _ in 0..100 {
        let (limiter, db, work, served) = (
            limiter.clone(),
            db.clone(),
            work.clone(),
            Arc::clone(&served),
        );
        let layer = limiter.resources([&db]).for_any_service();
        let service = service_fn({
            let work = work.clone();
            move |(): ()| {
                let work = work();
                async move {
                    work.await;
                    Ok::<_, BoxError>(())
                }
            }
        });
        let limited = TimeoutLayer::new(SECOND).layer(layer.layer(service));
        let limited = BoxCloneService::new(limited);
        users.spawn(async move {
            loop {
                let is_served = if with_layer {
                    limited.clone().oneshot(()).await.is_ok()
                } else {
                    let call = limiter.run([&db], &work);
                    matches!(timeout(SECOND, call).await, Ok(Ok(())))
                };
                served.fetch_add(is_served.into(), Ordering::Relaxed);
            }
        });
    }
    sleep(15 * SECOND).await;
    (served.load(Ordering::Relaxed), in_force(&db))
}

struct Running<'a>(&'a AtomicUsize);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_falls_where_users_give_up() {
    for with_layer in [false, true] {
        let (served, limit) = users_that_give_up(with_layer).await;
        assert!(limit < 40, "{limit}");
        assert!(served > 400, "{served} with a layer: {with_layer}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_marked_is_no_overload_however_long() {
    let (db, limiter) = adaptive(Aimd::between(4, 200).start(20).timeout(SECOND).build());
    for (outcome, limit) in [(Outcome::Ignore, 20), (Outcome::Dropped, 14)] {
        let mut stream = limiter.try_acquire([&db]).expect("idle");
        stream.set_outcome(outcome);
        advance(60 * SECOND).await;
        drop(stream);
        assert_eq!(in_force(&db), limit, "{outcome:?}");
    }
}

/// HTTP: the client leaves before the head.
#[tokio::test(start_paused = true)]
async fn a_call_dropped_after_the_timeout_is_overload() {
    let (db, limiter) = adaptive(Aimd::between(1, 200).start(20).timeout(SECOND).build());
    let stuck = service_fn(|_: http::Request<()>| async {
        std::future::pending::<()>().await;
        Ok::<_, Infallible>(http::Response::new(
            http_body_util::Empty::<bytes::Bytes>::new(),
        ))
    });
    let layer = limiter.resources([&db]);
    for (layer, limit) in [(layer.clone(), 14), (layer.expose_permit(), 9)] {
        let mut call = spawn(layer.layer(stuck).oneshot(http::Request::new(())));
        assert_pending!(call.poll());
        advance(2 * SECOND).await;
        drop(call);
        assert_eq!(in_force(&db), limit);
    }
}

/// A limit of one's own that knows nothing of streams.
#[tokio::test(start_paused = true)]
async fn a_custom_limit_is_helped_as_well() {
    struct Falls(usize);

    impl AdaptiveLimit for Falls {
        fn update(&mut self, _: &Sample) -> usize {
            self.0 = 15;
            self.0
        }

        fn limit(&self) -> usize {
            self.0
        }
    }

    let (db, limiter) = adaptive(Falls(20));
    let _streams = streams(&limiter, &db, Outcome::Ignore);
    let done = short_work(&limiter, &db, 100 * SECOND).await;
    assert!(done > 100 * 15 * 10 * 85 / 100, "{done}");
}

#[tokio::test(start_paused = true)]
async fn a_pause_by_hand_lasts() {
    let (db, limiter) = adaptive(Aimd::between(1, 9).start(2).build());
    drop(limiter.try_acquire([&db]).expect("idle"));
    let held = [(); 2].map(|()| limiter.try_acquire([&db]).expect("room"));
    assert!(limiter.try_acquire([&db]).is_err());
    db.set_limit(0).expect("in range");
    sleep(30 * SECOND).await;
    let waited = limiter.acquire([&db]).await;
    assert!(waited.is_err(), "the deadline passes");
    assert_eq!((in_force(&db), db.in_use()), (0, 2));
    drop(held);
    assert_eq!(in_force(&db), 3, "its own again, three successes later");
}

/// A timer that looked for it would never sleep.
#[tokio::test(start_paused = true)]
async fn waiters_elsewhere_have_their_deadline() {
    let one = Resource::builder("one")
        .adaptive(Aimd::between(1, 1).build())
        .build();
    let two = Resource::new("two", 1);
    let limiter = Limiter::new(5 * SECOND, [&one, &two]);
    let _held = limiter.try_acquire([&one, &two]).expect("idle");
    assert!(limiter.try_acquire([&one]).is_err());
    sleep(60 * SECOND).await;
    assert!(limiter.acquire([&two]).await.is_err());
}
