//! Why there is no backend, or no connection.

use std::fmt;

use redis::{ErrorKind, RedisError};

/// The error of a backend whose settings are invalid. The message names the cure.
#[derive(Clone)]
pub struct InvalidBackend {
    subject: Subject,
    message: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Subject {
    Url,
    Tls,
    Namespace,
    Time,
    Other,
}

impl InvalidBackend {
    fn new(subject: Subject, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { subject, message }
    }

    pub(super) fn url(message: impl Into<String>) -> Self {
        Self::new(Subject::Url, message)
    }

    #[cfg(feature = "redis-tls")]
    pub(super) fn tls(message: impl Into<String>) -> Self {
        Self::new(Subject::Tls, message)
    }

    pub(super) fn namespace(message: impl Into<String>) -> Self {
        Self::new(Subject::Namespace, message)
    }

    pub(super) fn time(message: impl Into<String>) -> Self {
        Self::new(Subject::Time, message)
    }

    pub(super) fn other(message: impl Into<String>) -> Self {
        Self::new(Subject::Other, message)
    }

    /// Returns `true` if the URL is malformed, or needs a feature that is not enabled.
    pub fn is_url(&self) -> bool {
        self.subject == Subject::Url
    }

    /// Returns `true` if TLS cannot be set up, such as without trusted certificates.
    pub fn is_tls(&self) -> bool {
        self.subject == Subject::Tls
    }

    /// Returns `true` if the namespace is malformed.
    pub fn is_namespace(&self) -> bool {
        self.subject == Subject::Namespace
    }

    /// Returns `true` if a time is out of range: heartbeat, lease, cold start or `down_after`.
    pub fn is_time(&self) -> bool {
        self.subject == Subject::Time
    }
}

impl fmt::Display for InvalidBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for InvalidBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("InvalidBackend")
            .field(&self.message)
            .finish()
    }
}

impl std::error::Error for InvalidBackend {}

/// The error of a connection that cannot be used. The message names the server, the reason and the
/// cure.
#[derive(Clone)]
pub struct ConnectError(Kind);

#[derive(Clone)]
enum Kind {
    Invalid(InvalidBackend),
    Unsuitable(String),
    Failed(String),
}

impl ConnectError {
    /// `server`: its address, without a password.
    pub(super) fn new(server: impl fmt::Display, fault: impl fmt::Display) -> Self {
        Self(Kind::Failed(format!("server {server} {fault}")))
    }

    pub(super) fn unsuitable(server: impl fmt::Display, fault: impl fmt::Display) -> Self {
        Self(Kind::Unsuitable(format!("server {server} {fault}")))
    }

    /// Returns `true` if the settings of the backend are invalid, so that no connection was tried.
    pub fn is_invalid_backend(&self) -> bool {
        matches!(self.0, Kind::Invalid(_))
    }

    /// Returns `true` if the server is too old, or may evict the state of limits. To try again does
    /// not help.
    pub fn is_unsuitable_server(&self) -> bool {
        matches!(self.0, Kind::Unsuitable(_))
    }
}

impl From<InvalidBackend> for ConnectError {
    fn from(error: InvalidBackend) -> Self {
        Self(Kind::Invalid(error))
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Invalid(error) => error.fmt(f),
            Kind::Unsuitable(message) | Kind::Failed(message) => f.write_str(message),
        }
    }
}

impl fmt::Debug for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ConnectError")
            .field(&self.to_string())
            .finish()
    }
}

impl std::error::Error for ConnectError {}

/// Of a handle that outlives its backend's thread.
pub(super) const ENDED: &str = "is not asked any more: its backend has ended; connect again";

/// Of a server that keeps silent.
pub(super) const SILENT: &str = "does not answer within a second; check whether it is busy";

/// What an error says about a server, from "server 127.0.0.1:6379" on.
pub(super) fn fault(error: &RedisError) -> String {
    if error.kind() == ErrorKind::AuthenticationFailed
        || matches!(error.code(), Some("NOAUTH" | "WRONGPASS"))
    {
        return format!("refuses the login: {error}; check user and password of the URL");
    }
    if error.code() == Some("NOPERM") {
        return format!(
            "refuses a command: {error}; grant the permissions that the module `redis` lists"
        );
    }
    let text = error.to_string();
    if text.contains("certificate") {
        return format!(
            "cannot be reached: {text}; add its certificate to those of the system, or to the file that \
             the environment variable `SSL_CERT_FILE` names"
        );
    }
    if error.is_io_error() || error.is_timeout() || error.is_connection_dropped() {
        return format!(
            "cannot be reached: {error}; check the address, and whether the server runs there"
        );
    }
    format!("answers with an error: {error}; check that it is Redis 7.0, Valkey 7.2 or later")
}
