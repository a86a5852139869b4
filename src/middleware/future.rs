//! The way of one request: queued, admitted, running.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tower_service::Service;

use super::{
    Held,
    deadline::Deadline,
    ending::{Ending, LimitError},
    layer::Route,
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
    /// Dropping it gives up the place in the queue, or drops the inner future and then its permit.
    pub struct ResponseFuture<S, Req, E>
    where
        S: Service<Req>,
        E: Ending<Req, S::Response, S::Error>,
    {
        #[pin]
        state: State<S, Req, E>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, Req, E>
    where
        S: Service<Req>,
        E: Ending<Req, S::Response, S::Error>,
    {
        Running {
            // Dropped before the permit.
            #[pin]
            future: S::Future,
            held: Option<Held>,
        },
        // Not boxed: it takes the room that the inner service's future, which has the request, needs later.
        Pending { pending: Pending<S, Req, E> },
    }
}

/// A request that has to wait.
struct Pending<S, Req, E> {
    turn: Turn<Arc<Route>>,
    /// For the permit, should that be exposed.
    load: u64,
    /// Its set, while the inner service gets ready.
    granted: Option<Unused<Arc<Route>>>,
    /// How long it waits for that, if it does.
    bound: Option<Box<Deadline>>,
    arrived: Nanos,
    deadline: Nanos,
    /// Not ready yet: readiness is not hoarded while queued.
    service: S,
    request: Option<Req>,
    ending: E,
}

/// A request that may be called, or why it is not.
type Admission<E> = Result<Granted<Arc<Route>>, LimitError<E>>;

impl<S: Service<Req>, Req, E> Pending<S, Req, E> {
    /// Waits until the inner service can be called.
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

    /// The same for an inner service that was not ready at once.
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

impl<S, Req, E> ResponseFuture<S, Req, E>
where
    S: Service<Req>,
    E: Ending<Req, S::Response, S::Error>,
{
    /// Runs a call that the inner service has begun.
    #[inline]
    pub(super) fn running(future: S::Future, held: Held) -> Self {
        let held = Some(held);
        Self {
            state: State::Running { future, held },
        }
    }

    /// Waits for the set of a request that arrived at a time, and has to be called before its deadline.
    pub(super) fn waiting(
        turn: Turn<Arc<Route>>,
        load: u64,
        (arrived, deadline): (Nanos, Nanos),
        service: S,
        request: Req,
        ending: E,
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
            ending,
        };
        Self {
            state: State::Pending { pending },
        }
    }
}

impl<S, Req, E> Future for ResponseFuture<S, Req, E>
where
    S: Service<Req>,
    E: Ending<Req, S::Response, S::Error>,
{
    type Output = Result<E::Response, E::Error>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().state.poll(cx)
    }
}

impl<S, Req, E> State<S, Req, E>
where
    S: Service<Req>,
    E: Ending<Req, S::Response, S::Error>,
{
    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<E::Response, E::Error>> {
        match self.as_mut().project() {
            StateProj::Running { future, held } => {
                let _watch = held.as_ref().and_then(Held::watch);
                E::poll(future, cx, held)
            }
            StateProj::Pending { .. } => self.poll_turn(cx),
        }
    }

    /// Waits until the request is running, and polls that; or until there is a response without it.
    #[cold]
    fn poll_turn(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<E::Response, E::Error>> {
        const READY: &str = "polled after it was ready";
        let StateProj::Pending { pending } = self.as_mut().project() else {
            return self.poll(cx);
        };
        let granted = ready!(pending.poll(cx));
        let request = &mut pending.request;
        let (route, grant) = match granted {
            Ok(granted) => granted,
            Err(LimitError::Inner(error)) => return Poll::Ready(Err(E::fail(error))),
            Err(LimitError::Rejected(rejection)) => {
                let request = request.take().expect(READY);
                return Poll::Ready(pending.ending.reject(request, rejection));
            }
        };
        let held = Some(match route.expose.is_some() {
            false => Held::set(route, grant),
            true => {
                let extensions = request.as_mut().and_then(E::extensions);
                Held::expose_if(true, pending.load, Some((route, grant)), extensions)
            }
        });
        let watch = held.as_ref().and_then(Held::watch);
        let future = pending.service.call(request.take().expect(READY));
        drop(watch);
        self.set(State::Running { future, held });
        self.poll(cx)
    }
}

impl<S, Req, E> fmt::Debug for ResponseFuture<S, Req, E>
where
    S: Service<Req>,
    E: Ending<Req, S::Response, S::Error>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Running { .. } => "running",
            State::Pending { pending } if pending.turn.is_queued() => "queued",
            State::Pending { .. } => "getting ready",
        };
        f.debug_tuple("ResponseFuture").field(&state).finish()
    }
}
