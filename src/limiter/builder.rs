//! The builder of a limiter.

use std::{borrow::Borrow, collections::HashSet, fmt, sync::Arc, time::Duration};

use http::Response;

use super::{
    DEFAULT_MAX_WAITING, DEFAULT_TIMEOUT, InvalidLimiter, Limiter, LimiterInner,
    error::LimiterFault, respond_with,
};
use crate::{
    core::Gate,
    rejection::{RefusalBody, Rejection, Responder},
    resource::Resource,
};

/// Builds a [`Limiter`].
///
/// ```
/// use std::time::Duration;
/// use tower_concurrency_limiter::{Limiter, Resource};
///
/// let db = Resource::new("db", 5);
/// let limiter = Limiter::builder()
///     .timeout(Duration::from_secs(2)) // clients of this service give up after 3 s
///     .max_waiting(200)
///     .resources([&db])
///     .build();
/// ```
#[must_use = "a builder does nothing until `.build()`"]
pub struct LimiterBuilder {
    timeout: Duration,
    max_waiting: usize,
    credit: Option<Duration>,
    resources: Vec<Resource>,
    allows_any_order: bool,
    responder: Responder,
}

impl LimiterBuilder {
    pub(super) fn new() -> Self {
        Self {
            timeout: DEFAULT_TIMEOUT,
            max_waiting: DEFAULT_MAX_WAITING,
            credit: None,
            resources: Vec::new(),
            allows_any_order: false,
            responder: Responder::default(),
        }
    }

    /// Sets how long a request can be queued. Default: [`DEFAULT_TIMEOUT`].
    ///
    /// Choose it below the time after which clients give up. If it is zero, requests that cannot be
    /// admitted at once are rejected with [`Reason::NotNow`](crate::Reason::NotNow).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how many requests can be queued at each resource that does not set its own
    /// [`max_waiting`](crate::resource::ResourceBuilder::max_waiting), which describes what happens
    /// beyond. Default: [`DEFAULT_MAX_WAITING`]. A request for a set counts at each of its
    /// resources.
    pub fn max_waiting(mut self, requests: usize) -> Self {
        self.max_waiting = requests;
        self
    }

    /// Sets how long a request can be overtaken by requests of higher priority. After waiting for
    /// the credit, it is *aged*: aged requests are served before all others of their lane, in order
    /// of arrival. Default: none; requests of higher priority are served first, until the deadline
    /// of the others.
    ///
    /// If the queueing delay is longer than the credit, every waiting request is aged, and a
    /// request of high priority waits behind all of them. To bound what low priorities lose, give
    /// the high ones a [lane](crate::Lanes) with a `max`, or the low ones a
    /// [reserve](crate::resource::ResourceBuilder::reserve). Requests do not age while [overload
    /// control](crate::Overload) finds the queue standing. With a credit of zero, priorities decide
    /// only which request a full queue sheds.
    pub fn priority_credit(mut self, credit: Duration) -> Self {
        self.credit = Some(credit);
        self
    }

    /// Rejects requests with `429 Too Many Requests` instead of 503 if a [rate](crate::Rate) did
    /// not admit them in time, or filled the queue, or if they waited behind a request that a
    /// rate did not admit; see [`Rejection::is_rate_limited`]. Use it if a rate is a quota of the
    /// clients, and not the capacity of the server.
    ///
    /// The body is `{"detail":"Too many requests, please retry later"}`. For a 429 without waiting,
    /// set a [timeout](Self::timeout) of zero.
    pub fn reject_with_too_many_requests(mut self) -> Self {
        self.responder.enable_429();
        self
    }

    /// Adds resources. Their order is the canonical order, in which sets list them.
    pub fn resources<I>(mut self, resources: I) -> Self
    where
        I: IntoIterator,
        I::Item: Borrow<Resource>,
    {
        self.resources
            .extend(resources.into_iter().map(|r| r.borrow().clone()));
        self
    }

    /// Allows sets to list their resources in any order. Default: only in the order of
    /// [`resources`](Self::resources).
    ///
    /// A set is granted as a whole, so its order has no effect. The default demands one because
    /// code in which every set has the same order stays free of deadlocks if it is changed to
    /// acquire one resource after the other.
    pub fn allow_any_order(mut self) -> Self {
        self.allows_any_order = true;
        self
    }

    /// Sets the response to rejected HTTP requests, instead of the 503. It applies to every layer
    /// of this limiter without a response of its own, and to [`Rejection::response`].
    ///
    /// The body is bytes, text or a body whose data is available at once; see
    /// [`RefusalBody`](crate::rejection::RefusalBody). The [layer's
    /// method](crate::ConcurrencyLimitLayer::on_reject) takes the same closures.
    ///
    /// gRPC requests get this response too, and a client reports any other than a gRPC response as
    /// a protocol error. Start from [`Rejection::response`] or [`Rejection::problem_response`],
    /// which return a gRPC response to a gRPC request.
    ///
    /// ```
    /// use http::{Response, StatusCode};
    /// use tower_concurrency_limiter::{Limiter, Rejection, Resource};
    ///
    /// let db = Resource::new("db", 5);
    /// let limiter = Limiter::builder()
    ///     .resources([&db])
    ///     .on_reject(|rejection: Rejection| {
    ///         let mut response = Response::new(format!("{} is busy", rejection.resource()));
    ///         *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    ///         response
    ///     })
    ///     .build();
    /// ```
    ///
    /// With axum, any value that a handler can return:
    ///
    /// ```
    /// # #[cfg(feature = "axum")] {
    /// use axum::{http::StatusCode, response::IntoResponse};
    /// # use tower_concurrency_limiter::{Limiter, Resource};
    ///
    /// # let db = Resource::new("db", 5);
    /// let limiter = Limiter::builder()
    ///     .resources([&db])
    ///     .on_reject(|rejection| {
    ///         (StatusCode::SERVICE_UNAVAILABLE, rejection.to_string()).into_response()
    ///     })
    ///     .build();
    /// # }
    /// ```
    pub fn on_reject<F, B, M>(mut self, respond: F) -> Self
    where
        F: Fn(Rejection) -> Response<B> + Send + Sync + 'static,
        B: RefusalBody<M>,
    {
        self.responder.set_response(respond_with(respond));
        self
    }

    /// Builds the limiter.
    ///
    /// # Panics
    ///
    /// If [`try_build`](Self::try_build) returns an error, with its message.
    #[track_caller]
    pub fn build(self) -> Limiter {
        match self.try_build() {
            Ok(limiter) => limiter,
            Err(error) => panic!("{error}"),
        }
    }

    /// Builds the limiter.
    ///
    /// # Errors
    ///
    /// If there is no resource, if two have the same name, if one is registered with another
    /// limiter, or if the settings of one cannot be shared between processes.
    pub fn try_build(self) -> Result<Limiter, InvalidLimiter> {
        if self.resources.is_empty() {
            return Err(InvalidLimiter(LimiterFault::NoResources));
        }
        let mut names = HashSet::with_capacity(self.resources.len());
        let mut resources = self.resources.iter();
        if let Some(repeated) = resources.find(|resource| !names.insert(resource.name())) {
            let name = Arc::clone(repeated.shared_name());
            return Err(InvalidLimiter(LimiterFault::RepeatedName(name)));
        }
        for (index, resource) in self.resources.iter().enumerate() {
            if !resource.usage().register(index as u32) {
                for registered in &self.resources[..index] {
                    registered.usage().unregister();
                }
                let name = Arc::clone(resource.shared_name());
                return Err(InvalidLimiter(LimiterFault::Taken(name)));
            }
        }
        let mut gate = Gate::new(self.resources, self.max_waiting, self.credit);
        gate.open(self.max_waiting, self.credit)
            .map_err(|(name, fault)| InvalidLimiter(LimiterFault::Shared { name, fault }))?;
        let gate = Arc::new(gate);
        gate.attach();
        Ok(Limiter(Arc::new(LimiterInner {
            gate,
            timeout: self.timeout,
            allows_any_order: self.allows_any_order,
            responder: self.responder,
        })))
    }
}

impl fmt::Debug for LimiterBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LimiterBuilder")
            .field("timeout", &self.timeout)
            .field("max_waiting", &self.max_waiting)
            .field("priority_credit", &self.credit)
            .field("resources", &self.resources)
            .field("allows_any_order", &self.allows_any_order)
            .finish_non_exhaustive()
    }
}
