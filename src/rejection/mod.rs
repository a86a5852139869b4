//! Rejections: the reasons and the responses.

mod body;
mod grpc;
mod problem;
mod reason;
mod response;

use std::{fmt, sync::Arc, time::Duration};

pub use body::{Framed, Plain, RefusalBody};
pub use reason::Reason;
pub(crate) use response::{Respond, Responder};

/// The rejection of a request: the reason, the resource, and how long the request was queued.
///
/// The HTTP [response](Self::response) is a `503` with the JSON body
/// `{"detail":"Server busy, please retry later"}`, and with the header `retry-after` if the time is
/// [known](Self::retry_after).
/// [`LimiterBuilder::on_reject`](crate::limiter::LimiterBuilder::on_reject) sets another one. The
/// response to a gRPC request is [`grpc_response`](Self::grpc_response), with the status
/// `UNAVAILABLE` or `RESOURCE_EXHAUSTED`. The layer inserts the rejection into the extensions of
/// the response, for logs and metrics outside of the limiter.
///
/// With the feature `axum` (on by default) it implements `IntoResponse`, so that a handler can
/// return the same response from `limiter.acquire([&db]).await?`.
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

    /// Returns the reason.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// Returns `true` if a [rate](crate::Rate) of the resource did not admit the request when it
    /// was rejected, because its time was over or the queue was full. Returns `false` for a request
    /// that was [shed](Reason::Shed), where this is not known.
    pub fn is_rate_limited(&self) -> bool {
        self.by_rate
    }

    /// Returns the name of the resource that was not available; of a set, the first of them.
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// Returns how long the request was queued; zero if it was rejected on arrival.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// Returns the time after which to retry, if it is known. The response has it in the header
    /// `retry-after`, in whole seconds, rounded up. It is the longer of two times:
    ///
    /// * The time in which the queue drains, at the pace at which waiting requests have been
    ///   admitted lately, plus up to a fifth, and at most 30 s.
    /// * The time until the rates of the resource admit the request. It has no upper bound. If a
    ///   rate rejects several requests, the first gets just that time. The others are spread over
    ///   the time that the rate needs for all of them, up to the same time again, or 10 s if that
    ///   is longer.
    ///
    /// Both are scattered so that clients do not retry all at once.
    ///
    /// The pace is measured while requests wait, in short busy periods as well as in long ones. It
    /// is known after one second of waiting in all, or after twice as many admissions of waiting
    /// requests as the limit (at least eight). It is unknown again if none has been admitted for 5
    /// s (at a slow resource, for twice the time between admissions), or if the limit is raised by
    /// more than a quarter. A closed limiter returns `None`.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Sets the time after which to retry, for a policy that knows it.
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
