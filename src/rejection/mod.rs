//! Why a request was turned away, and what it is told.

mod body;
mod reason;
mod response;

use std::{fmt, sync::Arc, time::Duration};

pub use body::{Framed, Plain, RefusalBody};
pub use reason::Reason;
pub(crate) use response::{Respond, Responder};

/// A request that was turned away: why, at which resource, after how long.
///
/// It becomes the HTTP response `503` with the JSON body
/// `{"detail":"Server busy, please retry later"}`, unless
/// [`LimiterBuilder::on_reject`](crate::limiter::LimiterBuilder::on_reject) says otherwise; the
/// layer puts it into the extensions of that response, for logs and metrics outside the limiter.
///
/// With the feature `axum` (on by default) it is an `IntoResponse`, so that a handler can write
/// `limiter.acquire([&db]).await?` and answer the same 503.
#[derive(Clone)]
pub struct Rejection {
    reason: Reason,
    by_rate: bool,
    resource: Arc<str>,
    waited: Duration,
    retry_after: Option<Duration>,
    responder: Responder,
}

impl Rejection {
    pub(crate) fn new(
        reason: Reason,
        by_rate: bool,
        resource: Arc<str>,
        waited: Duration,
        retry_after: Option<Duration>,
        responder: Responder,
    ) -> Self {
        Self {
            reason,
            by_rate,
            resource,
            waited,
            retry_after,
            responder,
        }
    }

    /// Why.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// Whether a [rate](crate::Rate) of the resource did not allow the request when it was turned away, for
    /// lack of time or of a place in the queue. Of one that gave way it is not known: `false`.
    pub fn is_rate_limited(&self) -> bool {
        self.by_rate
    }

    /// The name of the resource that was short; of a set, the first one that was.
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// How long the request was queued; zero if it was turned away on arrival.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// When to come back, where that is known: once the queue has drained at the pace at which it does,
    /// plus up to a fifth, so that not all come back at once, at most 30 s; or when a rate allows it, if that
    /// is later, without an upper bound. The response says so in `retry-after`, in whole seconds, rounded up.
    ///
    /// The pace is unknown until a queue has been seen to drain for a second. A limiter that is closed says
    /// nothing.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The same rejection with a hint when to come back, for policies that know.
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for resource \"{}\"", self.reason, self.resource)?;
        if self.waited.is_zero() {
            return Ok(());
        }
        write!(f, " after {:?}", self.waited)
    }
}

impl fmt::Debug for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rejection")
            .field("reason", &self.reason)
            .field("resource", &self.resource)
            .field("waited", &self.waited)
            .field("retry_after", &self.retry_after)
            .finish()
    }
}

impl std::error::Error for Rejection {}
