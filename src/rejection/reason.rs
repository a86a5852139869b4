//! Why a request was turned away.

use std::fmt;

/// Why a request was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// Its set did not become free before its deadline. With a timeout of zero, and with
    /// [`try_acquire`](crate::Limiter::try_acquire), that is at once.
    Timeout,
    /// The queue was at its bound when it arrived.
    QueueFull,
    /// It was queued, and gave way: when the queue was full, to a request of higher priority, or of a lane with
    /// fewer waiters; or because the queue stood and it had waited longest (see [`Overload`](crate::Overload)).
    Shed,
    /// The limiter was closed, or the request would have to wait in a tokio runtime that shuts down, where
    /// no deadline passes any more.
    Closed,
    /// The limit is shared between processes, and what enforces it cannot be reached.
    Unavailable,
}

impl Reason {
    /// The reason in one word, as it appears in logs: `timeout`, `queue_full`, `shed`, `closed` or
    /// `unavailable`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::QueueFull => "queue_full",
            Self::Shed => "shed",
            Self::Closed => "closed",
            Self::Unavailable => "unavailable",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timeout => "timed out waiting",
            Self::QueueFull => "the queue is full",
            Self::Shed => "gave way to other requests",
            Self::Closed => "the limiter is closed",
            Self::Unavailable => "the shared limit is unavailable",
        })
    }
}
