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

use super::{Held, ending::Ending, layer::Route};
use crate::limiter::{Terms, Turn};

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
    /// Once admitted, while the inner service gets ready.
    held: Option<Held>,
    /// Not ready yet: readiness is not hoarded while queued.
    service: S,
    request: Option<Req>,
    ending: E,
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

    pub(super) fn waiting(
        route: Arc<Route>,
        terms: Terms,
        service: S,
        request: Req,
        ending: E,
    ) -> Self {
        let pending = Pending {
            load: terms.claims.load,
            turn: Turn::Arriving(route, terms),
            held: None,
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
        let Pending {
            turn,
            load,
            held,
            service,
            request,
            ending,
        } = pending;
        if held.is_none() {
            match ready!(turn.poll(cx)) {
                Ok((route, grant)) => {
                    let extensions = request.as_mut().and_then(E::extensions);
                    let expose = route.expose;
                    *held = Some(Held::expose_if(
                        expose,
                        *load,
                        Some((route, grant)),
                        extensions,
                    ));
                }
                Err((_, rejection)) => {
                    let request = request.take().expect(READY);
                    return Poll::Ready(ending.reject(request, rejection));
                }
            }
        }
        if let Err(error) = ready!(service.poll_ready(cx)) {
            *held = None;
            return Poll::Ready(Err(E::fail(error)));
        }
        let held = held.take();
        let watch = held.as_ref().and_then(Held::watch);
        let future = service.call(request.take().expect(READY));
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
