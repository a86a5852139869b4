//! The way of one request: queued, admitted, running.

use std::{
    fmt,
    future::Future,
    mem,
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
    stage: Stage,
    arrived: Nanos,
    deadline: Nanos,
    /// Not ready yet: readiness is not hoarded while queued.
    service: S,
    request: Option<Req>,
    ending: E,
}

/// What it waits for.
enum Stage {
    /// Its set.
    Turn(Turn<Arc<Route>>),
    /// The inner service; if that was not ready at once, until the deadline.
    Readiness(Unused<Arc<Route>>, Option<Box<Deadline>>),
}

impl<S: Service<Req>, Req, E> Pending<S, Req, E> {
    /// Waits until the inner service can be called.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Granted<Arc<Route>>, LimitError<S::Error>>> {
        if let Stage::Turn(turn) = &mut self.stage {
            match ready!(turn.poll(cx)) {
                Ok(granted) => self.stage = Stage::Readiness(Unused::new(granted), None),
                Err((_, rejection)) => return Poll::Ready(Err(LimitError::Rejected(rejection))),
            }
        }
        let ready = self.service.poll_ready(cx);
        let is_late = match &self.stage {
            Stage::Readiness(_, None) if ready.is_ready() => false,
            _ => self.is_late(ready.is_ready(), cx),
        };
        let over = Stage::Turn(Turn::Over);
        match (ready, is_late) {
            (Poll::Pending, false) => Poll::Pending,
            (Poll::Ready(Err(error)), _) => {
                self.stage = over;
                Poll::Ready(Err(LimitError::Inner(error)))
            }
            (_, is_late) => {
                let Stage::Readiness(unused, _) = mem::replace(&mut self.stage, over) else {
                    unreachable!("it waits for readiness");
                };
                Poll::Ready(match is_late {
                    false => Ok(unused.into_inner()),
                    true => Err(LimitError::Rejected(unused.reject(self.arrived))),
                })
            }
        }
    }

    fn is_queued(&self) -> bool {
        matches!(&self.stage, Stage::Turn(turn) if turn.is_queued())
    }

    /// Whether the deadline has passed, or has come while the inner service is not ready.
    #[cold]
    fn is_late(&mut self, is_ready: bool, cx: &mut Context<'_>) -> bool {
        let Stage::Readiness(unused, deadline) = &mut self.stage else {
            return false;
        };
        let at = || unused.claimant().gate().instant(self.deadline);
        let deadline = deadline.get_or_insert_with(|| Box::new(Deadline::new(at())));
        match is_ready {
            true => deadline.is_past(),
            false => deadline.poll(cx).is_ready(),
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
        (arrived, deadline): (Nanos, Nanos),
        service: S,
        request: Req,
        ending: E,
    ) -> Self {
        let pending = Pending {
            stage: Stage::Turn(turn),
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
        let mut request = pending.request.take().expect(READY);
        let (route, grant) = match granted {
            Ok(granted) => granted,
            Err(LimitError::Inner(error)) => return Poll::Ready(Err(E::fail(error))),
            Err(LimitError::Rejected(rejection)) => {
                return Poll::Ready(pending.ending.reject(request, rejection));
            }
        };
        let expose = route.expose;
        let held = Held::expose_if(expose, Some((route, grant)), E::extensions(&mut request));
        let held = Some(held);
        let watch = held.as_ref().and_then(Held::watch);
        let future = pending.service.call(request);
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
            State::Pending { pending } if pending.is_queued() => "queued",
            State::Pending { .. } => "getting ready",
        };
        f.debug_tuple("ResponseFuture").field(&state).finish()
    }
}
