//! What a competent user writes: a semaphore, a timeout, a 503.

use std::{
    future::Future,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::middleware::Next;
use bytes::Bytes;
use http::Response;
use tokio::{sync::Semaphore, time::timeout};
use tower::{Layer, Service};

use super::{Settings, atomic::busy};
use crate::support::Request;

#[derive(Clone)]
pub(super) struct SemaphoreLayer {
    semaphore: Arc<Semaphore>,
    wait: Duration,
}

impl SemaphoreLayer {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            semaphore: Arc::new(Semaphore::new(settings.limit)),
            wait: settings.wait,
        }
    }

    /// The same for `axum::middleware::from_fn`.
    pub(super) async fn run(self, request: Request, next: Next) -> axum::response::Response {
        match timeout(self.wait, self.semaphore.acquire()).await {
            Ok(Ok(_permit)) => next.run(request).await,
            _ => busy(),
        }
    }
}

impl<S> Layer<S> for SemaphoreLayer {
    type Service = SemaphoreLimit<S>;

    fn layer(&self, inner: S) -> SemaphoreLimit<S> {
        SemaphoreLimit {
            inner,
            shared: self.clone(),
        }
    }
}

#[derive(Clone)]
pub(super) struct SemaphoreLimit<S> {
    inner: S,
    shared: SemaphoreLayer,
}

impl<S, Req, B> Service<Req> for SemaphoreLimit<S>
where
    S: Service<Req, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    Req: Send + 'static,
    B: From<Bytes>,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<B>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let fresh = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, fresh);
        let SemaphoreLayer { semaphore, wait } = self.shared.clone();
        Box::pin(async move {
            match timeout(wait, semaphore.acquire_owned()).await {
                Ok(Ok(_permit)) => inner.call(request).await,
                _ => Ok(busy()),
            }
        })
    }
}
