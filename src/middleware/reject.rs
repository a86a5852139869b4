//! What a rejection becomes.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::Response;

use super::ResponseBody;
use crate::rejection::{Rejection, Respond};

/// A policy for rejected requests.
///
/// It gets the request by value, for content negotiation or to answer in the protocol of the request.
/// Closures from a [`Rejection`] to the response are policies. Set one with
/// [`reject_with`](crate::ConcurrencyLimitLayer::reject_with).
///
/// ```
/// use std::time::Duration;
/// use http::{Request, Response, header::ACCEPT};
/// use tower_concurrency_limiter::{Limiter, Rejection, Resource, middleware::Reject};
///
/// #[derive(Clone)]
/// struct Negotiate;
///
/// impl<B> Reject<Request<B>, Response<String>> for Negotiate {
///     fn reject(&self, request: Request<B>, rejection: Rejection) -> Response<String> {
///         let html = request.headers().get(ACCEPT).is_some_and(|a| a == "text/html");
///         Response::new(if html { "<h1>Busy</h1>".into() } else { rejection.to_string() })
///     }
/// }
///
/// let db = Resource::new("db", 5);
/// let limiter = Limiter::new(Duration::from_secs(5), [&db]);
/// let layer = limiter.resources([&db]).reject_with(Negotiate);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot turn a rejection into `{Res}`",
    note = "where the response body cannot be made from `bytes::Bytes`, pass the response itself: `.reject_with(|rejection| response)`",
    note = "around a gRPC service of tonic, whose body can only be made empty, use `.reject_with(GrpcStatus)`"
)]
pub trait Reject<Req, Res> {
    /// The response to a rejected request.
    fn reject(&self, request: Req, rejection: Rejection) -> Res;
}

impl<F, Req, Res> Reject<Req, Res> for F
where
    F: Fn(Rejection) -> Res,
{
    fn reject(&self, _: Req, rejection: Rejection) -> Res {
        self(rejection)
    }
}

/// The default policy: [`Rejection::response`], which is the JSON 503, or the gRPC status if the request
/// is a gRPC one, unless the limiter says otherwise.
#[derive(Clone, Copy, Debug, Default)]
pub struct ServerBusy;

impl<Req, B: From<Bytes>> Reject<Req, Response<B>> for ServerBusy {
    fn reject(&self, _: Req, rejection: Rejection) -> Response<B> {
        rejection.answer().map(B::from)
    }
}

/// A policy that responds with problem details by RFC 9457, as `application/problem+json`; see
/// [`Rejection::problem_response`]. It wins over what the limiter's `on_reject` makes.
///
/// ```
/// # use std::time::Duration;
/// use tower_concurrency_limiter::{Limiter, Resource, middleware::ProblemDetails};
/// # let db = Resource::new("db", 5);
/// # let limiter = Limiter::new(Duration::from_secs(5), [&db]);
/// let layer = limiter.resources([&db]).reject_with(ProblemDetails);
/// ```
///
/// For all layers of a limiter, use `Limiter::builder().on_reject(|rejection| rejection.problem_response())`.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProblemDetails;

impl<Req, B: From<Bytes>> Reject<Req, Response<B>> for ProblemDetails {
    fn reject(&self, _: Req, rejection: Rejection) -> Response<B> {
        rejection.problem_response().map(B::from)
    }
}

/// A policy that responds with a gRPC status to every request; see [`Rejection::grpc_response`].
///
/// The default policy does so for gRPC requests. This one is for services that cannot have the default
/// one: with [`release_at_head`](crate::ConcurrencyLimitLayer::release_at_head), around a service of
/// tonic, whose response body cannot be made from bytes. It needs a body that is `Default`. It wins over
/// what the limiter's `on_reject` makes.
///
/// ```
/// # use std::time::Duration;
/// use tower_concurrency_limiter::{Limiter, Resource, middleware::GrpcStatus};
/// # let db = Resource::new("db", 5);
/// # let limiter = Limiter::new(Duration::from_secs(5), [&db]);
/// let layer = limiter.resources([&db]).release_at_head().reject_with(GrpcStatus);
/// let server = tonic::transport::Server::builder().layer(layer);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct GrpcStatus;

impl<Req, B: Default> Reject<Req, Response<B>> for GrpcStatus {
    fn reject(&self, _: Req, rejection: Rejection) -> Response<B> {
        rejection.into_grpc_response().map(|_| B::default())
    }
}

/// The policy of [`on_reject`](crate::ConcurrencyLimitLayer::on_reject): a response of bytes, whatever
/// the service's own body is.
#[derive(Clone)]
pub struct OnReject(pub(super) Arc<Respond>);

impl<Req, B: From<Bytes>> Reject<Req, Response<B>> for OnReject {
    fn reject(&self, _: Req, rejection: Rejection) -> Response<B> {
        let mut response = (self.0)(rejection.clone());
        response.extensions_mut().get_or_insert_with(|| rejection);
        response.map(B::from)
    }
}

impl fmt::Debug for OnReject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnReject").finish_non_exhaustive()
    }
}

/// A policy of the layer's own.
#[derive(Clone, Copy, Debug)]
pub struct Custom<P>(pub(super) P);

/// The policy's response, with the rejection in its extensions: the one that the policy has put there,
/// if it knew more.
impl<P, Req, B> Reject<Req, Response<B>> for Custom<P>
where
    P: Reject<Req, Response<B>>,
{
    fn reject(&self, request: Req, rejection: Rejection) -> Response<B> {
        let mut response = self.0.reject(request, rejection.clone());
        response.extensions_mut().get_or_insert_with(|| rejection);
        response
    }
}

/// A refusal in the limit's own body, which holds a permit or the bytes of a refusal.
#[doc(hidden)]
pub trait Refuse<Req, B> {
    fn refuse(&self, request: Req, rejection: Rejection) -> Response<ResponseBody<B>>;
}

impl<Req, B> Refuse<Req, B> for ServerBusy {
    fn refuse(&self, request: Req, rejection: Rejection) -> Response<ResponseBody<B>> {
        self.reject(request, rejection)
    }
}

impl<Req, B> Refuse<Req, B> for OnReject {
    fn refuse(&self, request: Req, rejection: Rejection) -> Response<ResponseBody<B>> {
        self.reject(request, rejection)
    }
}

impl<P, Req, B> Refuse<Req, B> for Custom<P>
where
    P: Reject<Req, Response<B>>,
{
    fn refuse(&self, request: Req, rejection: Rejection) -> Response<ResponseBody<B>> {
        let response: Response<B> = self.reject(request, rejection);
        response.map(ResponseBody::new)
    }
}
