//! Why a request was turned away.

use std::fmt;

/// Why a request was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The request waited until its deadline, and its set did not become free before. Also a
    /// request whose future was first polled after its deadline.
    Timeout,
    /// The set was not free when the request arrived, and the request had no time to wait: it was a
    /// [`try_acquire`](crate::Limiter::try_acquire), or its timeout is zero.
    NotNow,
    /// The request has a
    /// [`fail_fast_deadline`](crate::limiter::AcquireRequest::fail_fast_deadline), and those before
    /// it in the queue would have kept it longer than that. It was rejected on arrival.
    WouldTimeOut,
    /// The queue was at its bound when the request arrived.
    QueueFull,
    /// The request was queued, and gave way: when the queue was full, to a request of higher
    /// priority, or of a lane with fewer waiters; or because the queue stood and it had waited
    /// longest (see [`Overload`](crate::Overload)).
    Shed,
    /// The limiter was closed, or the request would have to wait in a tokio runtime that shuts
    /// down, where no deadline passes any more.
    Closed,
    /// The limit is shared between processes, and what enforces it cannot be reached.
    Unavailable,
}

impl Reason {
    /// The reason in one word, as it appears in logs: `timeout`, `not_now`, `would_time_out`,
    /// `queue_full`, `shed`, `closed` or `unavailable`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::NotNow => "not_now",
            Self::WouldTimeOut => "would_time_out",
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
            Self::NotNow => "not available now",
            Self::WouldTimeOut => "would time out waiting",
            Self::QueueFull => "the queue is full",
            Self::Shed => "gave way to other requests",
            Self::Closed => "the limiter is closed",
            Self::Unavailable => "the shared limit is unavailable",
        })
    }
}
