//! Why a request was turned away, and what it is told.

mod body;
mod grpc;
mod problem;
mod reason;
mod response;

use std::{fmt, sync::Arc, time::Duration};

pub use body::{Framed, Plain, RefusalBody};
pub use reason::Reason;
pub(crate) use response::{Respond, Responder};

/// A request that was turned away: why, at which resource, after how long.
///
/// It becomes the HTTP response `503` with the JSON body
/// `{"detail":"Server busy, please retry later"}`, and with the header `retry-after` if [that is
/// known](Self::retry_after), unless
/// [`LimiterBuilder::on_reject`](crate::limiter::LimiterBuilder::on_reject) says otherwise; to a
/// gRPC request, it becomes the status `UNAVAILABLE` or `RESOURCE_EXHAUSTED` of
/// [`grpc_response`](Self::grpc_response). The layer puts it into the extensions of that response,
/// for logs and metrics outside the limiter.
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

    /// Whether a [rate](crate::Rate) of the resource did not allow the request when it was turned
    /// away, for lack of time or of a place in the queue. Of one that gave way it is not known:
    /// `false`.
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

    /// In what time to come back, where that is known. The response has it as `retry-after`, in
    /// whole seconds, rounded up. It is the later one of two times:
    ///
    /// * The time that the queue needs to drain, at the pace at which its waiters have been
    ///   admitted lately, plus up to a fifth, and at most 30 s.
    /// * The time at which the rates of the resource allow the request, and never one before it. It
    ///   has no upper bound. Of several requests that a rate refuses, the first gets just that
    ///   time; the others are spread over the time that the rate needs for all of them, up to the
    ///   same time again, or 10 s if that is longer.
    ///
    /// Both are scattered so that not all clients come back at once.
    ///
    /// The pace is measured while requests wait, over short busy stretches as well as over a long
    /// one. It is known after one second of waiting in all, or after twice as many admissions of
    /// waiters as the limit (at least eight), and unknown again when none was admitted for 5 s (at
    /// a slow resource, for twice the time that an admission takes), or when the limit was raised
    /// by more than a quarter. A closed limiter gives no time.
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
        let Self {
            reason, resource, ..
        } = self;
        if *reason == Reason::NotNow {
            return write!(f, "resource \"{resource}\" is not available now");
        }
        write!(f, "{reason} for resource \"{resource}\"")?;
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
