//! One call, and what came of it.

use std::{
    future::Future,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body::Body;
use tower::Service;

use super::{Request, request};

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Admitted,
    Rejected,
}

impl Outcome {
    /// Reads the response to the end of its body. An error is what some peers reject with.
    pub(crate) fn of<B, E>(result: Result<Response<B>, E>) -> Self
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let Ok(mut response) = result else {
            return Self::Rejected;
        };
        let mut cx = Context::from_waker(Waker::noop());
        let mut bytes = 0;
        while !response.body().is_end_stream() {
            match Pin::new(response.body_mut()).poll_frame(&mut cx) {
                Poll::Ready(Some(Ok(frame))) => bytes += frame.data_ref().map_or(0, Bytes::len),
                Poll::Ready(None) => break,
                _ => panic!("a body of bytes is there at once"),
            }
        }
        match (response.status(), bytes) {
            (StatusCode::OK, 2) => Self::Admitted,
            (StatusCode::SERVICE_UNAVAILABLE, 1..) => Self::Rejected,
            other => panic!("an unexpected response: {other:?}"),
        }
    }
}

/// Readiness, a call and its response, all of which are there at once.
pub(crate) fn at_once<S, B>(service: &mut S) -> Outcome
where
    S: Service<Request, Response = Response<B>>,
    B: Body<Data = Bytes> + Unpin,
{
    let mut cx = Context::from_waker(Waker::noop());
    assert!(
        matches!(service.poll_ready(&mut cx), Poll::Ready(Ok(()))),
        "the service is ready"
    );
    match pin!(service.call(request())).poll(&mut cx) {
        Poll::Ready(result) => Outcome::of(result),
        Poll::Pending => panic!("the response is there at once"),
    }
}
