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
    admission::{Claims, Nanos},
    gate::{Claimant, Granted, WaitOptions},
    limiter::{Acquisition, reject_late},
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
    acquisition: Acquisition<Arc<Route>>,
    arrived: Nanos,
    /// Of a request that declares something.
    options: Option<Box<WaitOptions>>,
    /// If it was admitted while the inner service was not ready.
    unready: Option<Box<Unready>>,
    /// Not ready yet: readiness is not hoarded while queued.
    service: S,
    request: Option<Req>,
    ending: E,
}

/// A set that is held while the inner service gets ready.
struct Unready {
    granted: Granted<Arc<Route>>,
    deadline: Deadline,
}

/// A request that may be called, or why it is not.
type Admission<E> = Result<Granted<Arc<Route>>, LimitError<E>>;

impl<S: Service<Req>, Req, E> Pending<S, Req, E> {
    /// Waits until the inner service can be called.
    #[inline]
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Admission<S::Error>> {
        if self.unready.is_some() {
            return self.poll_unready(cx);
        }
        let (arrived, options) = (self.arrived, self.options.as_deref());
        let options = |route: &Arc<Route>| match options {
            Some(options) => *options,
            None => route.options(arrived),
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
    ) -> Poll<Admission<S::Error>> {
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
    fn poll_unready(&mut self, cx: &mut Context<'_>) -> Poll<Admission<S::Error>> {
        match self.service.poll_ready(cx) {
            Poll::Ready(Err(error)) => {
                self.unready = None;
                Poll::Ready(Err(LimitError::Inner(error)))
            }
            Poll::Pending => self.poll_deadline(cx),
            Poll::Ready(Ok(())) => match self.unready.take() {
                Some(unready) if unready.deadline.is_past() => Poll::Ready(self.late(unready)),
                Some(unready) => Poll::Ready(Ok(unready.granted)),
                None => unreachable!("it waits for readiness"),
            },
        }
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<Admission<S::Error>> {
        match self.unready.take() {
            Some(mut unready) => match unready.deadline.poll(cx) {
                Poll::Ready(()) => Poll::Ready(self.late(unready)),
                Poll::Pending => {
                    self.unready = Some(unready);
                    Poll::Pending
                }
            },
            None => unreachable!("it waits for readiness"),
        }
    }

    fn late(&self, unready: Box<Unready>) -> Admission<S::Error> {
        let granted = unready.granted;
        let waited = granted.claimant().gate().since(self.arrived);
        Err(LimitError::Rejected(reject_late(granted, waited)))
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

    /// Waits for the set of a request that has arrived.
    #[inline]
    pub(super) fn waiting(
        acquisition: Acquisition<Arc<Route>>,
        options: Option<Box<WaitOptions>>,
        arrived: Nanos,
        service: S,
        request: Req,
        ending: E,
    ) -> Self {
        let pending = Pending {
            acquisition,
            arrived,
            options,
            unready: None,
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
            StateProj::Pending { .. } => self.poll_pending(cx),
        }
    }

    /// Waits until the request is running, and polls that; or until there is a response without it.
    fn poll_pending(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<E::Response, E::Error>> {
        const READY: &str = "polled after it was ready";
        let StateProj::Pending { pending } = self.as_mut().project() else {
            return self.poll(cx);
        };
        let granted = ready!(pending.poll(cx));
        let request = &mut pending.request;
        let granted = match granted {
            Ok(granted) => granted,
            Err(LimitError::Inner(error)) => return Poll::Ready(Err(E::fail(error))),
            Err(LimitError::Rejected(rejection)) => {
                let request = request.take().expect(READY);
                return Poll::Ready(pending.ending.reject(request, rejection));
            }
        };
        let held = Some(match granted.claimant().expose.is_some() {
            false => Held::set(granted),
            true => {
                let options = pending.options.as_deref();
                let load = options.map_or(Claims::default().load, |options| options.claims.load);
                let extensions = request.as_mut().and_then(E::extensions);
                Held::expose_if(true, load, Some(granted), extensions)
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
            State::Pending { pending } if pending.acquisition.is_queued() => "queued",
            State::Pending { .. } => "getting ready",
        };
        f.debug_tuple("ResponseFuture").field(&state).finish()
    }
}
