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
use crate::{gate::Waiter, rejection::Rejection};

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
        Queued {
            waiter: Waiter,
            // Not ready yet: readiness is not hoarded while queued.
            parked: Option<(ConcurrencyLimit<S, E>, Req)>,
        },
        Admitted {
            service: S,
            request: Option<Req>,
            held: Option<Held>,
        },
        Rejected { response: Option<Result<E::Response, E::Error>> },
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

    pub(super) fn queued(service: ConcurrencyLimit<S, E>, request: Req, waiter: Waiter) -> Self {
        Self {
            state: State::Queued {
                waiter,
                parked: Some((service, request)),
            },
        }
    }

    pub(super) fn rejected(response: Result<E::Response, E::Error>) -> Self {
        Self {
            state: State::Rejected {
                response: Some(response),
            },
        }
    }
}

impl<S, Req, E> State<S, Req, E>
where
    S: Service<Req>,
    E: Ending<Req, S::Response, S::Error>,
{
    /// What becomes of a queued request.
    fn decided(
        (limit, mut request): (ConcurrencyLimit<S, E>, Req),
        verdict: Result<(), Rejection>,
    ) -> Self {
        match verdict {
            Ok(()) => {
                let held = limit.admitted(&mut request);
                Self::Admitted {
                    service: limit.into_inner(),
                    request: Some(request),
                    held: Some(held),
                }
            }
            Err(rejection) => Self::Rejected {
                response: Some(limit.ending().reject(request, rejection)),
            },
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
        loop {
            let next = match self.as_mut().project() {
                StateProj::Running { .. } => return Poll::Ready(None),
                StateProj::Queued { waiter, parked } => {
                    let (limit, _) = parked.as_ref().expect("present while queued");
                    let verdict = ready!(limit.poll_admission(waiter, cx));
                    State::decided(parked.take().expect("present while queued"), verdict)
                }
                StateProj::Admitted {
                    service,
                    request,
                    held,
                } => match ready!(service.poll_ready(cx)) {
                    Ok(()) => {
                        let request = request.take().expect("present until called");
                        let watch = held.as_ref().and_then(Held::watch);
                        let future = service.call(request);
                        drop(watch);
                        let held = held.take();
                        State::Running { future, held }
                    }
                    Err(error) => State::Rejected {
                        response: Some(Err(E::fail(error))),
                    },
                },
                StateProj::Rejected { response } => {
                    let response = response.take().expect("polled after it was ready");
                    return Poll::Ready(Some(response));
                }
            };
            self.set(next);
        }
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
            State::Queued { .. } => "queued",
            State::Admitted { .. } => "admitted",
            State::Rejected { .. } => "rejected",
        };
        f.debug_tuple("ResponseFuture").field(&state).finish()
    }
}
