//! What a rejected request gets: the second type parameter of the layer.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::Response;

use super::body::ResponseBody;
use crate::rejection::{Rejection, Respond};

/// A policy for rejected requests.
///
/// It takes the request by value, for content negotiation or for a response in the request's
/// protocol. Closures from a [`Rejection`] to the response are policies too. Set one with
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
    /// Returns the response to a rejected request.
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

/// The default policy: an HTTP request gets [`Rejection::response`]. Unless the limiter has its own
/// response, that is the JSON 503, or the gRPC status if the request is a gRPC one.
///
/// After [`for_any_service`](crate::ConcurrencyLimitLayer::for_any_service) the rejection becomes
/// the inner service's error, by `From<Rejection>`. `tower::BoxError` has that.
#[derive(Clone, Copy, Debug, Default)]
pub struct DefaultRejection;

impl<Req, B: From<Bytes>> Reject<Req, Response<B>> for DefaultRejection {
    fn reject(&self, _: Req, rejection: Rejection) -> Response<B> {
        rejection.answer().map(B::from)
    }
}

/// A policy that responds with problem details by RFC 9457, as `application/problem+json`; see
/// [`Rejection::problem_response`]. It overrides the limiter's `on_reject`.
///
/// ```
/// # use std::time::Duration;
/// use tower_concurrency_limiter::{Limiter, Resource, middleware::ProblemDetails};
/// # let db = Resource::new("db", 5);
/// # let limiter = Limiter::new(Duration::from_secs(5), [&db]);
/// let layer = limiter.resources([&db]).reject_with(ProblemDetails);
/// ```
///
/// For all layers of a limiter, use
/// `Limiter::builder().on_reject(|rejection| rejection.problem_response())`.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProblemDetails;

impl<Req, B: From<Bytes>> Reject<Req, Response<B>> for ProblemDetails {
    fn reject(&self, _: Req, rejection: Rejection) -> Response<B> {
        rejection.problem_response().map(B::from)
    }
}

/// A policy that responds with a gRPC status to every request; see [`Rejection::grpc_response`].
///
/// The default policy does so for gRPC requests. This one is for services with a response body that
/// cannot be made from bytes, as the default requires after
/// [`release_at_head`](crate::ConcurrencyLimitLayer::release_at_head): those of tonic. Their body
/// has to be `Default`. It overrides the limiter's `on_reject`.
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

/// The policy of [`on_reject`](crate::ConcurrencyLimitLayer::on_reject) of HTTP services: a
/// response of bytes, whatever the service's own body is.
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

/// A policy set by [`reject_with`](crate::ConcurrencyLimitLayer::reject_with).
#[derive(Clone, Copy, Debug)]
pub struct Custom<P>(pub(super) P);

/// Returns the policy's response, with the rejection in its extensions, unless the policy has
/// inserted one itself.
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

/// A policy that makes a response with the limit's own body: the bytes of a rejection, or the inner
/// service's body `B`.
pub trait BodyPolicy<Req, B> {
    fn reject_with_body(&self, request: Req, rejection: Rejection) -> Response<ResponseBody<B>>;
}

impl<Req, B> BodyPolicy<Req, B> for DefaultRejection {
    fn reject_with_body(&self, request: Req, rejection: Rejection) -> Response<ResponseBody<B>> {
        self.reject(request, rejection)
    }
}

impl<Req, B> BodyPolicy<Req, B> for OnReject {
    fn reject_with_body(&self, request: Req, rejection: Rejection) -> Response<ResponseBody<B>> {
        self.reject(request, rejection)
    }
}

impl<P, Req, B> BodyPolicy<Req, B> for Custom<P>
where
    P: Reject<Req, Response<B>>,
{
    fn reject_with_body(&self, request: Req, rejection: Rejection) -> Response<ResponseBody<B>> {
        let response: Response<B> = self.reject(request, rejection);
        response.map(ResponseBody::new)
    }
}
