//! Where processes meet.

use std::time::Duration;

use tower_concurrency_limiter::{
    Limiter, Permit, Reason, Resource,
    redis::{RedisBackend, RedisBackendBuilder, SharedOptions, WhenUnavailable},
    resource::ResourceBuilder,
};

/// A server, or a node of a cluster, and a part of it that nobody else uses.
pub(crate) struct Venue {
    url: String,
    namespace: String,
}

impl Venue {
    pub(crate) fn new(url: String) -> Self {
        Self {
            url,
            namespace: "test".to_owned(),
        }
    }

    pub(crate) fn named(mut self, namespace: &str) -> Self {
        self.namespace = namespace.to_owned();
        self
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    pub(crate) fn builder(&self) -> RedisBackendBuilder {
        let filter = tracing_subscriber::EnvFilter::from_default_env(); // RUST_LOG, when a test fails
        let _ = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_test_writer()
            .try_init();
        RedisBackend::builder(&self.url)
            .namespace(&self.namespace)
            .cold_start(Duration::ZERO)
    }

    /// Another process.
    pub(crate) async fn process(&self) -> RedisBackend {
        let backend = self.builder().connect_lazy().expect("a good URL");
        backend.ready().await.expect("a server");
        backend
    }

    /// Another process, with a limiter of `db`.
    pub(crate) async fn db(&self, limit: usize) -> Process {
        self.of(|builder| builder.concurrency(limit)).await
    }

    /// Another process, with a limiter of `db`, which is described by `describe`.
    pub(crate) async fn of(
        &self,
        describe: impl FnOnce(ResourceBuilder) -> ResourceBuilder,
    ) -> Process {
        let backend = self.process().await;
        let sharing = backend.strict();
        Process::with(backend, sharing, describe).await
    }

    /// The same with a cache.
    pub(crate) async fn cached(&self, limit: usize) -> Process {
        let backend = self.process().await;
        let sharing = backend.cached();
        Process::with(backend, sharing, |builder| builder.concurrency(limit)).await
    }
}

/// A process that uses one shared resource.
pub(crate) struct Process {
    pub(crate) backend: RedisBackend,
    pub(crate) db: Resource,
    pub(crate) limiter: Limiter,
}

impl Process {
    pub(crate) async fn with(
        backend: RedisBackend,
        sharing: impl Into<SharedOptions>,
        describe: impl FnOnce(ResourceBuilder) -> ResourceBuilder,
    ) -> Self {
        let db = describe(Resource::builder("db")).shared(sharing).build();
        let limiter = Limiter::new(Duration::from_secs(20), [&db]);
        let process = Self {
            backend,
            db,
            limiter,
        };
        until("it takes part", || process.health().processes > 0).await;
        process
    }

    pub(crate) async fn acquire(&self) -> Permit {
        self.limiter.acquire([&self.db]).await.expect("in time")
    }

    pub(crate) fn health(&self) -> tower_concurrency_limiter::redis::Health {
        self.db.health().expect("it is shared")
    }

    /// With short times, and a limit of `db`.
    pub(crate) async fn quick(
        builder: RedisBackendBuilder,
        limit: usize,
        policy: WhenUnavailable,
    ) -> Self {
        let ms = Duration::from_millis;
        let builder = builder.heartbeat(ms(100)).lease(ms(1_000));
        let backend = builder
            .down_after(ms(200))
            .connect_lazy()
            .expect("a good URL");
        backend.ready().await.expect("a server");
        let sharing = backend.strict().when_unavailable(policy);
        Self::with(backend, sharing, |builder| builder.concurrency(limit)).await
    }

    /// What becomes of a request with so much time; none is to ask once.
    pub(crate) async fn within(&self, time: Duration) -> Result<Permit, Reason> {
        let request = self.limiter.request([&self.db]).timeout(time);
        request
            .acquire()
            .await
            .map_err(|rejection| rejection.reason())
    }

    /// Queues a request, and waits until the server knows it.
    pub(crate) async fn queue(
        &self,
        request: tower_concurrency_limiter::limiter::AcquireRequest,
    ) -> tokio::task::JoinHandle<Permit> {
        let before = self.db.waiting();
        let waiter = tokio::spawn(async move { request.acquire().await.expect("in time") });
        until("it waits", || self.db.waiting() > before).await;
        // Its place is known with the answer, one round trip later.
        tokio::time::sleep(Duration::from_millis(30)).await;
        waiter
    }
}

/// Waits until nothing is held and nobody waits, and all counts agree.
pub(crate) async fn at_rest(processes: &[Process]) {
    let is_idle = |process: &Process| {
        let health = process.health();
        health.in_use == 0 && health.waiting == 0
    };
    until("all is back", || processes.iter().all(is_idle)).await;
    let audit = processes[0].backend.audit("db").await.expect("an answer");
    assert_eq!(audit, []);
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..2_000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("waited in vain until {what}");
}
