//! What a call holds while it runs.

use std::{fmt, sync::Arc};

use http::Extensions;

use super::{ResponseHead, layer::Route};
use crate::{
    adaptive::Outcome,
    gate::{Claimant, Grant},
    limiter::nested,
    permit::PermitHandle,
};

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
struct Admitted {
    route: Arc<Route>,
    grant: Option<Box<Grant>>,
}

impl Drop for Admitted {
    #[inline]
    fn drop(&mut self) {
        match &self.grant {
            None => self.route.set.leave(),
            Some(_) => self.route.set.give_back(self.grant.as_deref()),
        }
    }
}

struct Exposed {
    handle: PermitHandle,
    /// Of a request that did not go past the limit.
    route: Option<Arc<Route>>,
}

impl Exposed {
    fn is_remembered(&self) -> bool {
        let route = self.route.as_ref();
        route.is_some_and(|route| route.set.is_remembered())
    }
}

impl Drop for Exposed {
    fn drop(&mut self) {
        let route = self.route.as_ref();
        if let Some(exposure) = route.and_then(|route| route.expose.as_ref()) {
            self.handle.close(exposure);
        }
    }
}

impl Held {
    /// For a request that was let in.
    #[inline]
    pub(super) fn set(route: Arc<Route>, mut grant: Option<Box<Grant>>) -> Self {
        if let Some(grant) = &mut grant {
            grant.set_outcome(Outcome::Dropped); // unless the call ends
        }
        Self(Kind::Set(Admitted { route, grant }))
    }

    /// For a request that was let in to the set of `route`, or that went past the limit. If it is to
    /// be exposed, a handle to the permit is in the request's extensions; the handle of a request that
    /// went past the limit is empty, so that its handler need not care.
    pub(super) fn expose_if(
        expose: bool,
        load: u64,
        granted: Option<(Arc<Route>, Option<Box<Grant>>)>,
        extensions: Option<&mut Extensions>,
    ) -> Self {
        match (extensions, granted) {
            (Some(extensions), granted) if expose => {
                let (route, permit) = granted
                    .map(|(route, grant)| (Arc::clone(&route), route.set.permit(load, grant)))
                    .unzip();
                let handle = PermitHandle::new(permit);
                handle.set_outcome(Outcome::Dropped); // unless the call ends
                extensions.insert(handle.clone());
                Self(Kind::Exposed(Exposed { handle, route }))
            }
            (_, Some((route, grant))) => Self::set(route, grant),
            (_, None) => Self(Kind::Bypassed),
        }
    }

    /// Whether somebody wants to know how the work went.
    #[inline]
    pub(super) fn is_remembered(&self) -> bool {
        match &self.0 {
            Kind::Set(admitted) => admitted.grant.is_some(),
            Kind::Exposed(exposed) => exposed.is_remembered(),
            Kind::Bypassed => false,
        }
    }

    /// The call has ended, with this response unless the service failed.
    #[cold]
    pub(super) fn ended(&mut self, head: Option<&ResponseHead<'_>>) {
        let outcome = |route: &Route| {
            let asks = route.asks.as_ref();
            asks.map_or(Outcome::Success, |asks| asks.outcome(head))
        };
        match &mut self.0 {
            Kind::Set(Admitted {
                route,
                grant: Some(grant),
            }) => grant.set_outcome(outcome(route)),
            Kind::Exposed(Exposed {
                handle,
                route: Some(route),
            }) => handle.set_outcome(outcome(route)),
            _ => {}
        }
    }

    /// Marks this thread as working under the set. A permit that the handler may have taken and
    /// returned proves nothing.
    #[inline]
    pub(super) fn watch(&self) -> Option<nested::Held> {
        match &self.0 {
            Kind::Set(Admitted { route, .. }) => {
                Some(nested::held(route.set.gate(), route.set.demands()))
            }
            _ => None,
        }
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Set(Admitted { route, .. }) => f.write_str(&route.set.names()),
            Kind::Exposed(Exposed { handle, .. }) => handle.fmt(f),
            Kind::Bypassed => f.write_str("nothing"),
        }
    }
}
