//! Errors of services that are limited by [`for_any_service`](crate::ConcurrencyLimitLayer::for_any_service).

use std::{error::Error, fmt};

use crate::rejection::Rejection;

/// The error of a limited service whose own error type cannot represent a rejection. Set by
/// [`wrap_errors`](crate::ConcurrencyLimitLayer::wrap_errors).
#[derive(Clone, Debug)]
pub enum LimitError<E> {
    /// The request was rejected and never reached the service.
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

/// An error that a rejection can become: every type that is `From<Rejection>`.
///
/// A trait of its own, because a note on `From` cannot name the cure.
#[diagnostic::on_unimplemented(
    message = "a rejection cannot become the error `{Self}` of the limited service",
    label = "not `From<Rejection>`",
    note = "for services of `http` requests, such as those of axum, leave `.for_any_service()` out",
    note = "after `.for_any_service()`, choose what a rejection becomes: `.wrap_errors()` for the error `LimitError<{Self}>`, `.map_rejection(|rejection| error)`, or `.on_reject(|rejection| response)`"
)]
pub trait FromRejection: Sized {
    fn from_rejection(rejection: Rejection) -> Self;
}

#[diagnostic::do_not_recommend]
impl<E: From<Rejection>> FromRejection for E {
    fn from_rejection(rejection: Rejection) -> Self {
        rejection.into()
    }
}
