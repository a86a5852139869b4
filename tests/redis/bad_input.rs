//! Mistakes with shared limits surface at start-up, and the message names the cure. The words are
//! pinned here.

use std::time::Duration;

use crate::processes::Venue;
use test_support::{Options, Server};
use tower_concurrency_limiter::{
    Lane, Lanes, Limiter, Overload, Rate, Resource,
    adaptive::Aimd,
    redis::{RedisBackend, RedisBackendBuilder},
    resource::ResourceBuilder,
};

/// A backend that never reaches anybody.
fn nobody() -> RedisBackend {
    RedisBackend::connect_lazy("redis://127.0.0.1:1").unwrap()
}

/// The message of `connect_lazy`.
#[track_caller]
fn refused_url(url: &str) -> String {
    let error = RedisBackend::connect_lazy(url).unwrap_err();
    assert_eq!(
        format!("{error:?}"),
        format!("InvalidBackend({:?})", error.to_string())
    );
    error.to_string()
}

#[test]
fn urls() {
    let or_tls = match cfg!(feature = "redis-tls") {
        true => ", or \"rediss://..\" for TLS",
        false => "",
    };
    for (url, why) in [
        ("postgres://127.0.0.1", "Redis URL did not parse"),
        ("127.0.0.1:6379", "Redis URL did not parse"),
        ("redis://:hunter2@", "Redis URL did not parse"),
        ("redis://:hunter2@127.0.0.1:port", "Redis URL did not parse"),
        ("redis://:hun/ter2@127.0.0.1", "Redis URL did not parse"),
        ("redis://127.0.0.1/x", "Invalid database number"),
        (
            "redis://127.0.0.1?protocol=hunter2",
            "Invalid protocol version",
        ),
    ] {
        assert_eq!(
            refused_url(url),
            format!(
                "server URL is invalid ({why}); pass one such as \
                 \"redis://user:password@host:6379\"{or_tls}"
            ),
            "{url}"
        );
    }
    assert_eq!(
        refused_url("redis://:hunter2@127.0.0.1/3"),
        "server URL names database 3, and notifications do not know databases; leave it out, and \
         keep services apart by `.namespace(..)`"
    );
}

#[cfg(not(feature = "redis-tls"))]
#[test]
fn tls_without_its_feature() {
    for url in [
        "rediss://127.0.0.1",
        "REDISS://:hunter2@127.0.0.1",
        "valkeys://127.0.0.1",
    ] {
        assert_eq!(
            refused_url(url),
            "server URL asks for TLS; enable the feature `redis-tls` of tower-concurrency-limiter"
        );
    }
}

#[cfg(feature = "redis-tls")]
#[test]
fn tls_without_verification() {
    assert_eq!(
        refused_url("rediss://:hunter2@127.0.0.1/#insecure"),
        "server URL has a fragment; leave it out: certificates are always verified, and the \
         environment variable `SSL_CERT_FILE` names a file of those to trust"
    );
}

#[test]
fn times_and_names() {
    let builder = || RedisBackend::builder("redis://127.0.0.1:1");
    let ms = Duration::from_millis;
    let namespace = |name: &str| {
        format!(
            "namespace {name:?} is invalid; use 1 to 64 characters without blanks, braces and slashes"
        )
    };
    for (builder, words) in [
        (builder().namespace(""), namespace("")),
        (builder().namespace("a{b}"), namespace("a{b}")),
        (builder().namespace("a/b"), namespace("a/b")),
        (builder().namespace("a b"), namespace("a b")),
        (builder().namespace("a\nb"), namespace("a\nb")),
        (
            builder().heartbeat(ms(1)),
            "heartbeat of 1ms is out of range; use 10 ms to 10 s".to_owned(),
        ),
        (
            builder().heartbeat(ms(10_001)),
            "heartbeat of 10.001s is out of range; use 10 ms to 10 s".to_owned(),
        ),
        (
            builder().lease(ms(2_000)),
            "lease of 2s with a heartbeat of 500ms is out of range; use six heartbeats, 3s, to 10 \
             minutes"
                .to_owned(),
        ),
        (
            builder().cold_start(ms(6_000)),
            "cold start of 6s is longer than the lease of 5s; use the lease or less".to_owned(),
        ),
        (
            builder().down_after(ms(0)),
            "`down_after` of 0ns is out of range; use 10 ms to the lease of 5s".to_owned(),
        ),
    ] {
        assert_eq!(builder.connect_lazy().unwrap_err().to_string(), words);
    }
}

#[tokio::test]
async fn a_server_that_is_not_there() {
    let backend = RedisBackend::connect_lazy("redis://user:hunter2@127.0.0.1:1").unwrap();
    let words = "server 127.0.0.1:1 cannot be reached: Connection refused (os error 111); check the \
                 address, and whether the server runs there";
    assert_eq!(backend.ready().await.unwrap_err().to_string(), words);
    let silent = backend.audit("db").await.unwrap_err();
    assert_eq!(
        silent.to_string(),
        "server 127.0.0.1:1 does not answer within a second; check whether it is busy"
    );
}

#[tokio::test]
async fn a_server_whose_name_is_not_known() {
    let backend = RedisBackend::connect_lazy("redis://:hunter2@nowhere.invalid").unwrap();
    let error = backend.ready().await.unwrap_err().to_string();
    let cure = "; check the address, and whether the server runs there";
    assert!(
        error.starts_with("server nowhere.invalid:6379 cannot be reached: ")
            && error.ends_with(cure),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_a_password() {
    let server = Server::with(Options {
        requirepass: Some("secret"),
        ..Options::default()
    });
    let port = server.port();
    for (login, why) in [
        (
            "",
            "NOAUTH: HELLO must be called with the client already authenticated, otherwise the \
             HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and \
             select the RESP protocol version at the same time",
        ),
        (
            ":wrong@",
            "WRONGPASS: invalid username-password pair or user is disabled.",
        ),
    ] {
        let backend =
            RedisBackend::connect_lazy(format!("redis://{login}127.0.0.1:{port}")).unwrap();
        let error = backend.ready().await.unwrap_err().to_string();
        let words = format!("server 127.0.0.1:{port} refuses the login: ");
        let cure = "; check user and password of the URL";
        assert!(
            error.starts_with(&words) && error.ends_with(cure),
            "{error}"
        );
        assert!(error.contains(why.split(':').next().unwrap()), "{error}");
        assert!(
            !error.contains("wrong@") && !error.contains(":wrong"),
            "{error}"
        );
    }
    let process = Venue::new(server.url()).db(1).await;
    drop(process.acquire().await);
    let shown = format!("{:?}", process.backend);
    assert!(!shown.contains("secret"), "{shown}");
}

#[test]
fn what_is_shown_has_no_password() {
    let builder: RedisBackendBuilder = RedisBackend::builder("redis://user:hunter2@127.0.0.1:1");
    let shown = [
        format!("{builder:?}"),
        format!("{:?}", builder.clone().namespace("").connect_lazy()),
    ];
    let backend = builder.connect_lazy().unwrap();
    let db = || Resource::builder("db").concurrency(1).shared(&backend);
    let resource = db().build();
    let limiter = Limiter::new(Duration::ZERO, [&resource]);
    let rest = [
        format!("{backend:?}"),
        format!("{:?}", backend.strict()),
        format!("{:?}", db()),
        format!("{resource:?}"),
        format!("{limiter:?}"),
        format!("{:?}", resource.health()),
    ];
    for shown in shown.iter().chain(&rest) {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_evicts() {
    let server = Server::with(Options {
        maxmemory: Some("64mb"),
        policy: Some("allkeys-lru"),
        ..Options::default()
    });
    let error = RedisBackend::connect(server.url()).await.unwrap_err();
    assert!(error.is_unsuitable_server() && !error.is_invalid_backend());
    assert_eq!(
        error.to_string(),
        format!(
            "server 127.0.0.1:{} may evict the state of limits: its `maxmemory-policy` is \
             `allkeys-lru`; set it to `noeviction` or to one of `volatile-*`, or use another server",
            server.port()
        )
    );
}

#[test]
fn what_each_process_would_have_for_itself() {
    let backend = nobody();
    let builder = || Resource::builder("db").concurrency(5).shared(&backend);
    for (builder, fault, call) in [
        (
            builder().overload(Overload::new().interval(Duration::from_millis(10))),
            "overload control",
            "`.overload(..)`",
        ),
        (
            builder().adaptive(Aimd::between(1, 9).build()),
            "an adaptive limit",
            "`.adaptive(..)`",
        ),
        (builder().dry_run(), "a dry run", "`.dry_run()`"),
    ] {
        let error = builder.try_build().unwrap_err();
        assert!(error.is_shared());
        assert_eq!(
            error.to_string(),
            format!(
                "resource \"db\": {fault} cannot be shared between processes; leave out {call}, or do \
                 not share the resource"
            )
        );
    }
}

fn refused(describe: impl FnOnce(ResourceBuilder) -> ResourceBuilder) -> String {
    refused_at(0, describe)
}

fn refused_at(revision: u64, describe: impl FnOnce(ResourceBuilder) -> ResourceBuilder) -> String {
    let sharing = nobody().strict().revision(revision);
    let builder = Resource::builder("db").concurrency(5).shared(sharing);
    let db = describe(builder).build();
    let error = Limiter::builder().resources([&db]).try_build();
    let error = error.expect_err("more than the scripts can count");
    assert!(error.is_shared());
    error.to_string()
}

#[test]
fn what_the_server_cannot_count() {
    let many = (1..=5).map(Rate::per_minute);
    let lanes = |n: usize| Lanes::shared((0..n).map(|n| Lane::new(n.to_string())));
    for (said, words) in [
        (
            refused(|b| b.lanes(Lanes::shared([Lane::new("a").weight(1 << 21)]))),
            "lane weight 2097152 is out of range; use 1 to 1048576",
        ),
        (
            refused(|b| b.lanes(lanes(1025))),
            "1025 lanes exceed what a shared resource can declare; use at most 1024, or keyed lanes",
        ),
        (
            refused(|b| b.lanes(Lanes::keyed(1 << 21))),
            "number of keyed lanes, 2097152, is out of range; use 1 to 1048576",
        ),
        (
            refused(|b| b.reserve(1, 100).reserve(1, 100)),
            "units are reserved twice for the same requests; reserve the sum once",
        ),
        (
            refused(|b| b.max_waiting(1 << 21)),
            "queue bound 2097152 is out of range; use at most 1048576 where the resource is shared",
        ),
        (
            refused_at(1 << 53, |b| b),
            "revision 9007199254740992 is out of range; use at most 9007199254740991",
        ),
        (
            refused(|b| many.fold(b, ResourceBuilder::rate)),
            "5 rates exceed what a shared resource can have; use at most 4",
        ),
        (
            refused(|b| b.rate(Rate::per_second(1 << 41))),
            "rate count 2199023255552 is out of range; use 1 to 1099511627776",
        ),
        (
            refused(|b| b.rate(Rate::new(1, Duration::from_secs(5_000_000)))),
            "rate period of 5000000000000 µs is out of range; use 1 to 4398046511104 µs",
        ),
        (
            refused(|b| b.rate(Rate::per_second(1).burst(1 << 41))),
            "rate burst 2199023255552 is out of range; use 1 to 1099511627776",
        ),
        (
            refused(|b| b.rate(Rate::per_second(1).burst(1 << 40))),
            "rate of 1 per 1000000 µs, burst 1099511627776, is out of range; use a shorter period or \
             a smaller burst, so that the larger of count and burst times the period is at most \
             4503599627370496",
        ),
    ] {
        assert_eq!(said, format!("resource \"db\": {words}"));
    }
}

#[test]
fn rules_are_those_of_the_builder() {
    let db = Resource::builder("db")
        .concurrency(5)
        .rate(Rate::per_second(5))
        .lanes(Lanes::shared([Lane::new("user")]))
        .reserve(1, 100)
        .shared(nobody())
        .build();
    let _limiter = Limiter::new(Duration::from_secs(1), [&db]);
    for (result, rule) in [
        (db.set_rate(Rate::per_second(6)), "rate"),
        (db.set_load_rate(Rate::per_second(6)), "load rate"),
        (db.set_lane(&Lane::new("user")), "lanes"),
        (db.set_reserve(2, 100), "reserve for this priority"),
    ] {
        let error = result.unwrap_err();
        assert!(error.is_shared());
        assert_eq!(
            error.to_string(),
            format!(
                "resource \"db\": {rule} cannot be changed while the resource is shared between \
                 processes; change it in the builder and raise the revision"
            )
        );
    }
    db.set_limit(7).unwrap();
    assert_eq!(db.limit(), Some(7), "the limit is live");
    let api = Resource::builder("api")
        .rate(Rate::per_second(5))
        .shared(nobody())
        .build();
    let _limiter = Limiter::new(Duration::from_secs(1), [&api]);
    let health = api.health().unwrap();
    assert_eq!((api.limit(), health.limit), (None, None), "rates alone");
}
