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
    admission::Nanos,
    gate::{Claimant, Granted},
    limiter::{Turn, Unused},
};

pin_project! {
    /// The response future of [`ConcurrencyLimit`](super::ConcurrencyLimit).
    ///
    /// # Cancel safety
    ///
    /// If dropped while queued, the request leaves the queue. If dropped while running, the inner future
    /// is dropped, and then its permit.
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
        // Not boxed: it has the space that the inner service's future, which owns the request, needs
        // later.
        Pending { pending: Pending<S, Req, P> },
    }
}

/// A request that waits.
struct Pending<S, Req, P> {
    turn: Turn<Arc<Route>>,
    /// For the permit, if that is exposed.
    load: u64,
    /// The set, while the inner service is not ready.
    granted: Option<Unused<Arc<Route>>>,
    /// The deadline of that wait, once it has begun.
    bound: Option<Box<Deadline>>,
    arrived: Nanos,
    deadline: Nanos,
    /// Made ready after the grant, so that a queued request does not reserve a slot of it.
    service: S,
    request: Option<Req>,
    policy: P,
}

/// The grant of a request that can be called, or why it cannot.
type Admission<E> = Result<Granted<Arc<Route>>, LimitError<E>>;

impl<S: Service<Req>, Req, P> Pending<S, Req, P> {
    /// Waits for the set, then for the inner service.
    #[inline]
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Admission<S::Error>> {
        let granted = match self.granted.take() {
            Some(granted) => granted,
            None => match ready!(self.turn.poll(cx)) {
                Ok(granted) => Unused::new(granted),
                Err((_, rejection)) => return Poll::Ready(Err(LimitError::Rejected(rejection))),
            },
        };
        match self.service.poll_ready(cx) {
            Poll::Ready(Ok(())) if self.bound.is_none() => Poll::Ready(Ok(granted.into_inner())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(LimitError::Inner(error))),
            ready => self.poll_bound(granted, ready.is_ready(), cx),
        }
    }

    /// Bounds the wait for an inner service that was not ready at once.
    #[cold]
    fn poll_bound(
        &mut self,
        granted: Unused<Arc<Route>>,
        is_ready: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Admission<S::Error>> {
        let at = || granted.claimant().gate().instant(self.deadline);
        let bound = self
            .bound
            .get_or_insert_with(|| Box::new(Deadline::new(at())));
        let is_late = match is_ready {
            true => bound.is_past(),
            false => bound.poll(cx).is_ready(),
        };
        match (is_late, is_ready) {
            (true, _) => Poll::Ready(Err(LimitError::Rejected(granted.reject(self.arrived)))),
            (false, true) => Poll::Ready(Ok(granted.into_inner())),
            (false, false) => {
                self.granted = Some(granted);
                Poll::Pending
            }
        }
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

    /// Creates the future of a request that waits for its set, with its arrival and its deadline.
    pub(super) fn waiting(
        turn: Turn<Arc<Route>>,
        load: u64,
        (arrived, deadline): (Nanos, Nanos),
        service: S,
        request: Req,
        policy: P,
    ) -> Self {
        let pending = Pending {
            turn,
            load,
            granted: None,
            bound: None,
            arrived,
            deadline,
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
            StateProj::Pending { .. } => self.poll_turn::<R>(cx),
        }
    }

    /// Waits until the request is running, and polls the call, or returns its rejection.
    #[cold]
    fn poll_turn<R>(
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
        let (route, grant) = match granted {
            Ok(granted) => granted,
            Err(LimitError::Inner(error)) => return Poll::Ready(Err(R::fail(error))),
            Err(LimitError::Rejected(rejection)) => {
                let request = request.take().expect(READY);
                return Poll::Ready(R::reject(&pending.policy, request, rejection));
            }
        };
        let held = Some(match route.expose.is_some() {
            false => Held::set(route, grant),
            true => {
                let extensions = request.as_mut().and_then(R::extensions);
                Held::expose_if(true, pending.load, Some((route, grant)), extensions)
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
            State::Pending { pending } if pending.turn.is_queued() => "queued",
            State::Pending { .. } => "getting ready",
        };
        f.debug_tuple("ResponseFuture").field(&state).finish()
    }
}
