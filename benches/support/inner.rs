//! The services that are limited.

use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    hint::black_box,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use tower::{Service, service_fn};

use super::Request;

pub(crate) type Answer = Result<Response<Full<Bytes>>, Infallible>;

pub(crate) fn answer() -> Answer {
    Ok(Response::new(Full::new(Bytes::from_static(b"ok"))))
}

/// What every candidate can be put around.
pub(crate) trait Inner:
    Service<
        Request,
        Response = Response<Full<Bytes>>,
        Error = Infallible,
        Future: Future<Output = Answer> + Send + 'static,
    > + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> Inner for S where
    S: Service<
            Request,
            Response = Response<Full<Bytes>>,
            Error = Infallible,
            Future: Future<Output = Answer> + Send + 'static,
        > + Clone
        + Send
        + Sync
        + 'static
{
}

/// Answers at once. Its code is not inlined into its callers, as that of a handler behind axum's
/// boxes never is.
#[derive(Clone)]
pub(crate) struct Instantly;

impl Service<Request> for Instantly {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Answering;

    #[inline(never)]
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    #[inline(never)]
    fn call(&mut self, request: Request) -> Answering {
        drop(black_box(request));
        Answering(())
    }
}

pub(crate) struct Answering(());

impl Future for Answering {
    type Output = Answer;

    #[inline(never)]
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Answer> {
        Poll::Ready(black_box(answer()))
    }
}

/// Lets other tasks run before it answers.
pub(crate) fn yielding() -> impl Inner {
    service_fn(async |_: Request| {
        tokio::task::yield_now().await;
        answer()
    })
}

/// The same, counted.
pub(crate) fn yielding_counted(gauge: Gauge) -> impl Inner {
    service_fn(move |_: Request| {
        let gauge = gauge.clone();
        async move {
            let _running = gauge.enter();
            tokio::task::yield_now().await;
            answer()
        }
    })
}

/// Calls that enter and stay until the door is open and somebody polls them.
pub(crate) fn behind(door: Door) -> impl Inner {
    service_fn(move |request: Request| {
        let door = door.clone();
        async move {
            let _running = door.0.gauge.enter();
            poll_fn(|_| match door.0.open.load(Ordering::Acquire) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            })
            .await;
            drop(request);
            answer()
        }
    })
}

/// What keeps calls from ending.
#[derive(Clone, Default)]
pub(crate) struct Door(Arc<DoorState>);

#[derive(Default)]
struct DoorState {
    open: AtomicBool,
    gauge: Gauge,
}

impl Door {
    pub(crate) fn opened() -> Self {
        let door = Self::default();
        door.open();
        door
    }

    pub(crate) fn open(&self) {
        self.0.open.store(true, Ordering::Release);
    }

    /// How many calls are in there.
    pub(crate) fn entered(&self) -> usize {
        self.0.gauge.running()
    }
}

/// How many calls run, and how many did at most.
#[derive(Clone, Default)]
pub(crate) struct Gauge(Arc<Counts>);

#[derive(Default)]
struct Counts {
    running: AtomicUsize,
    most: AtomicUsize,
}

impl Gauge {
    fn enter(&self) -> Running<'_> {
        let running = self.0.running.fetch_add(1, Ordering::AcqRel) + 1;
        self.0.most.fetch_max(running, Ordering::Relaxed);
        Running(&self.0)
    }

    pub(crate) fn running(&self) -> usize {
        self.0.running.load(Ordering::Acquire)
    }

    pub(crate) fn most(&self) -> usize {
        self.0.most.load(Ordering::Relaxed)
    }
}

struct Running<'a>(&'a Counts);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::AcqRel);
    }
}
