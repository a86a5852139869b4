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
        if self.bypasses(&request) {
            return self.run(request, Held::bypassed());
        }
        match self.route.set.try_admit() {
            Some(permit) => self.run(request, Held::permit(permit)),
            None => self.arrive(request),
        }
    }
}

impl<S, E> ConcurrencyLimit<S, E> {
    #[inline]
    fn bypasses<Req>(&self, request: &Req) -> bool
    where
        S: Service<Req>,
        E: Ending<Req, S::Response, S::Error>,
    {
        match &self.route.bypass {
            None => false,
            Some(bypass) => E::head(request).is_some_and(|head| bypass(&head)),
        }
    }

    /// Calls the inner service, which is ready.
    #[inline]
    fn run<Req>(&mut self, request: Req, held: Held) -> ResponseFuture<S, Req, E>
    where
        S: Service<Req>,
        E: Ending<Req, S::Response, S::Error>,
    {
        ResponseFuture::run(&self.route, &mut self.inner, request, held)
    }

    /// The set was not free at first sight.
    #[cold]
    fn arrive<Req>(&mut self, request: Req) -> ResponseFuture<S, Req, E>
    where
        S: Service<Req> + Clone,
        E: Ending<Req, S::Response, S::Error> + Clone,
    {
        let route = &self.route;
        match route.set.arrive(route.timeout, route.max_waiting) {
            Arrived::Admitted(permit) => self.run(request, Held::permit(permit)),
            Arrived::Rejected(rejection) => {
                ResponseFuture::rejected(self.ending.reject(request, rejection))
            }
            Arrived::Queued(waiter) => {
                // The readiness of the inner service may be a slot that others could use meanwhile.
                let fresh = self.inner.clone();
                drop(mem::replace(&mut self.inner, fresh));
                let service = self.inner.clone();
                ResponseFuture::queued(service, request, self.ending.clone(), route, waiter)
            }
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
