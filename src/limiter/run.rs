//! The future of `run`.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;

use super::{Acquire, nested};
use crate::{adaptive::Outcome, permit::Permit, rejection::Rejection};

pin_project! {
    /// The future of [`Limiter::run`](crate::Limiter::run). It does not borrow the limiter or the
    /// resources, so it can be spawned.
    #[must_use = "futures do nothing unless polled"]
    pub struct Run<F, Fut> {
        #[pin]
        state: State<F, Fut>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F, Fut> {
        Waiting { acquire: Acquire, work: Option<F> },
        Running {
            // Dropped before the permit.
            #[pin]
            future: Fut,
            permit: Permit,
        },
        Done,
    }
}

impl<F, Fut> Run<F, Fut> {
    pub(super) fn new(acquire: Acquire, work: F) -> Self {
        let work = Some(work);
        Self {
            state: State::Waiting { acquire, work },
        }
    }
}

impl<F, Fut> Future for Run<F, Fut>
where
    F: FnOnce() -> Fut,
    Fut: Future,
{
    type Output = Result<Fut::Output, Rejection>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let (next, outcome) = match state.as_mut().project() {
                StateProj::Waiting { acquire, work } => match ready!(Pin::new(acquire).poll(cx)) {
                    Ok(mut permit) => {
                        permit.set_outcome(Outcome::Dropped); // until it completes
                        let work = work.take().expect("present until called");
                        let held = nested::held(permit.gate(), permit.demands());
                        let future = work();
                        drop(held);
                        (State::Running { future, permit }, None)
                    }
                    Err(rejection) => (State::Done, Some(Err(rejection))),
                },
                StateProj::Running { future, permit } => {
                    let held = nested::held(permit.gate(), permit.demands());
                    let output = ready!(future.poll(cx));
                    drop(held);
                    permit.set_outcome(Outcome::default());
                    (State::Done, Some(Ok(output)))
                }
                StateProj::Done => panic!("`Run` polled after it was ready"),
            };
            state.set(next);
            if let Some(outcome) = outcome {
                return Poll::Ready(outcome);
            }
        }
    }
}

impl<F, Fut> fmt::Debug for Run<F, Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Waiting { .. } => "waiting",
            State::Running { .. } => "running",
            State::Done => "done",
        };
        f.debug_tuple("Run").field(&state).finish()
    }
}
