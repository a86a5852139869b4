//! A shared limit, as the limiter knows it.

use std::{fmt, sync::Arc};

use super::{
    backend::Inner,
    config::{self, Shape},
    local::LocalShare,
    member::{Member, Terms},
    script::Keys,
    shared_options::SharedOptions,
};
use crate::{
    resource::{ResourceBuilder, SharedSpec},
    shared::{Entering, Health, Lease, LeaseRequest, SharedLimit},
};

/// A shared limit, as the limiter knows it. When it is dropped, the process takes part in it no
/// longer.
struct RedisLimit {
    member: Arc<Member>,
    /// Keeps the backend going.
    _backend: Arc<Inner>,
}

impl ResourceBuilder {
    /// Makes it one limit for every process that names the same resource in the same
    /// [namespace](crate::redis::RedisBackendBuilder::namespace): limit, queue, rates, lanes,
    /// priorities and reserves. Pass `&backend`, or what
    /// [`RedisBackend::strict`](crate::redis::RedisBackend::strict) and
    /// [`cached`](crate::redis::RedisBackend::cached) make. See [`redis`](crate::redis) for what is
    /// promised, and what is not.
    ///
    /// ```no_run
    /// use tower_concurrency_limiter::{Resource, redis::{RedisBackend, WhenUnavailable}};
    ///
    /// # fn main() -> Result<(), tower_concurrency_limiter::redis::InvalidBackend> {
    /// let backend = RedisBackend::connect_lazy("redis://127.0.0.1:6379")?;
    /// let postgres = Resource::builder("postgres").concurrency(10).shared(&backend).build();
    /// let printer = Resource::builder("printer")
    ///     .concurrency(1)
    ///     .shared(backend.strict().when_unavailable(WhenUnavailable::FailClosed))
    ///     .build();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Overload mode, adaptive limits and dry runs are things that each process would have for
    /// itself; they do not go together with this. A shared rate counts and bursts up to
    /// 2<sup>40</sup>, and there are four of them at most; lanes weigh up to 2<sup>20</sup>.
    #[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
    pub fn shared(self, options: impl Into<SharedOptions>) -> Self {
        let options = options.into();
        self.open_with(move |spec| open(&options, spec))
    }
}

fn open(options: &SharedOptions, spec: &SharedSpec<'_>) -> Result<Arc<dyn SharedLimit>, String> {
    let backend = &options.backend.0;
    let core = &backend.core;
    let shape = Shape::new(spec);
    let config = config::config(spec, &shape, options.revision);
    config.check().map_err(|fault| fault.to_string())?;
    let member = Member::join(
        core,
        Terms {
            name: Arc::clone(spec.name),
            keys: Keys::new(&core.settings().namespace, spec.name),
            shape,
            config,
            is_cached: options.is_cached,
            when_unavailable: options.when_unavailable,
            local: LocalShare::new(spec),
        },
    );
    Ok(Arc::new(RedisLimit {
        member,
        _backend: Arc::clone(backend),
    }))
}

impl SharedLimit for RedisLimit {
    fn try_enter(&self, ask: &LeaseRequest) -> Option<Box<dyn Lease>> {
        let lease = self.member.try_enter(ask)?;
        Some(Box::new(lease))
    }

    fn enter(&self, ask: LeaseRequest) -> Entering {
        let member = Arc::clone(&self.member);
        Box::pin(async move {
            let lease = member.enter(ask).await?;
            Ok(Box::new(lease) as Box<dyn Lease>)
        })
    }

    fn set_limit(&self, limit: u32) {
        self.member.set_limit(limit);
    }

    fn close(&self) {
        self.member.close();
    }

    fn health(&self) -> Health {
        self.member.health()
    }
}

impl Drop for RedisLimit {
    fn drop(&mut self) {
        self.member.leave();
    }
}

impl fmt::Debug for RedisLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisLimit")
            .field("session", &self.member.session())
            .field("is_cached", &self.member.is_cached())
            .field("health", &self.member.health())
            .finish()
    }
}
