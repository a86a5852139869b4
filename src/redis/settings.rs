//! What can be said about a backend.

use std::{fmt, sync::Arc, time::Duration};

use redis::{Client, ConnectionInfo, IntoConnectionInfo, ProtocolVersion};

use super::{
    backend::RedisBackend,
    protocol::{Micros, Timing},
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
/// All processes that share a limit have to say the same: the server judges each by the times of whoever calls.
/// While one says a shorter lease than another, the other can lose permits before it knows.
///
/// ```no_run
/// # use std::time::Duration;
/// # use tower_concurrency_limiter::redis::{InvalidBackend, RedisBackend};
/// # fn main() -> Result<(), InvalidBackend> {
/// let backend = RedisBackend::builder("redis://10.0.0.7:6379")
///     .namespace("shop")
///     .lease(Duration::from_secs(10))
///     .connect()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
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

    /// Keeps resources of the same name apart, those of different services or environments on one server: 1 to 64
    /// characters without blanks, braces and slashes. Default: `default`.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// How often a process says that it is alive, 10 ms to 10 s; one call for each resource. A lost wake-up costs one heartbeat at
    /// most, and what a killed process held is free after [two](Self::reclaim_at_disconnect). Default: 500 ms.
    pub fn heartbeat(mut self, interval: Duration) -> Self {
        self.heartbeat = interval;
        self
    }

    /// For how long what a process holds stays its own after its last sign of life: six heartbeats to 10 minutes. What a process that is
    /// paused, or cut off, holds goes to others after that. Default: 5 s.
    pub fn lease(mut self, time: Duration) -> Self {
        self.lease = time;
        self
    }

    /// For how long nothing is granted by a server that has no state, since processes may hold permits that it does not know of: up to the
    /// lease. That is the case after it was restarted without persistence, and when a resource is used for the first
    /// time. Default: 1 s. The lease is the safe value; with zero the limit can be
    /// exceeded by as much as processes hold that have not yet been back.
    pub fn cold_start(mut self, time: Duration) -> Self {
        self.cold_start = time;
        self
    }

    /// After what silence the server counts as unavailable: 10 ms up to the lease. Default: 500 ms.
    pub fn down_after(mut self, silence: Duration) -> Self {
        self.down_after = silence;
        self
    }

    /// Whether a closed connection and one and a half heartbeats of silence are the end of a process, so that what a killed one held is
    /// free in about a second; or only the end of its lease is. Default: `true`. Choose `false` where connections are closed by
    /// what is between the processes and the server, and a surplus for the length of a lease is worse than
    /// units that are lost for that long after a crash. On a cluster it is always the lease.
    pub fn reclaim_at_disconnect(mut self, early: bool) -> Self {
        self.reclaims_early = early;
        self
    }

    /// Starts the backend: a thread of its own, which connects, and connects again whenever the connection is lost. It does not
    /// wait for the server; [`RedisBackend::ready`] does.
    ///
    /// # Errors
    ///
    /// If the URL is not one, or needs a feature that is not enabled; if the namespace or a time is out of range; if no
    /// thread can be started.
    pub fn connect(self) -> Result<RedisBackend, InvalidBackend> {
        let settings = self.settings()?;
        #[cfg(feature = "redis-tls")]
        choose_cryptography();
        RedisBackend::start(settings)
    }

    fn settings(self) -> Result<Settings, InvalidBackend> {
        let fault = |text: String| Err(InvalidBackend(text));
        let Self {
            url,
            namespace,
            heartbeat,
            lease,
            cold_start,
            down_after,
            reclaims_early,
        } = self;
        let info = match url.as_str().into_connection_info() {
            Ok(info) => info,
            Err(error) => {
                return fault(format!(
                    "not a Redis URL ({error}); pass one such as \"redis://user:password@host:6379\", or \"rediss://..\" for TLS"
                ));
            }
        };
        if !info.addr().is_supported() {
            return fault(
                "the URL asks for TLS; enable the feature `redis-tls` of tower-concurrency-limiter"
                    .to_owned(),
            );
        }
        if info.redis_settings().db() != 0 {
            return fault(
                "the URL names a database; leave it out, and keep services apart by `.namespace(..)`: \
                 channels do not know databases"
                    .to_owned(),
            );
        }
        let is_bad = |c: char| c.is_whitespace() || c.is_control() || "{}/".contains(c);
        if namespace.is_empty() || namespace.len() > 64 || namespace.contains(is_bad) {
            return fault(format!(
                "namespace \"{namespace}\"; pass 1 to 64 characters without blanks, braces and slashes"
            ));
        }
        let ms = Duration::from_millis;
        if heartbeat < ms(10) || heartbeat > ms(10_000) {
            return fault(format!(
                "a heartbeat every {heartbeat:?}; pass 10 ms to 10 s"
            ));
        }
        if lease < heartbeat * 6 || lease > ms(600_000) {
            return fault(format!(
                "a lease of {lease:?} with a heartbeat every {heartbeat:?}; pass a lease of six heartbeats or more, \
                 up to 10 minutes"
            ));
        }
        if cold_start > lease {
            return fault(format!(
                "a cold start of {cold_start:?}, which is longer than the lease of {lease:?}; the lease is enough"
            ));
        }
        if down_after < ms(10) || down_after > lease {
            return fault(format!(
                "unavailable after {down_after:?}; pass 10 ms or more, up to the lease of {lease:?}"
            ));
        }
        let redis = info
            .redis_settings()
            .clone()
            .set_protocol(ProtocolVersion::RESP3);
        Ok(Settings {
            server: info.set_redis_settings(redis),
            namespace: namespace.into(),
            heartbeat,
            lease,
            cold_start,
            down_after,
            reclaims_early,
        })
    }
}

/// For TLS the process has to say once whose cryptography it uses. If it has not, it is that of `ring`.
#[cfg(feature = "redis-tls")]
fn choose_cryptography() {
    use rustls::crypto::{CryptoProvider, ring};
    if CryptoProvider::get_default().is_none() {
        // Whoever was faster in between has chosen.
        let _ = ring::default_provider().install_default();
    }
}

/// What was said, checked.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) server: ConnectionInfo,
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
    pub(super) fn client(&self, node: Option<&(String, u16)>) -> redis::RedisResult<Client> {
        let mut server = self.server.clone();
        if let Some((host, port)) = node {
            let there = match server.addr().clone() {
                redis::ConnectionAddr::TcpTls {
                    insecure,
                    tls_params,
                    ..
                } => redis::ConnectionAddr::TcpTls {
                    host: host.clone(),
                    port: *port,
                    insecure,
                    tls_params,
                },
                _ => redis::ConnectionAddr::Tcp(host.clone(), *port),
            };
            server = server.set_addr(there);
        }
        let tcp = server.tcp_settings().clone().set_nodelay(true);
        Client::open(server.set_tcp_settings(tcp))
    }
}

pub(super) fn micros(time: Duration) -> Micros {
    Micros::try_from(time.as_micros()).unwrap_or(Micros::MAX)
}

/// A backend cannot be built as it was asked for; the message says why, and what to do about it.
#[derive(Clone, Debug)]
pub struct InvalidBackend(pub(super) String);

impl fmt::Display for InvalidBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidBackend {}
