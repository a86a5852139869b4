//! A permit that a handler can take over.

use std::{
    fmt, mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use super::Permit;
use crate::{adaptive::Outcome, observe};

/// The way for a handler to its request's permit, put into the request extensions by
/// [`expose_permit`](crate::ConcurrencyLimitLayer::expose_permit).
///
/// A dropped request drops its permit, but work in `spawn_blocking` or `spawn` goes on, and an
/// upgraded connection outlives its response. Move the permit there, and it lasts as long as the
/// work.
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
///
/// A handler of WebSockets takes the permit before it upgrades: the response that begins the
/// upgrade has no body, so its request ends at once, and the callback of `on_upgrade` comes too
/// late.
///
/// ```
/// # #[cfg(feature = "axum")] {
/// use axum::{extract::ws::{WebSocket, WebSocketUpgrade}, response::Response};
/// use tower_concurrency_limiter::{Permit, PermitHandle};
///
/// async fn chat(permit: PermitHandle, upgrade: WebSocketUpgrade) -> Response {
///     let permit = permit.take(); // here, not in the callback
///     upgrade.on_upgrade(|socket| talk(socket, permit))
/// }
///
/// async fn talk(mut socket: WebSocket, _permit: Option<Permit>) {
///     while let Some(Ok(_)) = socket.recv().await {}
/// } // the permit is returned when the socket is closed
/// # }
/// ```
///
/// To call such a handler in a test without the layer, make a handle by
/// `PermitHandle::from(permit)`, or an [empty](Self::empty) one.
#[derive(Clone)]
pub struct PermitHandle(Arc<Mutex<Slot>>);

enum Slot {
    /// The handler may take it.
    Permit(Permit),
    /// There was none, or it was taken.
    Empty,
    /// The request has ended, and its permit was returned.
    Returned(Arc<Exposure>),
}

/// What the requests of a layer that exposes permits have in common.
pub(crate) struct Exposure {
    resource: String,
    /// Whether it was reported that a permit was taken too late.
    reported: AtomicBool,
}

impl Exposure {
    /// Of a set with these resources, as logs show them.
    pub(crate) fn new(resource: String) -> Self {
        Self {
            resource,
            reported: AtomicBool::new(false),
        }
    }

    fn report(&self) {
        if !self.reported.swap(true, Ordering::Relaxed) {
            observe::permit_taken_too_late(&self.resource);
        }
    }
}

impl PermitHandle {
    /// Creates a handle without a permit: that of a request that was let
    /// [past](crate::ConcurrencyLimitLayer::bypass) the limit, and for tests of handlers.
    pub fn empty() -> Self {
        Self::of(Slot::Empty)
    }

    pub(crate) fn new(permit: Option<Permit>) -> Self {
        Self::of(permit.map_or(Slot::Empty, Slot::Permit))
    }

    fn of(slot: Slot) -> Self {
        Self(Arc::new(Mutex::new(slot)))
    }

    /// Moves the permit out. Returns `None` if it was taken before, if the request was let past the
    /// limit, or if the request has ended and its permit was returned.
    ///
    /// The request ends with its response body, or when its client leaves. The response to an
    /// upgrade has no body, so in the callback of `on_upgrade`, and often in a spawned task, it is
    /// too late: the work goes on without a permit and the limit does not hold for it. The first
    /// time that a request of a layer does so, an [event](crate::observe) of level `WARN` is
    /// logged. Take the permit in the handler, and move it.
    pub fn take(&self) -> Option<Permit> {
        let mut slot = self.lock();
        match mem::replace(&mut *slot, Slot::Empty) {
            Slot::Permit(mut permit) => {
                permit.set_outcome(Outcome::default()); // from now on it is the handler's to say
                Some(permit)
            }
            Slot::Empty => None,
            Slot::Returned(exposure) => {
                *slot = Slot::Returned(Arc::clone(&exposure));
                drop(slot); // a subscriber may come back here
                exposure.report();
                None
            }
        }
    }

    /// Returns the permit, if the handler has left it here.
    pub(crate) fn close(&self, exposure: &Arc<Exposure>) {
        let mut slot = self.lock();
        if let Slot::Permit(_) = *slot {
            let permit = mem::replace(&mut *slot, Slot::Returned(Arc::clone(exposure)));
            drop(slot);
            drop(permit); // not under the lock
        }
    }

    /// How the work went, if the handler has left the permit here.
    pub(crate) fn set_outcome(&self, outcome: Outcome) {
        if let Slot::Permit(permit) = &mut *self.lock() {
            permit.set_outcome(outcome);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A handle to this permit, for tests of handlers:
///
/// ```
/// use std::time::Duration;
/// use tower_concurrency_limiter::{Limiter, PermitHandle, Resource};
///
/// async fn report(permit: PermitHandle) -> &'static str {
///     match permit.take() {
///         Some(_permit) => "rows",
///         None => "no permit",
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let db = Resource::new("db", 1);
/// let limiter = Limiter::new(Duration::from_secs(5), [&db]);
/// let permit = limiter.try_acquire([&db]).unwrap();
/// assert_eq!(report(PermitHandle::from(permit)).await, "rows");
/// assert_eq!(report(PermitHandle::empty()).await, "no permit");
/// # }
/// ```
///
/// In a request, for the extractor: `request.extensions_mut().insert(PermitHandle::from(permit))`.
impl From<Permit> for PermitHandle {
    fn from(permit: Permit) -> Self {
        Self::new(Some(permit))
    }
}

impl fmt::Debug for PermitHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slot = self.lock();
        let state: &dyn fmt::Debug = match &*slot {
            Slot::Permit(permit) => permit,
            Slot::Empty => &"empty",
            Slot::Returned(_) => &"returned",
        };
        f.debug_tuple("PermitHandle").field(state).finish()
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
