//! What can be said about a backend.

use std::{fmt, sync::Arc, time::Duration};

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, RedisError};

use super::{
    backend::RedisBackend,
    error::{ConnectError, InvalidBackend},
    protocol::{Micros, Timing},
    tls::{self, Tls},
};

/// How often a session says that it is alive, unless something else is said: 500 ms.
pub const DEFAULT_HEARTBEAT: Duration = Duration::from_millis(500);

/// For how long what a silent process holds stays its own, unless something else is said: 5 s.
pub const DEFAULT_LEASE: Duration = Duration::from_secs(5);

/// For how long a server without state grants nothing, unless something else is said: 1 s.
pub const DEFAULT_COLD_START: Duration = Duration::from_secs(1);

/// After what silence the server counts as unavailable, unless something else is said: 500 ms.
pub const DEFAULT_DOWN_AFTER: Duration = Duration::from_millis(500);

/// Builds a [`RedisBackend`].
///
/// All processes that share a limit have to say the same: the server judges each by the times of
/// whoever calls. While one says a shorter lease than another, the other can lose permits before it
/// knows.
///
/// ```no_run
/// # use std::time::Duration;
/// # use tower_concurrency_limiter::redis::{ConnectError, RedisBackend};
/// # async fn start() -> Result<(), ConnectError> {
/// let backend = RedisBackend::builder("redis://10.0.0.7:6379")
///     .namespace("shop")
///     .lease(Duration::from_secs(10))
///     .connect()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a builder does nothing until `.connect()`"]
pub struct RedisBackendBuilder {
    url: String,
    namespace: String,
    heartbeat: Duration,
    lease: Duration,
    cold_start: Duration,
    down_after: Duration,
    reclaims_early: bool,
}

impl RedisBackendBuilder {
    pub(super) fn new(url: String) -> Self {
        Self {
            url,
            namespace: "default".to_owned(),
            heartbeat: DEFAULT_HEARTBEAT,
            lease: DEFAULT_LEASE,
            cold_start: DEFAULT_COLD_START,
            down_after: DEFAULT_DOWN_AFTER,
            reclaims_early: true,
        }
    }

    /// Keeps resources of the same name apart, those of different services or environments on one
    /// server: 1 to 64 characters without blanks, braces and slashes. Default: `default`.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// How often a process says that it is alive, 10 ms to 10 s; one call for each resource. A lost
    /// wake-up costs one heartbeat at most, and what a killed process held is free after
    /// [two](Self::reclaim_at_disconnect). Default: 500 ms.
    pub fn heartbeat(mut self, interval: Duration) -> Self {
        self.heartbeat = interval;
        self
    }

    /// For how long what a process holds stays its own after its last sign of life: six heartbeats
    /// to 10 minutes. What a process that is paused, or cut off, holds goes to others after that.
    /// Default: 5 s.
    pub fn lease(mut self, time: Duration) -> Self {
        self.lease = time;
        self
    }

    /// For how long nothing is granted by a server that has no state, since processes may hold
    /// permits that it does not know of: up to the lease. That is the case after it was restarted
    /// without persistence, and when a resource is used for the first time. Default: 1 s. The lease
    /// is the safe value; with zero the limit can be exceeded by as much as processes hold that
    /// have not yet been back.
    pub fn cold_start(mut self, time: Duration) -> Self {
        self.cold_start = time;
        self
    }

    /// After what silence the server counts as unavailable: 10 ms up to the lease. Default: 500 ms.
    pub fn down_after(mut self, silence: Duration) -> Self {
        self.down_after = silence;
        self
    }

    /// Whether a closed connection and one and a half heartbeats of silence are the end of a
    /// process, so that what a killed one held is free in about a second; or only the end of its
    /// lease is. Default: `true`. Choose `false` where connections are closed by what is between
    /// the processes and the server, and a surplus for the length of a lease is worse than units
    /// that are lost for that long after a crash. On a cluster it is always the lease.
    pub fn reclaim_at_disconnect(mut self, early: bool) -> Self {
        self.reclaims_early = early;
        self
    }

    /// Starts the backend, and waits until it is connected. It has a thread of its own, which
    /// connects again if the connection is lost.
    ///
    /// # Errors
    ///
    /// If the settings are [invalid](ConnectError::is_invalid_backend); if the server cannot be
    /// reached or rejects the connection; if it is
    /// [unsuitable](ConnectError::is_unsuitable_server): older than Redis 7.0, or configured so
    /// that it may evict the state of limits.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the backend.
    pub async fn connect(self) -> Result<RedisBackend, ConnectError> {
        let backend = self.connect_lazy()?;
        backend.ready().await?;
        Ok(backend)
    }

    /// Starts the backend without waiting for the server, which may be away: a thread connects, and
    /// connects again if the connection is lost. [`RedisBackend::ready`] waits for the first
    /// attempt.
    ///
    /// # Errors
    ///
    /// If the URL is not one, or needs a feature that is not enabled; if it asks for TLS and the
    /// certificates of the system cannot be loaded; if the namespace or a time is out of range; if
    /// no thread can be started.
    pub fn connect_lazy(self) -> Result<RedisBackend, InvalidBackend> {
        RedisBackend::start(self.settings()?)
    }

    fn settings(self) -> Result<Settings, InvalidBackend> {
        let url_fault = |text: String| Err(InvalidBackend::url(text));
        let time_fault = |text: String| Err(InvalidBackend::time(text));
        let Self {
            url,
            namespace,
            heartbeat,
            lease,
            cold_start,
            down_after,
            reclaims_early,
        } = self;
        let plain = tls::without_tls(&url);
        let tls = plain.is_some().then(Tls::of_the_system).transpose()?;
        let info = plain.as_ref().unwrap_or(&url).as_str();
        let info = match info.into_connection_info() {
            Ok(info) => info,
            Err(error) => return url_fault(not_a_url(&error)),
        };
        if tls.is_some() && url.contains('#') {
            return url_fault(
                "server URL has a fragment; leave it out: certificates are always verified, and the \
                 environment variable `SSL_CERT_FILE` names a file of those to trust"
                    .to_owned(),
            );
        }
        if info.redis_settings().db() != 0 {
            return url_fault(format!(
                "server URL names database {}, and notifications do not know databases; leave it out, and \
                 keep services apart by `.namespace(..)`",
                info.redis_settings().db()
            ));
        }
        let is_bad = |c: char| c.is_whitespace() || c.is_control() || "{}/".contains(c);
        if namespace.is_empty() || namespace.len() > 64 || namespace.contains(is_bad) {
            return Err(InvalidBackend::namespace(format!(
                "namespace {namespace:?} is invalid; use 1 to 64 characters without blanks, braces and slashes"
            )));
        }
        let ms = Duration::from_millis;
        if heartbeat < ms(10) || heartbeat > ms(10_000) {
            return time_fault(format!(
                "heartbeat of {heartbeat:?} is out of range; use 10 ms to 10 s"
            ));
        }
        if lease < heartbeat * 6 || lease > ms(600_000) {
            return time_fault(format!(
                "lease of {lease:?} with a heartbeat of {heartbeat:?} is out of range; use six heartbeats, \
                 {:?}, to 10 minutes",
                heartbeat * 6
            ));
        }
        if cold_start > lease {
            return time_fault(format!(
                "cold start of {cold_start:?} is longer than the lease of {lease:?}; use the lease or less"
            ));
        }
        if down_after < ms(10) || down_after > lease {
            return time_fault(format!(
                "`down_after` of {down_after:?} is out of range; use 10 ms to the lease of {lease:?}"
            ));
        }
        let redis = info
            .redis_settings()
            .clone()
            .set_protocol(ProtocolVersion::RESP3);
        Ok(Settings {
            server: info.set_redis_settings(redis),
            tls,
            namespace: namespace.into(),
            heartbeat,
            lease,
            cold_start,
            down_after,
            reclaims_early,
        })
    }
}

/// What was said, checked.
#[derive(Clone)]
pub(super) struct Settings {
    /// Without TLS, which is this crate's own.
    pub(super) server: ConnectionInfo,
    tls: Option<Tls>,
    pub(super) namespace: Arc<str>,
    pub(super) heartbeat: Duration,
    pub(super) lease: Duration,
    pub(super) cold_start: Duration,
    pub(super) down_after: Duration,
    pub(super) reclaims_early: bool,
}

impl Settings {
    pub(super) fn timing(&self, is_cluster: bool) -> Timing {
        Timing {
            heartbeat: micros(self.heartbeat),
            lease: micros(self.lease),
            cold_start: micros(self.cold_start),
            fast_death: self.reclaims_early && !is_cluster,
        }
    }

    /// The way to the server, or to another node of its cluster.
    pub(super) fn way_to(&self, node: Option<&(String, u16)>) -> (ConnectionInfo, Option<&Tls>) {
        let mut server = self.server.clone();
        if let Some((host, port)) = node {
            server = server.set_addr(ConnectionAddr::Tcp(host.clone(), *port));
        }
        let tcp = server.tcp_settings().clone().set_nodelay(true);
        (server.set_tcp_settings(tcp), self.tls.as_ref())
    }
}

/// Without the URL, which may have a password.
impl fmt::Debug for RedisBackendBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBackendBuilder")
            .field("namespace", &self.namespace)
            .field("heartbeat", &self.heartbeat)
            .field("lease", &self.lease)
            .field("cold_start", &self.cold_start)
            .field("down_after", &self.down_after)
            .field("reclaim_at_disconnect", &self.reclaims_early)
            .finish_non_exhaustive()
    }
}

/// Without what the parser read: a URL may have a password.
fn not_a_url(error: &RedisError) -> String {
    let error = error.to_string();
    let why = error.split(" - ").next().unwrap_or_default();
    let or_tls = match cfg!(feature = "redis-tls") {
        true => ", or \"rediss://..\" for TLS",
        false => "",
    };
    format!(
        "server URL is invalid ({why}); pass one such as \"redis://user:password@host:6379\"{or_tls}"
    )
}

pub(super) fn micros(time: Duration) -> Micros {
    Micros::try_from(time.as_micros()).unwrap_or(Micros::MAX)
}
