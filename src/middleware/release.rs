//! When a limited call returns its permit: the first type parameter of the layer.
//!
//! * [`OnBodyEnd`], the default: when the response body has ended.
//! * [`OnHead`], set by [`release_at_head`](crate::ConcurrencyLimitLayer::release_at_head):
//!   with the response head. The response type stays the inner service's.
//! * [`OnResponse`], set by [`for_any_service`](crate::ConcurrencyLimitLayer::for_any_service):
//!   with the response of a service that need not be an HTTP service.
//!
//! What a rejected request gets is the second type parameter: see [`Reject`].

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use http::{Extensions, Request, Response};
use http_body::Body;

use super::{
    body::ResponseBody,
    error::FromInner,
    head::{RequestHead, ResponseHead},
    held::Held,
    rejection_policy::{BodyPolicy, Reject},
    service_policy::ServicePolicy,
};
use crate::rejection::Rejection;

/// A release point that fits services with these requests, responses and errors, and the rejection
/// policy `P`.
///
/// This trait is sealed. To change what rejected requests get, implement [`Reject`].
#[diagnostic::on_unimplemented(
    message = "a concurrency limit with the release point `{Self}` does not fit a service that responds to `{Req}` with `{Res}`",
    note = "the limit is for HTTP services by default; around other services, use `limiter.resources([..]).for_any_service()`",
    note = "after `.release_at_head()`, a response body that cannot be made from `bytes::Bytes` needs `.reject_with(|rejection| response)`"
)]
pub trait Release<Req, Res, Err, P>: Sealed {
    /// The response of the limited service.
    type Response;
    /// The error of the limited service: the inner service's, or one around it.
    type Error: FromInner<Err>;

    /// Polls the call of the inner service, and takes `held` when the call is ready.
    #[doc(hidden)]
    fn poll<C: Future<Output = Result<Res, Err>>>(
        call: Pin<&mut C>,
        cx: &mut Context<'_>,
        held: &mut Option<Held>,
    ) -> Poll<Result<Self::Response, Self::Error>>;

    #[doc(hidden)]
    fn reject(
        policy: &P,
        request: Req,
        rejection: Rejection,
    ) -> Result<Self::Response, Self::Error>;

    #[doc(hidden)]
    #[inline]
    fn fail(error: Err) -> Self::Error {
        Self::Error::from_inner(error)
    }

    #[doc(hidden)]
    fn head(_: &Req) -> Option<RequestHead<'_>> {
        None
    }

    #[doc(hidden)]
    fn extensions(_: &mut Req) -> Option<&mut Extensions> {
        None
    }
}

/// A release point of HTTP services. Their layers can read attributes of each request.
#[doc(hidden)]
pub trait Http: Sealed {}

impl Http for OnBodyEnd {}
impl Http for OnHead {}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::OnBodyEnd {}
    impl Sealed for super::OnHead {}
    impl Sealed for super::OnResponse {}
}
use sealed::Sealed;

/// Returns the permit when the response body has ended, failed or been dropped.
#[derive(Clone, Copy, Debug, Default)]
pub struct OnBodyEnd;

impl<ReqB, B, Err, P> Release<Request<ReqB>, Response<B>, Err, P> for OnBodyEnd
where
    B: Body,
    P: BodyPolicy<Request<ReqB>, B>,
{
    type Response = Response<ResponseBody<B>>;
    type Error = Err;

    #[inline]
    fn poll<C: Future<Output = Result<Response<B>, Err>>>(
        call: Pin<&mut C>,
        cx: &mut Context<'_>,
        held: &mut Option<Held>,
    ) -> Poll<Result<Self::Response, Err>> {
        call.poll(cx).map(|result| {
            let mut held = held.take();
            if let Some(held) = held.as_mut().filter(|held| held.is_recorded()) {
                held.ended(head_of(&result).as_ref());
            }
            result.map(|response| response.map(|body| ResponseBody::holding(body, held)))
        })
    }

    fn reject(
        policy: &P,
        request: Request<ReqB>,
        rejection: Rejection,
    ) -> Result<Self::Response, Err> {
        let rejection = rejection.of_request(request.headers());
        Ok(policy.reject_with_body(request, rejection))
    }

    fn head(request: &Request<ReqB>) -> Option<RequestHead<'_>> {
        Some(request.into())
    }

    fn extensions(request: &mut Request<ReqB>) -> Option<&mut Extensions> {
        Some(request.extensions_mut())
    }
}

/// Returns the permit with the response head. The body may still stream.
#[derive(Clone, Copy, Debug, Default)]
pub struct OnHead;

impl<ReqB, B, Err, P> Release<Request<ReqB>, Response<B>, Err, P> for OnHead
where
    P: Reject<Request<ReqB>, Response<B>>,
{
    type Response = Response<B>;
    type Error = Err;

    #[inline]
    fn poll<C: Future<Output = Result<Response<B>, Err>>>(
        call: Pin<&mut C>,
        cx: &mut Context<'_>,
        held: &mut Option<Held>,
    ) -> Poll<Result<Response<B>, Err>> {
        hold_until_ready(call, cx, held, head_of)
    }

    fn reject(
        policy: &P,
        request: Request<ReqB>,
        rejection: Rejection,
    ) -> Result<Response<B>, Err> {
        let rejection = rejection.of_request(request.headers());
        Ok(policy.reject(request, rejection))
    }

    fn head(request: &Request<ReqB>) -> Option<RequestHead<'_>> {
        Some(request.into())
    }

    fn extensions(request: &mut Request<ReqB>) -> Option<&mut Extensions> {
        Some(request.extensions_mut())
    }
}

/// Returns the permit with the response, of whatever type, or with the error.
#[derive(Clone, Copy, Debug, Default)]
// The compiler prints the next line where a method such as `call` cannot be called.
pub struct OnResponse; // error not `From<Rejection>`? add `.wrap_errors()`

impl<Req, Res, Err, P> Release<Req, Res, Err, P> for OnResponse
where
    P: ServicePolicy<Req, Res, Err>,
{
    type Response = Res;
    type Error = P::Error;

    #[inline]
    fn poll<C: Future<Output = Result<Res, Err>>>(
        call: Pin<&mut C>,
        cx: &mut Context<'_>,
        held: &mut Option<Held>,
    ) -> Poll<Result<Res, P::Error>> {
        P::Error::from_output(hold_until_ready(call, cx, held, |_| None))
    }

    fn reject(policy: &P, request: Req, rejection: Rejection) -> Result<Res, P::Error> {
        policy.reject_any(request, rejection)
    }
}

#[inline]
fn hold_until_ready<C: Future>(
    call: Pin<&mut C>,
    cx: &mut Context<'_>,
    held: &mut Option<Held>,
    head: impl FnOnce(&C::Output) -> Option<ResponseHead<'_>>,
) -> Poll<C::Output> {
    if held.as_ref().is_some_and(Held::is_recorded) {
        return hold_and_classify(call, cx, held, head);
    }
    let poll = call.poll(cx);
    // Released last, once the response is in the caller's place: if a panic here could still have
    // to drop the response, it would be built in a place of its own and copied twice on its way
    // out.
    let _released_last = match poll {
        Poll::Ready(_) => held.take(),
        Poll::Pending => None,
    };
    poll
}

/// The same for a set with a resource that needs the outcome of each call.
#[cold]
fn hold_and_classify<C: Future>(
    call: Pin<&mut C>,
    cx: &mut Context<'_>,
    held: &mut Option<Held>,
    head: impl FnOnce(&C::Output) -> Option<ResponseHead<'_>>,
) -> Poll<C::Output> {
    let poll = call.poll(cx);
    if let Poll::Ready(output) = &poll {
        if let Some(mut held) = held.take() {
            held.ended(head(output).as_ref());
        }
    }
    poll
}

/// The head of a response; `None` if the service failed.
fn head_of<B, Err>(result: &Result<Response<B>, Err>) -> Option<ResponseHead<'_>> {
    result.as_ref().ok().map(ResponseHead::from)
}
