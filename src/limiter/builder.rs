//! Everything that can be said about a limiter.

use std::{borrow::Borrow, collections::HashSet, fmt, sync::Arc, time::Duration};

use http::Response;

use super::{
    DEFAULT_MAX_WAITING, DEFAULT_TIMEOUT, Inner, InvalidLimiter, Limiter, error::Kind, respond_with,
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

    /// How long a request may be queued. Default: [`DEFAULT_TIMEOUT`].
    ///
    /// Choose it below the patience of the clients. With zero, what does not fit is rejected at
    /// once, with [`Reason::NotNow`](crate::Reason::NotNow).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How many requests may be queued at each resource that does not say so itself. Default:
    /// [`DEFAULT_MAX_WAITING`]. A request that waits for a set counts at each of its resources. See
    /// [`ResourceBuilder::max_waiting`](crate::resource::ResourceBuilder::max_waiting) for who is
    /// turned away then.
    pub fn max_waiting(mut self, requests: usize) -> Self {
        self.max_waiting = requests;
        self
    }

    /// Turns on ageing: a waiter can be overtaken by requests of higher priority for this long
    /// only. After that it is served before every request of its lane that has not waited as long,
    /// in the order of arrival. Default: no ageing; a higher priority goes first for as long as a
    /// waiter's deadline allows it to wait.
    ///
    /// A credit has no effect in a queue that stands longer than it: every waiter has aged by then,
    /// and a request of high priority waits behind all of them. To bound what low priorities lose,
    /// give the high ones a [lane](crate::Lanes) with a `max`, or the low ones a
    /// [reserve](crate::resource::ResourceBuilder::reserve). In [overload mode](crate::Overload)
    /// waiters do not age while the queue stands. Zero leaves priorities one effect: which waiter a
    /// full queue turns away.
    pub fn priority_credit(mut self, credit: Duration) -> Self {
        self.credit = Some(credit);
        self
    }

    /// Answers `429 Too Many Requests` instead of 503 to requests that a [rate](crate::Rate) has
    /// kept past their deadline, or from a place in the queue, or that waited behind one that a
    /// rate has kept: where the rate is what the client was promised, and not what the server can
    /// bear.
    ///
    /// The body is `{"detail":"Too many requests, please retry later"}`. For a 429 at once instead
    /// of a wait, choose a [timeout](Self::timeout) of zero.
    pub fn reject_with_too_many_requests(mut self) -> Self {
        self.responder.answer_429();
        self
    }

    /// Adds resources, in canonical order.
    pub fn resources<I>(mut self, resources: I) -> Self
    where
        I: IntoIterator,
        I::Item: Borrow<Resource>,
    {
        self.resources
            .extend(resources.into_iter().map(|r| r.borrow().clone()));
        self
    }

    /// Accepts sets in any order.
    ///
    /// Sets are granted all together, so their order decides nothing. It is asked for because code
    /// in which every set has one order stays right when somebody takes it apart into single steps.
    pub fn allow_any_order(mut self) -> Self {
        self.allows_any_order = true;
        self
    }

    /// Sets the response to rejected HTTP requests, instead of the 503: of every layer of this
    /// limiter that has no response of its own, and of [`Rejection::response`].
    ///
    /// The body is bytes, text or a body whose data is there at once; see
    /// [`RefusalBody`](crate::rejection::RefusalBody). The [layer's
    /// method](crate::ConcurrencyLimitLayer::on_reject) takes the same closures.
    ///
    /// gRPC requests get this response, too, and their clients report another one than a gRPC
    /// response as a protocol error. Start from [`Rejection::response`], which is right for either,
    /// or use [`Rejection::problem_response`].
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
    /// With axum, whatever a handler may return:
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
        self.responder.answer(respond_with(respond));
        self
    }

    /// Builds the limiter.
    ///
    /// # Panics
    ///
    /// Where [`try_build`](Self::try_build) returns an error, with its message.
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
    /// If there is no resource, if two have the same name, if one belongs to another limiter, or if
    /// one cannot be shared between processes as it is.
    pub fn try_build(self) -> Result<Limiter, InvalidLimiter> {
        if self.resources.is_empty() {
            return Err(InvalidLimiter(Kind::NoResources));
        }
        let mut names = HashSet::with_capacity(self.resources.len());
        let mut resources = self.resources.iter();
        if let Some(repeated) = resources.find(|resource| !names.insert(resource.name())) {
            let name = Arc::clone(repeated.shared_name());
            return Err(InvalidLimiter(Kind::RepeatedName(name)));
        }
        for (index, resource) in self.resources.iter().enumerate() {
            if !resource.usage().register(index as u32) {
                for registered in &self.resources[..index] {
                    registered.usage().unregister();
                }
                let name = Arc::clone(resource.shared_name());
                return Err(InvalidLimiter(Kind::Taken(name)));
            }
        }
        let mut gate = Gate::new(self.resources, self.max_waiting, self.credit);
        gate.open(self.max_waiting, self.credit)
            .map_err(|(name, fault)| InvalidLimiter(Kind::Shared { name, fault }))?;
        let gate = Arc::new(gate);
        gate.attach();
        Ok(Limiter(Arc::new(Inner {
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
