//! The response future: a request is queued, admitted, then running.

use std::{
    fmt,
    future::Future,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tower_service::Service;

use super::{
    deadline::Deadline,
    error::LimitError,
    held::Held,
    rejection_policy::DefaultRejection,
    release::{OnBodyEnd, Release},
    route::Route,
};
use crate::{
    admission::{Attributes, Nanos},
    core::{Claimant, Granted, WaitOptions},
    limiter::{Acquisition, reject_late},
};

pin_project! {
    /// The response future of [`ConcurrencyLimit`](super::ConcurrencyLimit).
    ///
    /// # Cancel safety
    ///
    /// If dropped while queued, the request leaves the queue. If dropped while running, the inner
    /// future is dropped, and then its permit.
    pub struct ResponseFuture<S, Req, R = OnBodyEnd, P = DefaultRejection>
    where
        S: Service<Req>,
    {
        #[pin]
        state: State<S, Req, P>,
        release: PhantomData<R>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, Req, P>
    where
        S: Service<Req>,
    {
        Running {
            // Dropped before the permit.
            #[pin]
            future: S::Future,
            held: Option<Held>,
        },
        // Not boxed: it has the space that the inner service's future, which owns the request,
        // needs later.
        Pending { pending: Pending<S, Req, P> },
    }
}

/// A request that has to wait.
struct Pending<S, Req, P> {
    acquisition: Acquisition<Arc<Route>>,
    arrived: Nanos,
    /// Of a request that declares something.
    options: Option<Box<WaitOptions>>,
    /// If it was admitted while the inner service was not ready.
    unready: Option<Box<Unready>>,
    /// Not ready yet: readiness is not hoarded while queued.
    service: S,
    request: Option<Req>,
    policy: P,
}

/// A set that is held while the inner service gets ready.
struct Unready {
    granted: Granted<Arc<Route>>,
    deadline: Deadline,
}

/// A request that may be called, or why it is not.
type Admitted<E> = Result<Granted<Arc<Route>>, LimitError<E>>;

impl<S: Service<Req>, Req, P> Pending<S, Req, P> {
    /// Waits for the set, then for the inner service.
    #[inline]
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Admitted<S::Error>> {
        if self.unready.is_some() {
            return self.poll_unready(cx);
        }
        let (arrived, options) = (self.arrived, self.options.as_deref());
        let options = |route: &Arc<Route>| match options {
            Some(options) => *options,
            None => route.wait_options(arrived),
        };
        let granted = match ready!(self.acquisition.poll(cx, options)) {
            Ok(granted) => granted,
            Err(rejection) => return Poll::Ready(Err(LimitError::Rejected(rejection))),
        };
        match self.service.poll_ready(cx) {
            Poll::Ready(Ok(())) => Poll::Ready(Ok(granted)),
            Poll::Ready(Err(error)) => Poll::Ready(Err(LimitError::Inner(error))),
            Poll::Pending => self.hold(granted, cx),
        }
    }

    /// Holds the set until the inner service is ready, or until its deadline.
    #[cold]
    fn hold(
        &mut self,
        granted: Granted<Arc<Route>>,
        cx: &mut Context<'_>,
    ) -> Poll<Admitted<S::Error>> {
        let route = granted.claimant();
        let timeout = match &self.options {
            Some(options) => options.timeout,
            None => route.timeout,
        };
        let gate = route.gate();
        let deadline = gate.instant(gate.deadline(self.arrived, timeout));
        let deadline = Deadline::new(deadline);
        self.unready = Some(Box::new(Unready { granted, deadline }));
        self.poll_deadline(cx)
    }

    #[cold]
    fn poll_unready(&mut self, cx: &mut Context<'_>) -> Poll<Admitted<S::Error>> {
        match self.service.poll_ready(cx) {
            Poll::Ready(Err(error)) => {
                self.unready = None;
                Poll::Ready(Err(LimitError::Inner(error)))
            }
            Poll::Pending => self.poll_deadline(cx),
            Poll::Ready(Ok(())) => match self.unready.take() {
                Some(unready) if unready.deadline.is_past() => {
                    Poll::Ready(self.late(unready.granted))
                }
                Some(unready) => Poll::Ready(Ok(unready.granted)),
                None => unreachable!("it waits for readiness"),
            },
        }
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<Admitted<S::Error>> {
        match self.unready.take() {
            Some(mut unready) => match unready.deadline.poll(cx) {
                Poll::Ready(()) => Poll::Ready(self.late(unready.granted)),
                Poll::Pending => {
                    self.unready = Some(unready);
                    Poll::Pending
                }
            },
            None => unreachable!("it waits for readiness"),
        }
    }

    fn late(&self, granted: Granted<Arc<Route>>) -> Admitted<S::Error> {
        let waited = granted.claimant().gate().since(self.arrived);
        Err(LimitError::Rejected(reject_late(granted, waited)))
    }
}

impl<S: Service<Req>, Req, R, P> ResponseFuture<S, Req, R, P> {
    /// Creates the future of a running call.
    #[inline]
    pub(super) fn running(future: S::Future, held: Held) -> Self {
        let held = Some(held);
        Self {
            state: State::Running { future, held },
            release: PhantomData,
        }
    }

    /// Waits for the set of a request that has arrived.
    #[inline(always)]
    pub(super) fn waiting(
        acquisition: Acquisition<Arc<Route>>,
        options: Option<Box<WaitOptions>>,
        arrived: Nanos,
        service: S,
        request: Req,
        policy: P,
    ) -> Self {
        let pending = Pending {
            acquisition,
            arrived,
            options,
            unready: None,
            service,
            request: Some(request),
            policy,
        };
        Self {
            state: State::Pending { pending },
            release: PhantomData,
        }
    }
}

impl<S, Req, R, P> Future for ResponseFuture<S, Req, R, P>
where
    S: Service<Req>,
    R: Release<Req, S::Response, S::Error, P>,
{
    type Output = Result<R::Response, R::Error>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().state.poll::<R>(cx)
    }
}

impl<S: Service<Req>, Req, P> State<S, Req, P> {
    #[inline]
    fn poll<R>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<R::Response, R::Error>>
    where
        R: Release<Req, S::Response, S::Error, P>,
    {
        match self.as_mut().project() {
            StateProj::Running { future, held } => {
                let _watch = held.as_ref().and_then(Held::watch);
                R::poll(future, cx, held)
            }
            StateProj::Pending { .. } => self.poll_pending::<R>(cx),
        }
    }

    /// Waits until the request is running, and polls that; or until there is a response without it.
    fn poll_pending<R>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<R::Response, R::Error>>
    where
        R: Release<Req, S::Response, S::Error, P>,
    {
        const READY: &str = "polled after it was ready";
        let StateProj::Pending { pending } = self.as_mut().project() else {
            return self.poll::<R>(cx);
        };
        let granted = ready!(pending.poll(cx));
        let request = &mut pending.request;
        let granted = match granted {
            Ok(granted) => granted,
            Err(LimitError::Inner(error)) => return Poll::Ready(Err(R::fail(error))),
            Err(LimitError::Rejected(rejection)) => {
                let request = request.take().expect(READY);
                return Poll::Ready(R::reject(&pending.policy, request, rejection));
            }
        };
        let held = Some(match granted.claimant().expose.is_some() {
            false => Held::set(granted),
            true => {
                let options = pending.options.as_deref();
                let load =
                    options.map_or(Attributes::default().load, |options| options.claims.load);
                let extensions = request.as_mut().and_then(R::extensions);
                Held::expose_if(true, load, Some(granted), extensions)
            }
        });
        let watch = held.as_ref().and_then(Held::watch);
        let future = pending.service.call(request.take().expect(READY));
        drop(watch);
        self.set(State::Running { future, held });
        self.poll::<R>(cx)
    }
}

impl<S: Service<Req>, Req, R, P> fmt::Debug for ResponseFuture<S, Req, R, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Running { .. } => "running",
            State::Pending { pending } if pending.acquisition.is_queued() => "queued",
            State::Pending { .. } => "getting ready",
        };
        f.debug_tuple("ResponseFuture").field(&state).finish()
    }
}
