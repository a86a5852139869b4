//! A limited service.

use std::{
    fmt, mem,
    sync::Arc,
    task::{Context, Poll},
};

use tower_service::Service;

use super::{ConcurrencyLimitLayer, Held, ResponseFuture, ending::Ending, layer::Route};
use crate::{
    admission::Claims,
    gate::{Claimant, Granted},
    limiter::{Terms, enter_now},
};

/// A service limited by a set of resources. Made by [`ConcurrencyLimitLayer`].
pub struct ConcurrencyLimit<S, E> {
    inner: S,
    route: Arc<Route>,
    ending: E,
}

impl<S, E: Clone> ConcurrencyLimit<S, E> {
    pub(super) fn new(inner: S, layer: &ConcurrencyLimitLayer<E>) -> Self {
        Self {
            inner,
            route: Arc::clone(&layer.route),
            ending: layer.ending.clone(),
        }
    }
}

impl<S, E> ConcurrencyLimit<S, E> {
    /// The inner service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The inner service.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The inner service.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, Req, E> Service<Req> for ConcurrencyLimit<S, E>
where
    S: Service<Req> + Clone,
    E: Ending<Req, S::Response, S::Error> + Clone,
{
    type Response = E::Response;
    type Error = E::Error;
    type Future = ResponseFuture<S, Req, E>;

    /// Ready when the inner service is. A slot taken here might belong to a call that never comes.
    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(E::fail)
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

impl<S, E> ConcurrencyLimit<S, E> {
    /// The way of a request that is not simply let in.
    #[cold]
    fn call_with_care<Req>(&mut self, mut request: Req) -> ResponseFuture<S, Req, E>
    where
        S: Service<Req> + Clone,
        E: Ending<Req, S::Response, S::Error> + Clone,
    {
        let route = &self.route;
        let (mut bypass, mut claims, mut deadline) = (false, Claims::default(), None);
        if let (Some(asks), Some(head)) = (&route.asks, E::head(&request)) {
            bypass = asks.bypass(&head);
            claims = asks.claims(&head, route.set.is_shared());
            deadline = asks.deadline(&head);
        }
        let granted = match bypass {
            true => None,
            false => self.try_enter(claims),
        };
        if bypass || granted.is_some() {
            let held = Held::expose_if(
                route.expose,
                claims.load,
                granted,
                E::extensions(&mut request),
            );
            let _watch = held.watch();
            return ResponseFuture::running(self.inner.call(request), held);
        }
        // The readiness of the inner service may be a slot that others could use meanwhile.
        let unready = self.inner.clone();
        drop(mem::replace(&mut self.inner, unready));
        claims.or_never = deadline.is_some();
        let terms = Terms {
            claims,
            timeout: deadline.map_or(route.timeout, |deadline| deadline.min(route.timeout)),
            max_waiting: route.max_waiting,
            arrived: Some(route.set.gate().now()),
        };
        let route = Arc::clone(route);
        ResponseFuture::waiting(
            route,
            terms,
            self.inner.clone(),
            request,
            self.ending.clone(),
        )
    }
}

impl<S, E> ConcurrencyLimit<S, E> {
    /// Lets the request in if that can be done at once, and was not tried yet.
    fn try_enter(&self, claims: Claims) -> Option<Granted<Arc<Route>>> {
        let route = &self.route;
        if route.set.is_remembered() {
            return enter_now(Arc::clone(route), claims, route.max_waiting).ok();
        }
        (!route.is_plain() && route.set.try_enter()).then(|| (Arc::clone(route), None))
    }
}

impl<S: Clone, E: Clone> Clone for ConcurrencyLimit<S, E> {
    #[inline]
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            route: Arc::clone(&self.route),
            ending: self.ending.clone(),
        }
    }
}

impl<S: fmt::Debug, E> fmt::Debug for ConcurrencyLimit<S, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConcurrencyLimit")
            .field("inner", &self.inner)
            .field("resources", &self.route.set.names())
            .finish_non_exhaustive()
    }
}
