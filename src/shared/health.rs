//! The state of a shared limit.

use std::{
    fmt,
    time::{Duration, Instant},
};

/// How a shared limit is, as this process knows it; see
/// [`Resource::health`](crate::Resource::health).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// Whether it can be enforced.
    pub state: SharedState,
    /// The processes that share it, this one among them; as of the last contact.
    pub processes: usize,
    /// Counts the times at which the state was lost or may have been, or the server stood still. 0
    /// before the first contact.
    pub epoch: u64,
    /// When the server answered last.
    pub last_contact: Option<Instant>,
    /// How many units may be in use at once, in all processes together; `None` if there are rates
    /// alone.
    pub limit: Option<usize>,
    /// How many units all processes together hold, as of the last contact. Above the limit while a
    /// debt is paid.
    pub in_use: usize,
    /// How many requests of all processes wait, as of the last contact.
    pub waiting: usize,
}

/// Whether a shared limit can be enforced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SharedState {
    /// No contact yet; requests wait.
    Connecting,
    /// All is well.
    Connected,
    /// The state was lost, or may be wrong: nothing new is granted until all processes have said
    /// what they hold. It lasts for the lease at most.
    Recovering,
    /// The server does not answer; what happens to requests is what was said with the
    /// resource.
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
    /// The time since the last contact.
    pub fn silence(&self) -> Option<Duration> {
        self.last_contact.map(|contact| contact.elapsed())
    }
}
