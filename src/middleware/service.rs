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
    admission::Attributes,
    core::{Claimant, Granted, WaitOptions},
    limiter::Acquisition,
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

impl<S, R, P> ConcurrencyLimit<S, R, P> {
    /// The same for a route that reads its requests or exposes its permits, or with more to its set
    /// than limits.
    fn call_with_options<Req>(&mut self, mut request: Req) -> ResponseFuture<S, Req, R, P>
    where
        S: Service<Req> + Clone,
        R: Release<Req, S::Response, S::Error, P>,
        P: Clone,
    {
        let route = &self.route;
        let (mut bypass, mut claims, mut deadline) = (false, Attributes::default(), None);
        if let (Some(read), Some(head)) = (&route.options, R::head(&request)) {
            bypass = read.bypass(&head);
            claims = read.claims(&head, route.set.is_shared());
            deadline = read.deadline(&head);
        }
        claims.fail_fast = deadline.is_some();
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
        let extensions = R::extensions(&mut request);
        let held = Held::expose_if(route.expose.is_some(), claims.load, granted, extensions);
        let _watch = held.watch();
        ResponseFuture::running(self.inner.call(request), held)
    }

    #[inline(always)]
    fn wait<Req>(
        &mut self,
        acquisition: Acquisition<Arc<Route>>,
        options: Option<Box<WaitOptions>>,
        request: Req,
    ) -> ResponseFuture<S, Req, R, P>
    where
        S: Service<Req> + Clone,
        R: Release<Req, S::Response, S::Error, P>,
        P: Clone,
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
            self.policy.clone(),
        )
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
