//! The errors of services that are limited by
//! [`for_any_service`](crate::ConcurrencyLimitLayer::for_any_service).

use std::{error::Error, fmt, task::Poll};

use crate::rejection::Rejection;

/// A rejection or an error of the inner service, for services with an error type that cannot
/// represent a rejection. Set by [`wrap_errors`](crate::ConcurrencyLimitLayer::wrap_errors).
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
    #[doc(hidden)]
    fn from_rejection(rejection: Rejection) -> Self;
}

#[diagnostic::do_not_recommend]
impl<E: From<Rejection>> FromRejection for E {
    fn from_rejection(rejection: Rejection) -> Self {
        rejection.into()
    }
}

/// An error of a limited service: that of its inner service, or one around it.
pub trait FromInner<E>: Sized {
    fn from_inner(error: E) -> Self;

    /// Converts the output of a call. Not by `from_inner` for every error, because a response that
    /// is matched on is copied.
    fn from_output<Res>(output: Poll<Result<Res, E>>) -> Poll<Result<Res, Self>>;
}

impl<E> FromInner<E> for E {
    #[inline]
    fn from_inner(error: E) -> Self {
        error
    }

    #[inline]
    fn from_output<Res>(output: Poll<Result<Res, E>>) -> Poll<Result<Res, E>> {
        output
    }
}

impl<E> FromInner<E> for LimitError<E> {
    #[inline]
    fn from_inner(error: E) -> Self {
        Self::Inner(error)
    }

    #[inline]
    fn from_output<Res>(output: Poll<Result<Res, E>>) -> Poll<Result<Res, Self>> {
        output.map_err(Self::Inner)
    }
}
