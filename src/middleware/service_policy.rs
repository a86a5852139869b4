//! What a rejection becomes around any service: its response, its error, or an error around that.

use super::{
    error::{FromInner, FromRejection, LimitError},
    rejection_policy::{Custom, DefaultRejection, Reject},
};
use crate::rejection::Rejection;

/// A policy for any service: a rejection becomes a response or an error.
pub trait ServicePolicy<Req, Res, Err> {
    /// The error of the limited service.
    type Error: FromInner<Err>;

    #[doc(hidden)]
    fn reject_any(&self, request: Req, rejection: Rejection) -> Result<Res, Self::Error>;
}

impl<Req, Res, Err: FromRejection> ServicePolicy<Req, Res, Err> for DefaultRejection {
    type Error = Err;

    fn reject_any(&self, _: Req, rejection: Rejection) -> Result<Res, Err> {
        Err(Err::from_rejection(rejection))
    }
}

impl<Req, Res, Err, P> ServicePolicy<Req, Res, Err> for Custom<P>
where
    P: Reject<Req, Res>,
{
    type Error = Err;

    fn reject_any(&self, request: Req, rejection: Rejection) -> Result<Res, Err> {
        Ok(self.0.reject(request, rejection))
    }
}

/// The policy of [`map_rejection`](crate::ConcurrencyLimitLayer::map_rejection): a closure makes
/// the inner service's error.
#[derive(Clone, Copy, Debug)]
pub struct MapRejection<F>(pub(super) F);

impl<Req, Res, Err, F> ServicePolicy<Req, Res, Err> for MapRejection<F>
where
    F: Fn(Rejection) -> Err,
{
    type Error = Err;

    fn reject_any(&self, _: Req, rejection: Rejection) -> Result<Res, Err> {
        Err((self.0)(rejection))
    }
}

/// The policy of [`wrap_errors`](crate::ConcurrencyLimitLayer::wrap_errors): a rejection becomes
/// [`LimitError::Rejected`], and an error of the inner service [`LimitError::Inner`].
#[derive(Clone, Copy, Debug, Default)]
pub struct WrapErrors;

impl<Req, Res, Err> ServicePolicy<Req, Res, Err> for WrapErrors {
    type Error = LimitError<Err>;

    fn reject_any(&self, _: Req, rejection: Rejection) -> Result<Res, LimitError<Err>> {
        Err(LimitError::Rejected(rejection))
    }
}
