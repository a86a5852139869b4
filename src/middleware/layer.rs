//! The layer: the resources that a route claims, and how its requests wait.

use std::{fmt, marker::PhantomData, sync::Arc, time::Duration};

use http::Response;
use tower_layer::Layer;

use super::{
    rejection_policy::{Custom, DefaultRejection, OnReject},
    release::{Http, OnBodyEnd, OnHead, OnResponse},
    route::Route,
    service::{ConcurrencyLimit, InnerService},
    service_policy::{MapRejection, WrapErrors},
};
use crate::{
    limiter::{InvalidSet, Limiter, respond_with},
    rejection::{RefusalBody, Rejection},
    resource::Claim,
};

/// Limits a service by a set of resources. Created by
/// [`Limiter::resources`](crate::Limiter::resources).
///
/// Works in `Router::layer`, `Router::route_layer`, the same methods of `MethodRouter`,
/// `Handler::layer`, `ServiceBuilder`, and around a service for hyper. The resource holds the
/// limit, so it does not matter how often the layer is cloned or applied.
///
/// `R` is the [release point](super::release): when the permit is returned. `P` is the rejection
/// policy: what a rejected request gets; see [`Reject`](super::Reject).
///
/// By default the response body holds the permit, so its type changes. If it has to stay, as in
/// `tower::util::option_layer` and for `axum::serve` around a whole router, use
/// [`release_at_head`](Self::release_at_head), or put `axum::middleware::ResponseAxumBodyLayer`
/// outside of this layer; `axum_extra::middleware::option_layer` does that itself.
///
/// A rejected request gets a `503`, with the header `retry-after` if the time is known; see
/// [`Rejection::retry_after`].
///
/// Put CORS, tracing and metrics layers outside of this one, so that they see rejections too. The
/// page [`guide::placement`](crate::guide::placement) has a table of placements and of other
/// layers.
///
/// # How this differs from other limits
///
/// * `tower::limit::ConcurrencyLimit` takes its slot in `poll_ready`, for a call that may never
///   follow; used as a layer, it creates one limit per route and connection; its waits have no
///   timeout.
/// * `tower::load_shed` rejects every request that finds the service busy, so a burst of two fails.
/// * `tower_http::limit` limits the size of request bodies.
/// * `governor` and other rate limiters count requests over time, not work in flight: a slow
///   database is overloaded at the permitted rate.
/// * A connection pool limits one resource for one process, has no bound on its queue, and knows
///   nothing of a response that still streams.
#[must_use = "a layer does nothing until it is applied"]
pub struct ConcurrencyLimitLayer<R = OnBodyEnd, P = DefaultRejection> {
    route: Arc<Route>,
    policy: P,
    release: PhantomData<R>,
}

impl Limiter {
    /// Returns a layer that makes each request claim this set. A request acquires the whole set or
    /// waits.
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
    /// If the set is empty, names a resource twice or a resource of another limiter, claims 0
    /// units, more units than the limit or than the floor of an adaptive limit, or is out of order
    /// (see [`allow_any_order`](crate::limiter::LimiterBuilder::allow_any_order)).
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

    /// Returns a layer for a set that may be invalid, as one from a configuration file. Otherwise
    /// as [`resources`](Self::resources).
    ///
    /// # Errors
    ///
    /// If [`resources`](Self::resources) would panic.
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
                options: None,
                expose: None,
            }),
            policy: DefaultRejection,
            release: PhantomData,
        })
    }
}

impl<R, P> ConcurrencyLimitLayer<R, P> {
    /// Sets how long requests of this route may wait. Default: the timeout of the limiter.
    ///
    /// With zero, a request that does not fit is rejected at once, with
    /// [`Reason::NotNow`](crate::Reason::NotNow). Resources that are shared between processes are
    /// asked once.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.route_mut().timeout = timeout;
        self
    }

    /// Rejects requests of this route while this many requests, of any route, are queued at one of
    /// its resources. Overrides the bounds of the resources. With 0 no request of this route waits.
    ///
    /// As with the bound of a resource, a request of higher priority replaces a queued one of lower
    /// priority.
    pub fn max_waiting(mut self, requests: usize) -> Self {
        self.route_mut().max_waiting = Some(requests);
        self
    }

    /// Sets a policy for rejected requests, which gets the request and returns the inner service's
    /// response type; see [`Reject`](super::Reject).
    pub fn reject_with<Q>(self, policy: Q) -> ConcurrencyLimitLayer<R, Custom<Q>> {
        self.with_policy(Custom(policy))
    }

    pub(super) fn route_mut(&mut self) -> &mut Route {
        Arc::make_mut(&mut self.route)
    }

    fn with_release<T>(self) -> ConcurrencyLimitLayer<T, P> {
        ConcurrencyLimitLayer {
            route: self.route,
            policy: self.policy,
            release: PhantomData,
        }
    }

    fn with_policy<Q>(self, policy: Q) -> ConcurrencyLimitLayer<R, Q> {
        ConcurrencyLimitLayer {
            route: self.route,
            policy,
            release: PhantomData,
        }
    }
}

/// # For HTTP services
impl<R: Http, P> ConcurrencyLimitLayer<R, P> {
    /// Sets the response to rejected requests of this route. Overrides the limiter's.
    ///
    /// The body is bytes, text or a body whose data is there at once; see
    /// [`RefusalBody`](crate::rejection::RefusalBody). The [limiter's
    /// method](crate::limiter::LimiterBuilder::on_reject) takes the same closures. For a response
    /// that depends on the request, or has a streamed body, see [`reject_with`](Self::reject_with).
    ///
    /// After [`release_at_head`](Self::release_at_head) the inner service's body has to be made
    /// from `bytes::Bytes`.
    ///
    /// ```
    /// # #[cfg(feature = "axum")] {
    /// # use std::time::Duration;
    /// # use axum::{http::StatusCode, response::IntoResponse};
    /// # use tower_concurrency_limiter::{Limiter, Resource};
    /// # let db = Resource::new("db", 5);
    /// # let limiter = Limiter::new(Duration::from_secs(5), [&db]);
    /// let layer = limiter
    ///     .resources([&db])
    ///     .on_reject(|rejection| (StatusCode::TOO_MANY_REQUESTS, rejection.to_string()).into_response());
    /// # }
    /// ```
    pub fn on_reject<F, B, M>(self, respond: F) -> ConcurrencyLimitLayer<R, OnReject>
    where
        F: Fn(Rejection) -> Response<B> + Send + Sync + 'static,
        B: RefusalBody<M>,
    {
        self.with_policy(OnReject(respond_with(respond)))
    }
}

/// # For HTTP services, with the permit returned when the response body has ended
///
/// A client that reads slowly holds a streamed response, and so its permit, for as long as it
/// likes; see [`guide::slow_peers`](crate::guide::slow_peers).
impl<P> ConcurrencyLimitLayer<OnBodyEnd, P> {
    /// Returns the permit with the response head instead of the end of its body, for resources that
    /// are not used any more once the handler has returned.
    ///
    /// The response type stays the inner service's. By default its body has to be made from
    /// `bytes::Bytes`, for rejections. If it cannot be, set a policy that makes the response with
    /// [`reject_with`](Self::reject_with).
    pub fn release_at_head(self) -> ConcurrencyLimitLayer<OnHead, P> {
        self.with_release()
    }
}

/// # From HTTP services to any service
impl ConcurrencyLimitLayer {
    /// Limits a service that need not be an HTTP service: the permit is returned with the response,
    /// and a rejection becomes an error of the service, by `From<Rejection>`.
    ///
    /// For other error types see [`on_reject`](ConcurrencyLimitLayer::on_reject),
    /// [`map_rejection`](ConcurrencyLimitLayer::map_rejection) and
    /// [`wrap_errors`](ConcurrencyLimitLayer::wrap_errors) on the result. A layer that has a policy
    /// for HTTP does not have this method: set the policy afterwards.
    ///
    /// Services of axum never fail: around them, use `on_reject`, or `wrap_errors` below a
    /// `HandleErrorLayer`.
    ///
    /// # Panics
    ///
    /// After [`bypass`](Self::bypass), [`expose_permit`](Self::expose_permit) or another method
    /// that needs HTTP requests.
    #[track_caller]
    pub fn for_any_service(self) -> ConcurrencyLimitLayer<OnResponse> {
        assert!(
            self.route.is_plain(),
            "`.bypass(..)`, `.priority(..)` and the like, and `.expose_permit()` need HTTP requests; leave \
             them out with `.for_any_service()`"
        );
        self.with_release()
    }
}

/// # For any service, with the permit returned with the response
impl<P> ConcurrencyLimitLayer<OnResponse, P> {
    /// Sets the response to rejected requests: a value of the service's response type.
    pub fn on_reject<F, Res>(self, respond: F) -> ConcurrencyLimitLayer<OnResponse, Custom<F>>
    where
        F: Fn(Rejection) -> Res,
    {
        self.reject_with(respond)
    }

    /// Sets the error that a rejection becomes.
    pub fn map_rejection<F, Err>(
        self,
        into_error: F,
    ) -> ConcurrencyLimitLayer<OnResponse, MapRejection<F>>
    where
        F: Fn(Rejection) -> Err,
    {
        self.with_policy(MapRejection(into_error))
    }

    /// Makes the error a [`LimitError`](super::LimitError), which is either a rejection or the
    /// service's own error, for services with an error type of another crate.
    pub fn wrap_errors(self) -> ConcurrencyLimitLayer<OnResponse, WrapErrors> {
        self.with_policy(WrapErrors)
    }
}

impl<S: InnerService, R, P: Clone> Layer<S> for ConcurrencyLimitLayer<R, P> {
    type Service = ConcurrencyLimit<S, R, P>;

    fn layer(&self, inner: S) -> Self::Service {
        ConcurrencyLimit::new(inner, Arc::clone(&self.route), self.policy.clone())
    }
}

impl<R, P: Clone> Clone for ConcurrencyLimitLayer<R, P> {
    fn clone(&self) -> Self {
        Self {
            route: Arc::clone(&self.route),
            policy: self.policy.clone(),
            release: PhantomData,
        }
    }
}

impl<R, P> fmt::Debug for ConcurrencyLimitLayer<R, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConcurrencyLimitLayer")
            .field("resources", &self.route.set.names())
            .field("timeout", &self.route.timeout)
            .finish_non_exhaustive()
    }
}
