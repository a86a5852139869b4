//! A limited service.

use std::{
    fmt, mem,
    sync::Arc,
    task::{Context, Poll},
};

use tower_service::Service;

use super::{ConcurrencyLimitLayer, Held, ResponseFuture, ending::Ending, layer::Route};
use crate::limiter::Arrived;

/// A service limited by a set of resources. Made by [`ConcurrencyLimitLayer`].
pub struct ConcurrencyLimit<S, E> {
    pub(super) inner: S,
    pub(super) route: Arc<Route>,
    pub(super) ending: E,
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
            let held = Held::set(Arc::clone(&self.route));
            let _watch = held.watch();
            return ResponseFuture::running(self.inner.call(request), held);
        }
        self.arrive(request)
    }
}

impl<S, E> ConcurrencyLimit<S, E> {
    /// The way of a request that is not simply let in.
    #[cold]
    fn arrive<Req>(&mut self, mut request: Req) -> ResponseFuture<S, Req, E>
    where
        S: Service<Req> + Clone,
        E: Ending<Req, S::Response, S::Error> + Clone,
    {
        let route = &self.route;
        if let (Some(bypass), Some(head)) = (&route.bypass, E::head(&request)) {
            if bypass(&head) {
                let held = self.past_the_limit(&mut request);
                return ResponseFuture::running(self.inner.call(request), held);
            }
        }
        let arrived = match route.set.try_enter() {
            true => Arrived::Admitted,
            false => route.set.arrive(route.timeout, route.max_waiting),
        };
        match arrived {
            Arrived::Admitted => {
                let held = self.admitted(&mut request);
                let _watch = held.watch();
                ResponseFuture::running(self.inner.call(request), held)
            }
            Arrived::Rejected(rejection) => {
                ResponseFuture::rejected(self.ending.reject(request, rejection))
            }
            Arrived::Queued(waiter) => {
                // The readiness of the inner service may be a slot that others could use meanwhile.
                let fresh = self.inner.clone();
                drop(mem::replace(&mut self.inner, fresh));
                ResponseFuture::queued(self.clone(), request, waiter)
            }
        }
    }

    /// What a request holds that was let in.
    pub(super) fn admitted<Req>(&self, request: &mut Req) -> Held
    where
        S: Service<Req>,
        E: Ending<Req, S::Response, S::Error>,
    {
        match E::extensions(request) {
            Some(extensions) if self.route.expose => {
                Held::exposed(Some(self.route.set.permit()), extensions)
            }
            _ => Held::set(Arc::clone(&self.route)),
        }
    }

    fn past_the_limit<Req>(&self, request: &mut Req) -> Held
    where
        S: Service<Req>,
        E: Ending<Req, S::Response, S::Error>,
    {
        match E::extensions(request) {
            Some(extensions) if self.route.expose => Held::exposed(None, extensions),
            _ => Held::bypassed(),
        }
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
