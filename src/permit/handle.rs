//! A permit that a handler can take over.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::Permit;
use crate::adaptive::Outcome;

/// The way for a handler to its request's permit, put into the request extensions by
/// [`expose_permit`](crate::ConcurrencyLimitLayer::expose_permit).
///
/// A dropped request drops its permit, but work in `spawn_blocking` or `spawn` goes on, and an
/// upgraded connection outlives its response. Move the permit there, and it lasts as long as the work.
///
/// With the feature `axum` it is an extractor:
///
/// ```
/// # #[cfg(feature = "axum")] {
/// use tower_concurrency_limiter::PermitHandle;
///
/// async fn messages(permit: PermitHandle) -> String {
///     let permit = permit.take();
///     let query = tokio::task::spawn_blocking(move || {
///         let _permit = permit; // returned when the query is done, not when the client is gone
///         "rows".to_owned()
///     });
///     query.await.unwrap_or_default()
/// }
/// # }
/// ```
#[derive(Clone)]
pub struct PermitHandle(Arc<Mutex<Option<Permit>>>);

impl PermitHandle {
    pub(crate) fn new(permit: Option<Permit>) -> Self {
        Self(Arc::new(Mutex::new(permit)))
    }

    /// Moves the permit out. `None` if it was taken before, or if the request is over and its permit
    /// has been returned.
    pub fn take(&self) -> Option<Permit> {
        let mut permit = self.lock().take();
        if let Some(permit) = &mut permit {
            permit.set_outcome(Outcome::default()); // from now on it is the handler's to say
        }
        permit
    }

    /// Returns the permit, if the handler has left it here.
    pub(crate) fn close(&self) {
        let permit = self.lock().take();
        drop(permit); // not under the lock
    }

    /// How the work went, if the handler has left the permit here.
    pub(crate) fn set_outcome(&self, outcome: Outcome) {
        if let Some(permit) = &mut *self.lock() {
            permit.set_outcome(outcome);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Permit>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for PermitHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PermitHandle").field(&*self.lock()).finish()
    }
}

#[cfg(feature = "axum")]
mod extractor {
    use axum_core::{extract::FromRequestParts, response::IntoResponse};
    use http::{StatusCode, request::Parts};

    use super::PermitHandle;

    /// A request without a [`PermitHandle`]: its route has no limit that exposes one.
    ///
    /// As a response it is a 500, because the cure is in the server: add `.expose_permit()` to the
    /// layer.
    #[derive(Clone, Copy, Debug)]
    pub struct MissingPermit;

    impl std::fmt::Display for MissingPermit {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(
                "no permit in the request; limit this route with \
                 `limiter.resources([..]).expose_permit()`",
            )
        }
    }

    impl std::error::Error for MissingPermit {}

    impl IntoResponse for MissingPermit {
        fn into_response(self) -> axum_core::response::Response {
            (StatusCode::INTERNAL_SERVER_ERROR, self.to_string()).into_response()
        }
    }

    #[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
    impl<S: Sync> FromRequestParts<S> for PermitHandle {
        type Rejection = MissingPermit;

        async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, MissingPermit> {
            parts.extensions.get::<Self>().cloned().ok_or(MissingPermit)
        }
    }
}
#[cfg(feature = "axum")]
pub use extractor::MissingPermit;
