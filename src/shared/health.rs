//! The state of a shared limit.

use std::{
    fmt,
    time::{Duration, Instant},
};

/// The health of a shared limit, as this process last knew it; see
/// [`Resource::health`](crate::Resource::health).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// Whether the limit can be enforced.
    pub state: SharedState,
    /// The number of processes that share the limit, including this one, as of the last contact.
    pub processes: usize,
    /// The number of times that the state was lost, or may have been, or the server was paused. 0
    /// before the first contact.
    pub epoch: u64,
    /// When the server last responded.
    pub last_contact: Option<Instant>,
    /// How many units can be in use at once in all processes; `None` if there are rates alone.
    pub limit: Option<usize>,
    /// How many units all processes hold, as of the last contact. It exceeds the limit while a
    /// surplus is released.
    pub in_use: usize,
    /// How many requests of all processes are queued, as of the last contact.
    pub waiting: usize,
}

/// The state of a shared limit: whether it can be enforced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SharedState {
    /// The server has not been reached yet. Requests wait.
    Connecting,
    /// The limit is enforced.
    Connected,
    /// The state was lost, or may be wrong. Nothing is granted until all processes have reported
    /// what they hold, for at most the lease.
    Recovering,
    /// The server does not respond. Requests are handled as
    /// `SharedOptions::when_unavailable` specifies.
    Unavailable,
}

impl fmt::Display for SharedState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::Recovering => "recovering",
            Self::Unavailable => "unavailable",
        })
    }
}

impl Health {
    /// Returns the time since the last contact.
    pub fn silence(&self) -> Option<Duration> {
        self.last_contact.map(|contact| contact.elapsed())
    }
}
