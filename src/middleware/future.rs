//! The way of one request: queued, admitted, running.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tower_service::Service;

use super::{ConcurrencyLimit, Held, ending::Ending};
use crate::gate::Waiter;

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
        Pending {
            turn: Turn,
            // Not ready yet: readiness is not hoarded while queued.
            limit: ConcurrencyLimit<S, E>,
            request: Option<Req>,
        },
        Rejected { response: Option<Result<E::Response, E::Error>> },
    }
}

/// How far a request has come that had to wait.
enum Turn {
    Queued(Waiter),
    /// Waiting for the inner service to be ready.
    Admitted(Option<Held>),
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

    pub(super) fn queued(limit: ConcurrencyLimit<S, E>, request: Req, waiter: Waiter) -> Self {
        Self {
            state: State::Pending {
                turn: Turn::Queued(waiter),
                limit,
                request: Some(request),
            },
        }
    }

    pub(super) fn rejected(response: Result<E::Response, E::Error>) -> Self {
        let response = Some(response);
        Self {
            state: State::Rejected { response },
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
        let mut state = self.project().state;
        if !matches!(*state, State::Running { .. }) {
            if let Some(response) = ready!(state.as_mut().poll_turn(cx)) {
                return Poll::Ready(response);
            }
        }
        match state.project() {
            StateProj::Running { future, held } => {
                let _watch = held.as_ref().and_then(Held::watch);
                E::finish(future.poll(cx), held)
            }
            _ => unreachable!("running, after its turn has come"),
        }
    }
}

impl<S, Req, E> State<S, Req, E>
where
    S: Service<Req>,
    E: Ending<Req, S::Response, S::Error>,
{
    /// Waits until the request is running, or until there is a response without that.
    #[cold]
    fn poll_turn(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<E::Response, E::Error>>> {
        const READY: &str = "polled after it was ready";
        let (future, held) = match self.as_mut().project() {
            StateProj::Running { .. } => return Poll::Ready(None),
            StateProj::Rejected { response } => {
                return Poll::Ready(Some(response.take().expect(READY)));
            }
            StateProj::Pending {
                turn,
                limit,
                request,
            } => {
                if let Turn::Queued(waiter) = turn {
                    match ready!(limit.route.set.poll(waiter, cx)) {
                        Ok(()) => {
                            let request = request.as_mut().expect(READY);
                            *turn = Turn::Admitted(Some(limit.admitted(request)));
                        }
                        Err(rejection) => {
                            let request = request.take().expect(READY);
                            return Poll::Ready(Some(limit.ending.reject(request, rejection)));
                        }
                    }
                }
                let Turn::Admitted(held) = turn else {
                    unreachable!("queued, after the verdict");
                };
                if let Err(error) = ready!(limit.inner.poll_ready(cx)) {
                    drop(held.take());
                    return Poll::Ready(Some(Err(E::fail(error))));
                }
                let held = held.take().expect(READY);
                let _watch = held.watch();
                (limit.inner.call(request.take().expect(READY)), held)
            }
        };
        let held = Some(held);
        self.set(State::Running { future, held });
        Poll::Ready(None)
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
            State::Pending { turn, .. } => match turn {
                Turn::Queued(_) => "queued",
                Turn::Admitted(_) => "admitted",
            },
            State::Rejected { .. } => "rejected",
        };
        f.debug_tuple("ResponseFuture").field(&state).finish()
    }
}
