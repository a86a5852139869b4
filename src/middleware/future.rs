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
        Queued {
            waiter: Waiter,
            // Gone with the step to the next state.
            rest: Option<Queued<S, Req, E>>,
        },
        Admitted {
            service: S,
            request: Option<Req>,
            held: Option<Held>,
            route: Arc<Route>,
        },
        Rejected { response: Option<Result<E::Response, E::Error>> },
    }
}

/// What a queued request will need when its turn comes.
struct Queued<S, Req, E> {
    /// Not ready yet: readiness is not hoarded while queued.
    service: S,
    request: Req,
    ending: E,
    route: Arc<Route>,
}

impl<S, Req, E> ResponseFuture<S, Req, E>
where
    S: Service<Req>,
    E: Ending<Req, S::Response, S::Error>,
{
    /// Calls a service that is ready.
    #[inline]
    pub(super) fn run(route: &Route, service: &mut S, request: Req, held: Held) -> Self {
        Self {
            state: State::run(route, service, request, held),
        }
    }

    pub(super) fn queued(
        service: S,
        request: Req,
        ending: E,
        route: &Arc<Route>,
        waiter: Waiter,
    ) -> Self {
        let rest = Some(Queued {
            service,
            request,
            ending,
            route: Arc::clone(route),
        });
        Self {
            state: State::Queued { waiter, rest },
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
    #[inline]
    fn run(route: &Route, service: &mut S, mut request: Req, mut held: Held) -> Self {
        if route.expose {
            if let Some(extensions) = E::extensions(&mut request) {
                held = held.expose(extensions);
            }
        }
        let watch = held.watch();
        let future = service.call(request);
        drop(watch);
        Self::Running {
            future,
            held: Some(held),
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
        loop {
            let next = match state.as_mut().project() {
                StateProj::Running { future, held } => {
                    let watch = held.as_ref().and_then(Held::watch);
                    let result = ready!(future.poll(cx));
                    drop(watch);
                    let held = held.take().expect("polled after it was ready");
                    return Poll::Ready(match result {
                        Ok(response) => Ok(E::respond(response, held)),
                        Err(error) => Err(E::fail(error)),
                    });
                }
                StateProj::Queued { waiter, rest } => {
                    let route = &rest.as_ref().expect("present while queued").route;
                    let outcome = ready!(route.set.poll(waiter, cx));
                    let queued = rest.take().expect("present while queued");
                    match outcome {
                        Ok(permit) => State::Admitted {
                            service: queued.service,
                            request: Some(queued.request),
                            held: Some(Held::permit(permit)),
                            route: queued.route,
                        },
                        Err(rejection) => State::Rejected {
                            response: Some(queued.ending.reject(queued.request, rejection)),
                        },
                    }
                }
                StateProj::Admitted {
                    service,
                    request,
                    held,
                    route,
                } => match ready!(service.poll_ready(cx)) {
                    Ok(()) => {
                        let request = request.take().expect("present until called");
                        let held = held.take().expect("present until called");
                        State::run(route, service, request, held)
                    }
                    Err(error) => State::Rejected {
                        response: Some(Err(E::fail(error))),
                    },
                },
                StateProj::Rejected { response } => {
                    return Poll::Ready(response.take().expect("polled after it was ready"));
                }
            };
            state.set(next);
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
