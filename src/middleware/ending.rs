//! How a limited call ends: when its permit is returned, and what a rejection becomes.
//!
//! The type parameter of the layer, chosen by its methods:
//!
//! | ending | chosen by | permit is returned | rejection becomes |
//! |---|---|---|---|
//! | [`UntilBodyEnd`] | default | when the response body has ended | the response of its policy |
//! | [`AtHead`] | [`.release_at_head()`](super::ConcurrencyLimitLayer::release_at_head) | with the response head | the response of its policy; the body type stays the inner service's |
//! | [`AnyService`] | [`.for_any_service()`](super::ConcurrencyLimitLayer::for_any_service) | with the response | an error, or a response value |

use std::{
    error::Error,
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use http::{Extensions, Request, Response};
use http_body::Body;

use super::{Custom, Held, Refuse, Reject, RequestHead, ResponseBody, ResponseHead, ServerBusy};
use crate::rejection::Rejection;

/// How a call to a service with these requests, responses and errors ends.
///
/// Implemented by the types of this module alone. What you implement is [`Reject`].
#[diagnostic::on_unimplemented(
    message = "a concurrency limit that ends as `{Self}` does not fit a service that answers `{Req}` with `{Res}`",
    note = "the limit speaks HTTP by default; around other services, use `limiter.resources([..]).for_any_service()`",
    note = "after `.release_at_head()`, a response body that cannot be made from `bytes::Bytes` needs `.reject_with(|rejection| response)`"
)]
pub trait Ending<Req, Res, Err>: Sealed {
    /// The response of the limited service.
    type Response;
    /// The error of the limited service.
    type Error;

    /// Polls the call of the inner service, which holds this until it has answered.
    #[doc(hidden)]
    fn poll<C: Future<Output = Result<Res, Err>>>(
        call: Pin<&mut C>,
        cx: &mut Context<'_>,
        held: &mut Option<Held>,
    ) -> Poll<Result<Self::Response, Self::Error>>;

    #[doc(hidden)]
    fn reject(&self, request: Req, rejection: Rejection) -> Result<Self::Response, Self::Error>;

    #[doc(hidden)]
    fn fail(error: Err) -> Self::Error;

    #[doc(hidden)]
    fn head(_: &Req) -> Option<RequestHead<'_>> {
        None
    }

    #[doc(hidden)]
    fn extensions(_: &mut Req) -> Option<&mut Extensions> {
        None
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
        return hold_and_tell(call, cx, held, head);
    }
    let poll = call.poll(cx);
    // Returned last of all, when the response is in the caller's hands: as long as a panic here would
    // have to drop it, it is made in a place of its own and copied twice on its way out.
    let _done = match poll {
        Poll::Ready(_) => held.take(),
        Poll::Pending => None,
    };
    poll
}

/// The same where somebody wants to know how the work went.
#[cold]
fn hold_and_tell<C: Future>(
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

#[inline]
fn hold_until_body_end<B: Body, Err>(
    call: Pin<&mut impl Future<Output = Result<Response<B>, Err>>>,
    cx: &mut Context<'_>,
    held: &mut Option<Held>,
) -> Poll<Result<Response<ResponseBody<B>>, Err>> {
    call.poll(cx).map(|result| {
        let mut held = held.take();
        if let Some(held) = held.as_mut().filter(|held| held.is_recorded()) {
            held.ended(head_of(&result).as_ref());
        }
        result.map(|response| response.map(|body| ResponseBody::holding(body, held)))
    })
}

/// The head of a response, unless the service failed.
fn head_of<B, Err>(result: &Result<Response<B>, Err>) -> Option<ResponseHead<'_>> {
    result.as_ref().ok().map(ResponseHead::from)
}

/// Of a response that has none.
fn no_head<T>(_: &T) -> Option<ResponseHead<'_>> {
    None
}

mod sealed {
    pub trait Sealed {}
    impl<R> Sealed for super::UntilBodyEnd<R> {}
    impl<R> Sealed for super::AtHead<R> {}
    impl<R> Sealed for super::AnyService<R> {}
}
pub(super) use sealed::Sealed;

/// The permit is held until the response body has ended, failed or been dropped.
#[derive(Clone, Copy, Debug, Default)]
pub struct UntilBodyEnd<R = ServerBusy>(pub(super) R);

impl<ReqB, B, Err, R> Ending<Request<ReqB>, Response<B>, Err> for UntilBodyEnd<R>
where
    B: Body,
    R: Refuse<Request<ReqB>, B>,
{
    type Response = Response<ResponseBody<B>>;
    type Error = Err;

    #[inline]
    fn poll<C: Future<Output = Result<Response<B>, Err>>>(
        call: Pin<&mut C>,
        cx: &mut Context<'_>,
        held: &mut Option<Held>,
    ) -> Poll<Result<Self::Response, Err>> {
        hold_until_body_end(call, cx, held)
    }

    fn reject(&self, request: Request<ReqB>, rejection: Rejection) -> Result<Self::Response, Err> {
        let rejection = rejection.of_request(request.headers());
        Ok(self.0.refuse(request, rejection))
    }

    #[inline]
    fn fail(error: Err) -> Err {
        error
    }

    fn head(request: &Request<ReqB>) -> Option<RequestHead<'_>> {
        Some(request.into())
    }

    fn extensions(request: &mut Request<ReqB>) -> Option<&mut Extensions> {
        Some(request.extensions_mut())
    }
}

/// The permit is returned when the response head is there; the body may still stream.
#[derive(Clone, Copy, Debug, Default)]
pub struct AtHead<R = ServerBusy>(pub(super) R);

impl<ReqB, B, Err, R> Ending<Request<ReqB>, Response<B>, Err> for AtHead<R>
where
    R: Reject<Request<ReqB>, Response<B>>,
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

    fn reject(&self, request: Request<ReqB>, rejection: Rejection) -> Result<Self::Response, Err> {
        let rejection = rejection.of_request(request.headers());
        Ok(self.0.reject(request, rejection))
    }

    #[inline]
    fn fail(error: Err) -> Err {
        error
    }

    fn head(request: &Request<ReqB>) -> Option<RequestHead<'_>> {
        Some(request.into())
    }

    fn extensions(request: &mut Request<ReqB>) -> Option<&mut Extensions> {
        Some(request.extensions_mut())
    }
}

/// Around any service: the permit is returned with the response, whatever that is.
#[derive(Clone, Copy, Debug, Default)]
// The compiler prints the next line where a method such as `call` cannot be called.
pub struct AnyService<R = IntoError>(pub(super) R); // error not `From<Rejection>`? add `.wrap_errors()`

/// A rejection becomes the inner service's error, by `From<Rejection>`. `tower::BoxError` has that.
#[derive(Clone, Copy, Debug, Default)]
pub struct IntoError;

/// An error that a rejection can become: every one that is `From<Rejection>`.
#[diagnostic::on_unimplemented(
    message = "a rejection cannot become the error `{Self}` of the limited service",
    label = "not `From<Rejection>`",
    note = "for services of `http` requests, such as those of axum, leave `.for_any_service()` out",
    note = "after `.for_any_service()`, choose what a rejection becomes: `.wrap_errors()` for the error `LimitError<{Self}>`, `.map_rejection(|rejection| error)`, or `.on_reject(|rejection| response)`"
)]
pub trait FromRejection: Sized {
    #[doc(hidden)]
    fn from_rejection(rejection: Rejection) -> Self;
}

#[diagnostic::do_not_recommend]
impl<E: From<Rejection>> FromRejection for E {
    fn from_rejection(rejection: Rejection) -> Self {
        rejection.into()
    }
}

impl<Req, Res, Err: FromRejection> Ending<Req, Res, Err> for AnyService<IntoError> {
    type Response = Res;
    type Error = Err;

    #[inline]
    fn poll<C: Future<Output = Result<Res, Err>>>(
        call: Pin<&mut C>,
        cx: &mut Context<'_>,
        held: &mut Option<Held>,
    ) -> Poll<Result<Res, Err>> {
        hold_until_ready(call, cx, held, no_head)
    }

    fn reject(&self, _: Req, rejection: Rejection) -> Result<Res, Err> {
        Err(Err::from_rejection(rejection))
    }

    #[inline]
    fn fail(error: Err) -> Err {
        error
    }
}

/// A rejection becomes an error of the inner service, by a closure.
#[derive(Clone, Copy, Debug)]
pub struct MapRejection<F>(pub(super) F);

impl<Req, Res, Err, F> Ending<Req, Res, Err> for AnyService<MapRejection<F>>
where
    F: Fn(Rejection) -> Err,
{
    type Response = Res;
    type Error = Err;

    #[inline]
    fn poll<C: Future<Output = Result<Res, Err>>>(
        call: Pin<&mut C>,
        cx: &mut Context<'_>,
        held: &mut Option<Held>,
    ) -> Poll<Result<Res, Err>> {
        hold_until_ready(call, cx, held, no_head)
    }

    fn reject(&self, _: Req, rejection: Rejection) -> Result<Res, Err> {
        Err((self.0.0)(rejection))
    }

    #[inline]
    fn fail(error: Err) -> Err {
        error
    }
}

/// A rejection becomes a response of the inner service, by a policy.
impl<Req, Res, Err, P> Ending<Req, Res, Err> for AnyService<Custom<P>>
where
    P: Reject<Req, Res>,
{
    type Response = Res;
    type Error = Err;

    #[inline]
    fn poll<C: Future<Output = Result<Res, Err>>>(
        call: Pin<&mut C>,
        cx: &mut Context<'_>,
        held: &mut Option<Held>,
    ) -> Poll<Result<Res, Err>> {
        hold_until_ready(call, cx, held, no_head)
    }

    fn reject(&self, request: Req, rejection: Rejection) -> Result<Res, Err> {
        Ok(self.0.0.reject(request, rejection))
    }

    #[inline]
    fn fail(error: Err) -> Err {
        error
    }
}

/// A rejection becomes [`LimitError::Rejected`], an error of the inner service
/// [`LimitError::Inner`]: for services whose error type is somebody else's.
#[derive(Clone, Copy, Debug, Default)]
pub struct WrapErrors;

impl<Req, Res, Err> Ending<Req, Res, Err> for AnyService<WrapErrors> {
    type Response = Res;
    type Error = LimitError<Err>;

    #[inline]
    fn poll<C: Future<Output = Result<Res, Err>>>(
        call: Pin<&mut C>,
        cx: &mut Context<'_>,
        held: &mut Option<Held>,
    ) -> Poll<Result<Res, LimitError<Err>>> {
        hold_until_ready(call, cx, held, no_head).map_err(LimitError::Inner)
    }

    fn reject(&self, _: Req, rejection: Rejection) -> Result<Res, LimitError<Err>> {
        Err(LimitError::Rejected(rejection))
    }

    #[inline]
    fn fail(error: Err) -> LimitError<Err> {
        LimitError::Inner(error)
    }
}

/// The error of a limited service whose own error type has no room for a rejection.
#[derive(Clone, Debug)]
pub enum LimitError<E> {
    /// The request was turned away; the service has not seen it.
    Rejected(Rejection),
    /// The service failed.
    Inner(E),
}

impl<E: fmt::Display> fmt::Display for LimitError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(rejection) => rejection.fmt(f),
            Self::Inner(error) => error.fmt(f),
        }
    }
}

impl<E: Error + 'static> Error for LimitError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Rejected(_) => None,
            Self::Inner(error) => error.source(),
        }
    }
}
