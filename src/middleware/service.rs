//! The limited service.

use std::{
    fmt,
    marker::PhantomData,
    mem,
    sync::Arc,
    task::{Context, Poll},
};

use tower_service::Service;

use super::{
    future::ResponseFuture,
    held::Held,
    rejection_policy::DefaultRejection,
    release::{OnBodyEnd, Release},
    route::Route,
};
use crate::{
    admission::Claims,
    gate::{Claimant, Granted},
    limiter::{Terms, Turn, enter_now},
};

/// A service limited by a set of resources. Created by
/// [`ConcurrencyLimitLayer`](crate::ConcurrencyLimitLayer).
// The compiler prints the next line where a method such as `call` or `oneshot` cannot be called.
#[rustfmt::skip]
pub struct ConcurrencyLimit<S, R = OnBodyEnd, P = DefaultRejection> { // error of `S` not `From<Rejection>`? add `.wrap_errors()`
    inner: S,
    route: Arc<Route>,
    policy: P,
    release: PhantomData<R>,
}

impl<S, R, P> ConcurrencyLimit<S, R, P> {
    pub(super) fn new(inner: S, route: Arc<Route>, policy: P) -> Self {
        Self {
            inner,
            route,
            policy,
            release: PhantomData,
        }
    }

    /// Returns a reference to the inner service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Returns a mutable reference to the inner service.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Consumes `self`, returning the inner service.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

/// A service that can be limited: every service that is `Clone`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be limited, because it is not `Clone`",
    label = "not `Clone`",
    note = "a queued request keeps a clone of the inner service",
    note = "box it with `tower::util::BoxCloneSyncService` or `BoxCloneService` instead of `BoxService`; or put a `tower::buffer::BufferLayer` between the limit and a service that cannot be cloned"
)]
pub trait InnerService: Clone {}

#[diagnostic::do_not_recommend]
impl<S: Clone> InnerService for S {}

impl<S, Req, R, P> Service<Req> for ConcurrencyLimit<S, R, P>
where
    S: Service<Req> + InnerService,
    R: Release<Req, S::Response, S::Error, P>,
    P: Clone,
{
    type Response = R::Response;
    type Error = R::Error;
    type Future = ResponseFuture<S, Req, R, P>;

    /// Ready when the inner service is. Acquires nothing, because the call may never follow.
    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(R::fail)
    }

    #[inline]
    fn call(&mut self, request: Req) -> Self::Future {
        if self.route.is_plain() && self.route.set.try_enter() {
            let held = Held::set(Arc::clone(&self.route), None);
            let _watch = held.watch();
            return ResponseFuture::running(self.inner.call(request), held);
        }
        self.call_with_care(request)
    }
}

impl<S, R, P> ConcurrencyLimit<S, R, P> {
    /// Calls a route with options, or whose set was not free at the first try.
    #[cold]
    fn call_with_care<Req>(&mut self, mut request: Req) -> ResponseFuture<S, Req, R, P>
    where
        S: Service<Req> + Clone,
        R: Release<Req, S::Response, S::Error, P>,
        P: Clone,
    {
        let route = &self.route;
        let (mut bypass, mut claims, mut deadline) = (false, Claims::default(), None);
        if let (Some(options), Some(head)) = (&route.options, R::head(&request)) {
            bypass = options.bypass(&head);
            claims = options.claims(&head, route.set.is_shared());
            deadline = options.deadline(&head);
        }
        let granted = match bypass {
            true => None,
            false => self.try_enter(claims),
        };
        if bypass || granted.is_some() {
            let held = Held::expose_if(
                route.expose.is_some(),
                claims.load,
                granted,
                R::extensions(&mut request),
            );
            let _watch = held.watch();
            return ResponseFuture::running(self.inner.call(request), held);
        }
        // The inner service's readiness may reserve a slot, which other requests can use while this one
        // waits.
        let unready = self.inner.clone();
        drop(mem::replace(&mut self.inner, unready));
        claims.or_never = deadline.is_some();
        let gate = route.set.gate();
        let arrived = gate.now();
        let timeout = deadline.map_or(route.timeout, |deadline| deadline.min(route.timeout));
        let terms = Terms {
            claims,
            timeout,
            max_waiting: route.max_waiting,
            arrived: Some(arrived),
        };
        let times = (arrived, gate.deadline(arrived, timeout));
        let turn = Turn::Arriving(Arc::clone(route), terms);
        ResponseFuture::waiting(
            turn,
            claims.load,
            times,
            self.inner.clone(),
            request,
            self.policy.clone(),
        )
    }
}

impl<S, R, P> ConcurrencyLimit<S, R, P> {
    /// Acquires the set if it is free, unless `call` has tried that already.
    fn try_enter(&self, claims: Claims) -> Option<Granted<Arc<Route>>> {
        let route = &self.route;
        if route.set.is_remembered() {
            return enter_now(Arc::clone(route), claims, route.max_waiting).ok();
        }
        (!route.is_plain() && route.set.try_enter()).then(|| (Arc::clone(route), None))
    }
}

impl<S: Clone, R, P: Clone> Clone for ConcurrencyLimit<S, R, P> {
    #[inline]
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            route: Arc::clone(&self.route),
            policy: self.policy.clone(),
            release: PhantomData,
        }
    }
}

impl<S: fmt::Debug, R, P> fmt::Debug for ConcurrencyLimit<S, R, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConcurrencyLimit")
            .field("inner", &self.inner)
            .field("resources", &self.route.set.names())
            .finish_non_exhaustive()
    }
}
