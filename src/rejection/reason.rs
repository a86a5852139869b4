//! The reasons of rejections.

use std::fmt;

/// The reason of a rejection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The set was not available before the deadline, or the future was first polled after it.
    Timeout,
    /// The set was not available when the request arrived, and the request cannot wait: it is a
    /// [`try_acquire`](crate::Limiter::try_acquire), or its timeout is zero.
    NotNow,
    /// The request has a
    /// [`fail_fast_deadline`](crate::limiter::AcquireRequest::fail_fast_deadline), and was expected
    /// to be queued for longer. It was rejected on arrival.
    WouldTimeOut,
    /// The queue was full when the request arrived.
    QueueFull,
    /// The request was removed from a full queue in favour of a request of higher priority or of a
    /// lane with fewer waiting requests; or it was the oldest of a queue that [overload
    /// control](crate::Overload) found standing.
    Shed,
    /// The limiter is closed, or the request would have to wait in a tokio runtime that shuts down,
    /// where deadlines no longer expire.
    Closed,
    /// The limit is shared between processes, and its server cannot be reached. Never without the
    /// feature `redis`.
    Unavailable,
}

impl Reason {
    /// Returns the reason as it appears in logs: `timeout`, `not_now`, `would_time_out`,
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
