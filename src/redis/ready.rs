//! Why a server cannot do what it is to do.

use std::fmt;

use redis::{ErrorKind, RedisError};

/// A server cannot do what it is to do. The message names the server, says why, and what to do about it.
#[derive(Clone, Debug)]
pub struct NotReady(String);

impl NotReady {
    /// `server`: its address, without a password.
    pub(super) fn new(server: impl fmt::Display, fault: impl fmt::Display) -> Self {
        Self(format!("server {server} {fault}"))
    }
}

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotReady {}

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
