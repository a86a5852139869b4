//! What a route claims, and how it waits.

use std::{fmt, sync::Arc, time::Duration};

use http::Response;
use tower_layer::Layer;

use super::{
    ConcurrencyLimit, Custom, InnerService, OnReject,
    asks::Asks,
    ending::{AnyService, AtHead, IntoError, MapRejection, UntilBodyEnd, WrapErrors},
};
use crate::{
    limiter::{HasSet, InvalidSet, Limiter, ResourceSet, respond_with},
    permit::Exposure,
    rejection::{RefusalBody, Rejection},
    resource::Claim,
};

/// Limits a service by a set of resources. Made by [`Limiter::resources`](crate::Limiter::resources).
///
/// Works in `Router::layer`, `Router::route_layer`, the same on a `MethodRouter`, `Handler::layer`,
/// `ServiceBuilder`, and around a service for hyper. The limit is the resource's: it does not matter
/// how often the layer is cloned or applied.
///
/// The response body carries the permit, so its type changes. Where it has to stay, as in
/// `tower::util::option_layer` and for `axum::serve` around a whole router, use
/// [`release_at_head`](Self::release_at_head), or put `axum::middleware::ResponseAxumBodyLayer` outside
/// of this layer; `axum_extra::middleware::option_layer` does that itself.
///
/// A rejected request gets a `503` with the header `retry-after`, if the time is known; see
/// [`Rejection::retry_after`].
///
/// Put CORS, tracing and metrics layers outside of this one, so that they see rejections too. The page
/// [`guide::placement`](crate::guide::placement) has a table of placements and of other layers.
///
/// # How this differs from its neighbours
///
/// * `tower::limit::ConcurrencyLimit` takes its slot in `poll_ready`, for a service that may never be
///   called; as a layer it makes one limit per route and connection; its wait has no end.
/// * `tower::load_shed` turns away whatever finds the service busy, so that a burst of two is an error.
/// * `tower_http::limit` limits the size of request bodies.
/// * `governor` and other rate limiters count requests over time, not work in flight: they let a slow
///   database drown at the permitted rate.
/// * A connection pool limits one resource for one process, queues without a bound on its length, and
///   knows nothing of the response that still streams.
#[must_use = "a layer does nothing until it is applied"]
pub struct ConcurrencyLimitLayer<E = UntilBodyEnd> {
    pub(super) route: Arc<Route>,
    pub(super) ending: E,
}

/// What all services of one layer share.
#[derive(Clone)]
pub(super) struct Route {
    pub(super) set: ResourceSet,
    pub(super) timeout: Duration,
    pub(super) max_waiting: Option<usize>,
    pub(super) asks: Option<Asks>,
    /// If the permit is to be exposed.
    pub(super) expose: Option<Arc<Exposure>>,
}

impl Route {
    /// Whether all that a request does is to claim the set.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        self.asks.is_none() && self.expose.is_none()
    }
}

impl HasSet for Arc<Route> {
    #[inline]
    fn set(&self) -> &ResourceSet {
        &self.set
    }
}

impl Limiter {
    /// A layer whose requests each claim this set: all of it, or they wait.
    ///
    /// The set is an array or iterator of resources, `[&db, &fs]`, or of claims,
    /// `[db.units(1), fs.units(2)]`, but not of both.
    ///
    /// ```
    /// # #[cfg(feature = "axum")] {
    /// use std::time::Duration;
    /// use axum::{Router, routing::get};
    /// use tower_concurrency_limiter::{Limiter, Resource};
    ///
    /// let db = Resource::new("db", 5);
    /// let fs = Resource::new("fs", 10);
    /// let limiter = Limiter::new(Duration::from_secs(5), [&db, &fs]);
    ///
    /// let app: Router = Router::new()
    ///     .route("/messages", get(|| async { "rows" }).route_layer(limiter.resources([&db])))
    ///     .route("/both", get(|| async { "both" }).route_layer(limiter.resources([&db, &fs])));
    /// // the sixth concurrent request to /messages waits up to 5 s, then gets 503
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// If the set is empty, names a resource twice or one of another limiter, claims 0 units, more
    /// than the limit or more than the floor of an adaptive one, or is out of order (see
    /// [`allow_any_order`](crate::limiter::LimiterBuilder::allow_any_order)).
    #[track_caller]
    pub fn resources<I>(&self, set: I) -> ConcurrencyLimitLayer
    where
        I: IntoIterator,
        I::Item: Into<Claim>,
    {
        match self.try_resources(set) {
            Ok(layer) => layer,
            Err(error) => panic!("{error}"),
        }
    }

    /// The same for a set that is not known to be right, say from configuration.
    ///
    /// # Errors
    ///
    /// Where [`resources`](Self::resources) panics.
    pub fn try_resources<I>(&self, set: I) -> Result<ConcurrencyLimitLayer, InvalidSet>
    where
        I: IntoIterator,
        I::Item: Into<Claim>,
    {
        let set = self.set(set)?;
        Ok(ConcurrencyLimitLayer {
            route: Arc::new(Route {
                timeout: set.limiter().timeout,
                set,
                max_waiting: None,
                asks: None,
                expose: None,
            }),
            ending: UntilBodyEnd::default(),
        })
    }
}

impl<E> ConcurrencyLimitLayer<E> {
    /// How long requests of this route may be queued, instead of the timeout of the limiter. With zero,
    /// what does not fit is rejected at once, with [`Reason::NotNow`](crate::Reason::NotNow); resources that
    /// are shared between processes are asked for once.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.route_mut().timeout = timeout;
        self
    }

    /// Turns requests of this route away when as many requests, of whatever route, are queued at one of
    /// its resources; instead of what the resources say. 0 means that nobody waits. As there, a higher
    /// priority takes the place of a lower one.
    pub fn max_waiting(mut self, requests: usize) -> Self {
        self.route_mut().max_waiting = Some(requests);
        self
    }

    pub(super) fn route_mut(&mut self) -> &mut Route {
        Arc::make_mut(&mut self.route)
    }

    fn ending<T>(self, ending: impl FnOnce(E) -> T) -> ConcurrencyLimitLayer<T> {
        ConcurrencyLimitLayer {
            route: self.route,
            ending: ending(self.ending),
        }
    }
}

/// For HTTP, with the permit held until the response body has ended.
///
/// A client that reads slowly holds a streamed response, and so its permit, for as long as it likes; the
/// [guide](crate::guide::slow_peers) says what to do where that matters.
impl<R> ConcurrencyLimitLayer<UntilBodyEnd<R>> {
    /// Returns the permit with the response head instead of the end of its body: where the resource
    /// has done its part once the handler returns.
    ///
    /// The response type stays the inner service's. For a rejection its body has to be made from
    /// `bytes::Bytes`; where that is impossible, pass a policy that makes the response:
    /// [`reject_with`](ConcurrencyLimitLayer::reject_with).
    pub fn release_at_head(self) -> ConcurrencyLimitLayer<AtHead<R>> {
        self.ending(|UntilBodyEnd(reject)| AtHead(reject))
    }

    /// Sets the response to rejected requests of this route, instead of the limiter's.
    ///
    /// The body is bytes, text or a body whose data is there at once; see
    /// [`RefusalBody`](crate::rejection::RefusalBody). The [limiter's
    /// method](crate::limiter::LimiterBuilder::on_reject) takes the same closures. For the request, or
    /// for a body that streams, see [`reject_with`](Self::reject_with).
    ///
    /// ```
    /// # #[cfg(feature = "axum")] {
    /// # use std::time::Duration;
    /// # use axum::response::IntoResponse;
    /// # use tower_concurrency_limiter::{Limiter, Resource};
    /// # let db = Resource::new("db", 5);
    /// # let limiter = Limiter::new(Duration::from_secs(5), [&db]);
    /// let layer = limiter
    ///     .resources([&db])
    ///     .on_reject(|rejection| (http::StatusCode::TOO_MANY_REQUESTS, rejection.to_string()).into_response());
    /// # }
    /// ```
    pub fn on_reject<F, B, M>(self, respond: F) -> ConcurrencyLimitLayer<UntilBodyEnd<OnReject>>
    where
        F: Fn(Rejection) -> Response<B> + Send + Sync + 'static,
        B: RefusalBody<M>,
    {
        self.ending(|_| UntilBodyEnd(OnReject(respond_with(respond))))
    }

    /// Sets a policy for rejected requests, which sees the request, and whose responses have the inner
    /// service's body; see [`Reject`](super::Reject).
    pub fn reject_with<P>(self, policy: P) -> ConcurrencyLimitLayer<UntilBodyEnd<Custom<P>>> {
        self.ending(|_| UntilBodyEnd(Custom(policy)))
    }
}

/// For HTTP or, still, for anything else.
impl ConcurrencyLimitLayer<UntilBodyEnd> {
    /// For services that do not speak HTTP: the permit is returned with the response, and a rejection
    /// is an error of the service, where that is `From<Rejection>`.
    ///
    /// For other error types see [`on_reject`](ConcurrencyLimitLayer::on_reject),
    /// [`map_rejection`](ConcurrencyLimitLayer::map_rejection) and
    /// [`wrap_errors`](ConcurrencyLimitLayer::wrap_errors) on the result. Whatever was to be told to
    /// rejected requests is said there too, so a layer with a policy for HTTP does not have this method.
    ///
    /// Under axum, whose services never fail, that is `on_reject`, or `wrap_errors` below a
    /// `HandleErrorLayer`.
    ///
    /// # Panics
    ///
    /// After [`bypass`](Self::bypass), [`expose_permit`](Self::expose_permit) or another method that needs
    /// HTTP requests.
    #[track_caller]
    pub fn for_any_service(self) -> ConcurrencyLimitLayer<AnyService> {
        assert!(
            self.route.asks.is_none() && self.route.expose.is_none(),
            "`.bypass(..)`, `.priority(..)` and the like, and `.expose_permit()` need HTTP requests; leave \
             them out with `.for_any_service()`"
        );
        self.ending(|_| AnyService(IntoError))
    }
}

/// For HTTP, with the permit returned with the response head.
impl<R> ConcurrencyLimitLayer<AtHead<R>> {
    /// Sets the response to rejected requests of this route, instead of the limiter's, as
    /// [above](ConcurrencyLimitLayer::on_reject). The inner service's body has to be made from
    /// `bytes::Bytes`.
    pub fn on_reject<F, B, M>(self, respond: F) -> ConcurrencyLimitLayer<AtHead<OnReject>>
    where
        F: Fn(Rejection) -> Response<B> + Send + Sync + 'static,
        B: RefusalBody<M>,
    {
        self.ending(|_| AtHead(OnReject(respond_with(respond))))
    }

    /// Sets a policy for rejected requests, which sees the request, and whose responses have the inner
    /// service's body; see [`Reject`](super::Reject).
    pub fn reject_with<P>(self, policy: P) -> ConcurrencyLimitLayer<AtHead<Custom<P>>> {
        self.ending(|_| AtHead(Custom(policy)))
    }
}

/// For any service, with the permit returned with the response.
impl<R> ConcurrencyLimitLayer<AnyService<R>> {
    /// What rejected requests are told: a value of the service's response type.
    pub fn on_reject<F, Res>(self, respond: F) -> ConcurrencyLimitLayer<AnyService<Custom<F>>>
    where
        F: Fn(Rejection) -> Res,
    {
        self.reject_with(respond)
    }

    /// The same by a policy that sees the request; see [`Reject`](super::Reject).
    pub fn reject_with<P>(self, policy: P) -> ConcurrencyLimitLayer<AnyService<Custom<P>>> {
        self.ending(|_| AnyService(Custom(policy)))
    }

    /// What error a rejection becomes.
    pub fn map_rejection<F, Err>(
        self,
        into_error: F,
    ) -> ConcurrencyLimitLayer<AnyService<MapRejection<F>>>
    where
        F: Fn(Rejection) -> Err,
    {
        self.ending(|_| AnyService(MapRejection(into_error)))
    }

    /// Makes the error a [`LimitError`](super::ending::LimitError), which is a rejection or the
    /// service's own error: where that is somebody else's type.
    pub fn wrap_errors(self) -> ConcurrencyLimitLayer<AnyService<WrapErrors>> {
        self.ending(|_| AnyService(WrapErrors))
    }
}

impl<S: InnerService, E: Clone> Layer<S> for ConcurrencyLimitLayer<E> {
    type Service = ConcurrencyLimit<S, E>;

    fn layer(&self, inner: S) -> Self::Service {
        ConcurrencyLimit::new(inner, self)
    }
}

impl<E: Clone> Clone for ConcurrencyLimitLayer<E> {
    fn clone(&self) -> Self {
        Self {
            route: Arc::clone(&self.route),
            ending: self.ending.clone(),
        }
    }
}

impl<E> fmt::Debug for ConcurrencyLimitLayer<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConcurrencyLimitLayer")
            .field("resources", &self.route.set.names())
            .field("timeout", &self.route.timeout)
            .finish_non_exhaustive()
    }
}
