//! The methods of the layer that read attributes of each request.

use std::{sync::Arc, time::Duration};

use super::{
    head::{RequestHead, ResponseHead},
    layer::ConcurrencyLimitLayer,
    release::Http,
    route::RouteOptions,
};
use crate::{
    adaptive::Outcome,
    permit::Exposure,
    resource::{LaneKey, Priority},
};

/// # Attributes of each request, for HTTP services
///
/// The closures get the [head](RequestHead) of the request. If a method is called more than once,
/// the last call wins.
impl<R: Http, P> ConcurrencyLimitLayer<R, P> {
    fn option(mut self, set: impl FnOnce(&mut RouteOptions)) -> Self {
        set(self.route_mut().options.get_or_insert_default());
        self
    }

    /// Sets which requests bypass the limit. They neither wait nor hold a permit.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tower_concurrency_limiter::{Limiter, Resource};
    /// # let db = Resource::new("db", 5);
    /// # let limiter = Limiter::new(Duration::from_secs(5), [&db]);
    /// let layer = limiter.resources([&db]).bypass(|request| request.uri().path() == "/health");
    /// ```
    pub fn bypass<F>(self, bypass: F) -> Self
    where
        F: Fn(&RequestHead<'_>) -> bool + Send + Sync + 'static,
    {
        self.option(|options| options.bypass = Some(Arc::new(bypass)))
    }

    /// Sets the priority of each request. Higher priorities are admitted first. Default:
    /// [`Priority::DEFAULT`]. For a number that may be out of range, such as one from a header, use
    /// [`Priority::clamped`].
    ///
    /// [`LimiterBuilder::priority_credit`](crate::limiter::LimiterBuilder::priority_credit) bounds
    /// how long a request can be overtaken by higher priorities.
    ///
    /// Clients that control a header will always send the highest priority: read it from a header
    /// only if you trust the client.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tower_concurrency_limiter::{Limiter, Resource};
    /// # let db = Resource::new("db", 5);
    /// # let limiter = Limiter::new(Duration::from_secs(5), [&db]);
    /// let layer = limiter.resources([&db]).priority(|request| match request.uri().path() {
    ///     "/checkout" => 100,
    ///     _ => 10,
    /// });
    /// ```
    pub fn priority<F, T>(self, priority: F) -> Self
    where
        F: Fn(&RequestHead<'_>) -> T + Send + Sync + 'static,
        T: Into<Priority>,
    {
        self.option(|options| {
            options.priority = Some(Arc::new(move |head: &RequestHead<'_>| {
                priority(head).into()
            }))
        })
    }

    /// Sets the lane of each request, at every resource of the set that has [lanes](crate::Lanes):
    /// the name of a declared lane, or a key.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tower_concurrency_limiter::{Lanes, Limiter, Resource};
    /// let api = Resource::builder("api").concurrency(20).lanes(Lanes::keyed(1_000)).build();
    /// # let limiter = Limiter::new(Duration::from_secs(5), [&api]);
    /// let layer = limiter
    ///     .resources([&api])
    ///     .lane(|request| request.headers().get("x-tenant").into());
    /// ```
    pub fn lane<F>(self, lane: F) -> Self
    where
        F: for<'a> Fn(&RequestHead<'a>) -> LaneKey<'a> + Send + Sync + 'static,
    {
        self.option(|options| options.lane = Some(Arc::new(lane)))
    }

    /// Sets the load of each request under [load
    /// rates](crate::resource::ResourceBuilder::load_rate): tokens, bytes or rows. Values above the
    /// rate's capacity are clamped to it. Default: 1.
    ///
    /// If the load is known only afterwards, return an estimate here,
    /// [expose the permit](Self::expose_permit), and correct it in the handler with
    /// [`Permit::settle_load`](crate::Permit::settle_load).
    pub fn load<F>(self, load: F) -> Self
    where
        F: Fn(&RequestHead<'_>) -> u64 + Send + Sync + 'static,
    {
        self.option(|options| options.load = Some(Arc::new(load)))
    }

    /// Sets the deadline of each request, as the time from its arrival, and rejects the request on
    /// arrival if it is expected to queue for longer. `None` sets none. Never extends the
    /// [timeout](Self::timeout) of the route.
    ///
    /// The rejection has [`Reason::WouldTimeOut`](crate::Reason::WouldTimeOut). See
    /// [`AcquireRequest::fail_fast_deadline`](crate::limiter::AcquireRequest::fail_fast_deadline)
    /// for what the estimate includes.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tower_concurrency_limiter::{Limiter, Resource};
    /// # let db = Resource::new("db", 5);
    /// # let limiter = Limiter::new(Duration::from_secs(5), [&db]);
    /// let layer = limiter.resources([&db]).fail_fast_deadline(|request| {
    ///     let millis = request.headers().get("x-timeout-ms")?.to_str().ok()?.parse().ok()?;
    ///     Some(Duration::from_millis(millis))
    /// });
    /// ```
    pub fn fail_fast_deadline<F>(self, deadline: F) -> Self
    where
        F: Fn(&RequestHead<'_>) -> Option<Duration> + Send + Sync + 'static,
    {
        self.option(|options| options.deadline = Some(Arc::new(deadline)))
    }

    /// Sets the outcome of each call for resources with an [adaptive](crate::adaptive) limit, by
    /// the head of the response, or `None` if the service failed. Default: [`Outcome::Success`].
    ///
    /// A request that is dropped before its response has [`Outcome::Dropped`].
    ///
    /// gRPC failures have HTTP status 200. If nothing was streamed, the gRPC status is in the head:
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use http::StatusCode;
    /// # use tower_concurrency_limiter::{Limiter, Resource, adaptive::{Aimd, Outcome}};
    /// # let db = Resource::builder("db").adaptive(Aimd::between(4, 200).build()).build();
    /// # let limiter = Limiter::new(Duration::from_secs(5), [&db]);
    /// let layer = limiter.resources([&db]).classify(|head| {
    ///     let Some(head) = head else {
    ///         return Outcome::Overload;
    ///     };
    ///     match (head.status(), head.headers().get("grpc-status")) {
    ///         (StatusCode::SERVICE_UNAVAILABLE, _) => Outcome::Overload,
    ///         // Unavailable, or exhausted.
    ///         (_, Some(code)) if code == "14" || code == "8" => Outcome::Overload,
    ///         (_, Some(code)) if code == "3" => Outcome::Ignore, // invalid argument
    ///         _ => Outcome::Success,
    ///     }
    /// });
    /// ```
    ///
    /// A status in the trailers of the body is too late to be classified. If the handler has taken
    /// the permit, by [`expose_permit`](Self::expose_permit), it sets the outcome itself.
    pub fn classify<F>(self, classify: F) -> Self
    where
        F: Fn(Option<&ResponseHead<'_>>) -> Outcome + Send + Sync + 'static,
    {
        self.option(|options| options.classify = Some(Arc::new(classify)))
    }

    /// Puts a [`PermitHandle`](crate::PermitHandle) into the request's extensions, so that the
    /// handler can move the permit to work that outlives the request. Costs one allocation per
    /// request.
    pub fn expose_permit(mut self) -> Self {
        let route = self.route_mut();
        route.expose = Some(Arc::new(Exposure::new(route.set.names())));
        self
    }
}
