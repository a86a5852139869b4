//! What a call holds while it runs.

use std::{fmt, sync::Arc};

use http::Extensions;

use super::layer::Route;
use crate::{gate::Claimant, limiter::nested, permit::PermitHandle};

/// What a call holds while it runs. Dropping it returns the set, unless the handler has taken the
/// permit.
pub struct Held(Kind);

enum Kind {
    /// The set of the route. Not yet a permit, which most handlers never see.
    Set(Admitted),
    /// The handler may take it.
    Exposed(Exposed),
    /// The request went past the limit.
    Bypassed,
}

/// The set of a route, on behalf of a request that was let in.
struct Admitted(Arc<Route>);

impl Drop for Admitted {
    #[inline]
    fn drop(&mut self) {
        self.0.set.leave();
    }
}

struct Exposed(PermitHandle);

impl Drop for Exposed {
    fn drop(&mut self) {
        drop(self.0.take());
    }
}

impl Held {
    /// For a request that was let in.
    #[inline]
    pub(super) fn set(route: Arc<Route>) -> Self {
        Self(Kind::Set(Admitted(route)))
    }

    /// For a request that was let in to the set of `route`, or that went past the limit. If it is to
    /// be exposed, a handle to the permit is in the request's extensions; the handle of a request that
    /// went past the limit is empty, so that its handler need not care.
    pub(super) fn expose_if(
        expose: bool,
        route: Option<Arc<Route>>,
        extensions: Option<&mut Extensions>,
    ) -> Self {
        match (extensions, route) {
            (Some(extensions), route) if expose => {
                let handle = PermitHandle::new(route.map(|route| route.set.permit()));
                extensions.insert(handle.clone());
                Self(Kind::Exposed(Exposed(handle)))
            }
            (_, Some(route)) => Self::set(route),
            (_, None) => Self(Kind::Bypassed),
        }
    }

    /// Marks this thread as working under the set. A permit that the handler may have taken and
    /// returned proves nothing.
    #[inline]
    pub(super) fn watch(&self) -> Option<nested::Held> {
        match &self.0 {
            Kind::Set(Admitted(route)) => Some(nested::held(route.set.gate(), route.set.demands())),
            _ => None,
        }
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Set(Admitted(route)) => f.write_str(&route.set.names()),
            Kind::Exposed(Exposed(handle)) => handle.fmt(f),
            Kind::Bypassed => f.write_str("nothing"),
        }
    }
}
