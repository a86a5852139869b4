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
    gate::{Claimant, Granted, WaitOptions},
    limiter::Acquisition,
};

/// A service limited by a set of resources. Made by [`ConcurrencyLimitLayer`].
// The compiler prints the next line where a method such as `call` or `oneshot` cannot be called.
#[rustfmt::skip]
pub struct ConcurrencyLimit<S, E> { // error of `S` not `From<Rejection>`? add `.wrap_errors()`
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

/// What a service has to be, to be limited: `Clone`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be limited, because it is not `Clone`",
    label = "not `Clone`",
    note = "a queued request keeps a clone of the inner service",
    note = "box it with `tower::util::BoxCloneSyncService` or `BoxCloneService` instead of `BoxService`; or put a `tower::buffer::BufferLayer` between the limit and a service that cannot be cloned"
)]
pub trait InnerService: Clone {}

#[diagnostic::do_not_recommend]
impl<S: Clone> InnerService for S {}

impl<S, Req, E> Service<Req> for ConcurrencyLimit<S, E>
where
    S: Service<Req> + InnerService,
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
        let is_plain = self.route.is_plain();
        if !is_plain || !self.route.try_acquire() {
            return match is_plain && !self.route.set.is_recorded() {
                true => self.wait(Acquisition::New(Arc::clone(&self.route)), None, request),
                false => self.call_with_options(request),
            };
        }
        let held = Held::set(Granted::new(Arc::clone(&self.route), None));
        let _watch = held.watch();
        ResponseFuture::running(self.inner.call(request), held)
    }
}

impl<S, E> ConcurrencyLimit<S, E> {
    /// The same for a route that reads its requests or exposes its permits, or whose set has more to it
    /// than limits.
    fn call_with_options<Req>(&mut self, mut request: Req) -> ResponseFuture<S, Req, E>
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
        claims.or_never = deadline.is_some();
        let options = WaitOptions {
            claims,
            timeout: deadline.map_or(route.timeout, |deadline| deadline.min(route.timeout)),
            max_waiting: route.max_waiting,
            arrived: Some(route.set.gate().now()),
        };
        let granted = match bypass {
            true => None,
            false => match Acquisition::start(Arc::clone(route), &options) {
                Ok(granted) => Some(granted),
                Err(acquisition) => {
                    return self.wait(acquisition, Some(Box::new(options)), request);
                }
            },
        };
        let extensions = E::extensions(&mut request);
        let held = Held::expose_if(route.expose.is_some(), claims.load, granted, extensions);
        let _watch = held.watch();
        ResponseFuture::running(self.inner.call(request), held)
    }

    #[inline]
    fn wait<Req>(
        &mut self,
        acquisition: Acquisition<Arc<Route>>,
        options: Option<Box<WaitOptions>>,
        request: Req,
    ) -> ResponseFuture<S, Req, E>
    where
        S: Service<Req> + Clone,
        E: Ending<Req, S::Response, S::Error> + Clone,
    {
        // The readiness of the inner service may be a slot that others could use meanwhile.
        let unready = self.inner.clone();
        drop(mem::replace(&mut self.inner, unready));
        let arrived = match &options {
            Some(options) => options.arrived,
            None => Some(self.route.set.gate().now()),
        };
        ResponseFuture::waiting(
            acquisition,
            options,
            arrived.unwrap_or_default(),
            self.inner.clone(),
            request,
            self.ending.clone(),
        )
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
