//! What the requests of a route say of themselves.

use std::{sync::Arc, time::Duration};

use super::{
    ConcurrencyLimitLayer, RequestHead, ResponseHead,
    ending::{AtHead, UntilBodyEnd},
};
use crate::{adaptive::Outcome, admission::Claims, permit::Exposure, resource::LaneKey};

/// What is read from each request, and from its response. Each of them is optional.
#[derive(Clone, Default)]
pub(super) struct Asks {
    bypass: Option<Ask<bool>>,
    priority: Option<Ask<i64>>,
    lane: Option<Arc<AskLane>>,
    load: Option<Ask<u64>>,
    deadline: Option<Ask<Option<Duration>>>,
    classify: Option<Arc<Classify>>,
}

type Classify = dyn Fn(Option<&ResponseHead<'_>>) -> Outcome + Send + Sync;

type Ask<T> = Arc<dyn Fn(&RequestHead<'_>) -> T + Send + Sync>;

/// The key may borrow from the head.
type AskLane = dyn for<'a> Fn(&RequestHead<'a>) -> LaneKey<'a> + Send + Sync;

impl Asks {
    /// Whether a request goes past the limit.
    pub(super) fn bypass(&self, head: &RequestHead<'_>) -> bool {
        self.bypass.as_ref().is_some_and(|bypass| bypass(head))
    }

    /// What it says of itself, and whether its set has a resource that is shared between processes.
    pub(super) fn claims(&self, head: &RequestHead<'_>, is_shared: bool) -> Claims {
        let mut claims = Claims::default();
        if let Some(priority) = &self.priority {
            claims.priority = priority(head).clamp(0, u8::MAX.into()) as u8;
        }
        if let Some(lane) = &self.lane {
            lane(head).claim(&mut claims, is_shared);
        }
        if let Some(load) = &self.load {
            claims.load = load(head);
        }
        claims
    }

    /// How long it has, if it says so.
    pub(super) fn deadline(&self, head: &RequestHead<'_>) -> Option<Duration> {
        self.deadline.as_ref()?(head)
    }

    /// How its work went.
    pub(super) fn outcome(&self, head: Option<&ResponseHead<'_>>) -> Outcome {
        let classify = self.classify.as_ref();
        classify.map_or(Outcome::Success, |classify| classify(head))
    }
}

/// A call that speaks HTTP, so that its requests can be asked.
///
/// Implemented by the endings of this crate that do.
pub trait Http: super::ending::Sealed {}

impl<R> Http for UntilBodyEnd<R> {}
impl<R> Http for AtHead<R> {}

/// What the requests of the route say of themselves. Setting one of these again replaces it.
impl<E: Http> ConcurrencyLimitLayer<E> {
    fn ask(mut self, set: impl FnOnce(&mut Asks)) -> Self {
        set(self.route_mut().asks.get_or_insert_default());
        self
    }

    /// Lets requests past the limit: `bypass` says which. They wait for nothing and hold nothing.
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
        self.ask(|asks| asks.bypass = Some(Arc::new(bypass)))
    }

    /// How urgent a request is, 0 to 255; what is outside is clamped. Higher first, for as long as the
    /// others may wait; default 10. See
    /// [`LimiterBuilder::priority_credit`](crate::limiter::LimiterBuilder::priority_credit) for a bound
    /// on how long others can be overtaken.
    ///
    /// Who may say so is up to the closure: trust a header only from clients that you trust.
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
    pub fn priority<F>(self, priority: F) -> Self
    where
        F: Fn(&RequestHead<'_>) -> i64 + Send + Sync + 'static,
    {
        self.ask(|asks| asks.priority = Some(Arc::new(priority)))
    }

    /// Which lane a request is in, at each resource of the set that has [lanes](crate::Lanes): the name of a
    /// declared one, or a key.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tower_concurrency_limiter::{Lanes, Limiter, Resource};
    /// let api = Resource::builder("api").concurrency(20).lanes(Lanes::keyed(1_000)).build();
    /// # let limiter = Limiter::new(Duration::from_secs(5), [&api]);
    /// let layer = limiter.resources([&api]).lane(|request| request.headers().get("x-tenant").into());
    /// ```
    pub fn lane<F>(self, lane: F) -> Self
    where
        F: for<'a> Fn(&RequestHead<'a>) -> LaneKey<'a> + Send + Sync + 'static,
    {
        self.ask(|asks| asks.lane = Some(Arc::new(lane)))
    }

    /// What a request counts as under [load rates](crate::resource::ResourceBuilder::load_rate): tokens,
    /// bytes or rows. Default: 1. More than passes in a whole period counts as that.
    ///
    /// For an estimate, [expose the permit](Self::expose_permit), and have the handler correct it by
    /// [`Permit::settle_load`](crate::Permit::settle_load).
    pub fn load<F>(self, load: F) -> Self
    where
        F: Fn(&RequestHead<'_>) -> u64 + Send + Sync + 'static,
    {
        self.ask(|asks| asks.load = Some(Arc::new(load)))
    }

    /// How long a request has, where it says so; never longer than the timeout of the route. It is
    /// rejected on arrival, with [`Reason::WouldTimeOut`](crate::Reason::WouldTimeOut), if those before it in
    /// the queue will keep it longer than that; see
    /// [`AcquireRequest::fail_fast_deadline`](crate::limiter::AcquireRequest::fail_fast_deadline) for what that takes into account.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tower_concurrency_limiter::{Limiter, Resource};
    /// # let db = Resource::new("db", 5);
    /// # let limiter = Limiter::new(Duration::from_secs(5), [&db]);
    /// let layer = limiter.resources([&db]).deadline(|request| {
    ///     let millis = request.headers().get("x-timeout-ms")?.to_str().ok()?.parse().ok()?;
    ///     Some(Duration::from_millis(millis))
    /// });
    /// ```
    pub fn deadline<F>(self, deadline: F) -> Self
    where
        F: Fn(&RequestHead<'_>) -> Option<Duration> + Send + Sync + 'static,
    {
        self.ask(|asks| asks.deadline = Some(Arc::new(deadline)))
    }

    /// Sets how the work went, by the head of the response (`None` if the service failed), for
    /// resources with an [adaptive](crate::adaptive) limit. Default: [`Outcome::Success`]. Requests
    /// that are dropped before their response count as [`Outcome::Dropped`].
    ///
    /// gRPC answers failures with status 200. If nothing was streamed, its own status is in the head:
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
    ///         (_, Some(code)) if code == "14" || code == "8" => Outcome::Overload, // unavailable, exhausted
    ///         (_, Some(code)) if code == "3" => Outcome::Ignore, // invalid argument
    ///         _ => Outcome::Success,
    ///     }
    /// });
    /// ```
    ///
    /// A status in the trailers of a body comes too late for it. A handler that has taken the permit,
    /// by [`expose_permit`](Self::expose_permit), sets the outcome itself.
    pub fn classify<F>(self, classify: F) -> Self
    where
        F: Fn(Option<&ResponseHead<'_>>) -> Outcome + Send + Sync + 'static,
    {
        self.ask(|asks| asks.classify = Some(Arc::new(classify)))
    }

    /// Puts a [`PermitHandle`](crate::PermitHandle) into the request's extensions, so that the handler
    /// can move the permit to work that outlives the request. Costs one allocation per request.
    pub fn expose_permit(mut self) -> Self {
        let route = self.route_mut();
        route.expose = Some(Arc::new(Exposure::new(route.set.names())));
        self
    }
}
