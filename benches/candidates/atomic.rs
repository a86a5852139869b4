//! A counter that sheds: the floor.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header::CONTENT_TYPE};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

#[derive(Clone)]
pub(super) struct AtomicLayer {
    limit: usize,
    in_use: Arc<AtomicUsize>,
}

impl AtomicLayer {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            in_use: Arc::default(),
        }
    }
}

impl<S> Layer<S> for AtomicLayer {
    type Service = AtomicLimit<S>;

    fn layer(&self, inner: S) -> AtomicLimit<S> {
        AtomicLimit {
            inner,
            limit: self.limit,
            in_use: Arc::clone(&self.in_use),
        }
    }
}

#[derive(Clone)]
pub(super) struct AtomicLimit<S> {
    inner: S,
    limit: usize,
    in_use: Arc<AtomicUsize>,
}

impl<S, Req, B> Service<Req> for AtomicLimit<S>
where
    S: Service<Req, Response = Response<B>>,
    B: From<Bytes>,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = Shedding<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Req) -> Shedding<S::Future> {
        let slot = Slot(Arc::clone(&self.in_use));
        if slot.0.fetch_add(1, Ordering::Acquire) >= self.limit {
            return Shedding::Shed;
        }
        Shedding::Running {
            future: self.inner.call(request),
            slot,
        }
    }
}

struct Slot(Arc<AtomicUsize>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

pin_project! {
    #[project = SheddingProj]
    pub(super) enum Shedding<F> {
        Running {
            #[pin]
            future: F,
            slot: Slot,
        },
        Shed,
    }
}

impl<F, B, E> Future for Shedding<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: From<Bytes>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        Poll::Ready(match self.project() {
            SheddingProj::Running { future, .. } => ready!(future.poll(cx)),
            SheddingProj::Shed => Ok(busy()),
        })
    }
}

/// What those who are turned away are told: the same as by this crate.
pub(super) fn busy<B: From<Bytes>>() -> Response<B> {
    let body = Bytes::from_static(br#"{"detail":"Server busy, please retry later"}"#);
    let mut response = Response::new(B::from(body));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}
