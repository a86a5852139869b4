//! Mistakes with shared limits surface at start-up, and the message names the cure.

#![cfg(feature = "redis")]
#![allow(clippy::unwrap_used, reason = "tests")]

mod processes;

use std::time::Duration;

use processes::Venue;
use test_support::{Options, Server};
use tower_concurrency_limiter::{
    Lane, Lanes, Limiter, Overload, Rate, Resource, adaptive::Aimd, redis::RedisBackend,
    resource::ResourceBuilder,
};

/// A backend that never reaches anybody.
fn nobody() -> RedisBackend {
    RedisBackend::connect("redis://127.0.0.1:1").unwrap()
}

#[test]
fn urls() {
    for (url, cure) in [
        ("postgres://127.0.0.1", "redis://user:password@host:6379"),
        ("127.0.0.1:6379", "redis://user:password@host:6379"),
        ("redis://127.0.0.1/3", "leave it out"),
    ] {
        let error = RedisBackend::connect(url).unwrap_err().to_string();
        assert!(error.contains(cure), "{url}: {error}");
    }
    let secure = RedisBackend::connect("rediss://127.0.0.1");
    match cfg!(feature = "redis-tls") {
        true => assert!(secure.is_ok()),
        false => assert!(secure.unwrap_err().to_string().contains("`redis-tls`")),
    }
}

#[test]
fn times_and_names() {
    let builder = || RedisBackend::builder("redis://127.0.0.1:1");
    let ms = Duration::from_millis;
    for (builder, cure) in [
        (builder().namespace(""), "1 to 64 characters"),
        (builder().namespace("a{b}"), "without blanks, braces"),
        (builder().heartbeat(ms(1)), "pass 10 ms to 10 s"),
        (builder().lease(ms(2_000)), "six heartbeats or more"),
        (builder().cold_start(ms(6_000)), "the lease is enough"),
        (builder().down_after(ms(0)), "pass 10 ms or more"),
    ] {
        let error = builder.connect().unwrap_err().to_string();
        assert!(error.contains(cure), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there() {
    let error = nobody().ready().await.unwrap_err().to_string();
    assert!(error.to_lowercase().contains("refused"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_a_password() {
    let server = Server::with(Options {
        requirepass: Some("secret"),
        ..Options::default()
    });
    let port = server.port();
    for url in [
        format!("redis://127.0.0.1:{port}"),
        format!("redis://:wrong@127.0.0.1:{port}"),
    ] {
        let error = RedisBackend::connect(url)
            .unwrap()
            .ready()
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("AUTH") || error.contains("WRONGPASS"),
            "{error}"
        );
    }
    let process = Venue::new(server.url()).db(1).await;
    drop(process.acquire().await);
    let shown = format!("{:?}", process.backend);
    assert!(!shown.contains("secret"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_evicts() {
    let server = Server::with(Options {
        maxmemory: Some("64mb"),
        policy: Some("allkeys-lru"),
        ..Options::default()
    });
    let backend = RedisBackend::connect(server.url()).unwrap();
    let error = backend.ready().await.unwrap_err().to_string();
    assert!(
        error.contains("allkeys-lru") && error.contains("noeviction"),
        "{error}"
    );
}

#[test]
fn what_each_process_would_have_for_itself() {
    let backend = nobody();
    let builder = || Resource::builder("db").concurrency(5).shared(&backend);
    for (builder, cure) in [
        (
            builder().overload(Overload::after(Duration::from_millis(10))),
            "`.overload(..)`",
        ),
        (
            builder().adaptive(Aimd::between(1, 9).build()),
            "`.adaptive(..)`",
        ),
        (builder().dry_run(), "`.dry_run()`"),
    ] {
        let error = builder.try_build().unwrap_err();
        assert!(
            error.is_shared() && error.to_string().contains(cure),
            "{error}"
        );
    }
}

fn refused(describe: impl FnOnce(ResourceBuilder) -> ResourceBuilder) -> String {
    let builder = Resource::builder("db").concurrency(5).shared(nobody());
    let db = describe(builder).build();
    let limiter = Limiter::builder().resources([&db]).try_build();
    limiter
        .expect_err("more than the scripts can count")
        .to_string()
}

#[test]
fn what_the_server_cannot_count() {
    let heavy = refused(|b| b.lanes(Lanes::shared([Lane::new("a").weight(1 << 21)])));
    assert!(
        heavy.contains("\"db\"") && heavy.contains("weights from 1 to 1048576"),
        "{heavy}"
    );
    let many = (1..=5).map(Rate::per_minute);
    let rates = refused(|b| many.fold(b, ResourceBuilder::rate));
    assert!(rates.contains("at most 4 rates"), "{rates}");
    let large = refused(|b| b.rate(Rate::per_second(1 << 41)));
    assert!(
        large.contains("1099511627776") || large.contains("2^40"),
        "{large}"
    );
}

#[test]
fn rules_are_those_of_the_builder() {
    let db = Resource::builder("db")
        .concurrency(5)
        .rate(Rate::per_second(5))
        .shared(nobody())
        .build();
    let _limiter = Limiter::new(Duration::from_secs(1), [&db]);
    let error = db.set_rate(Rate::per_second(6)).unwrap_err();
    assert!(
        error.is_shared() && error.to_string().contains("raise the revision"),
        "{error}"
    );
}
