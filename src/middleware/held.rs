//! What a running call holds.

use std::{fmt, sync::Arc};

use http::Extensions;

use super::{head::ResponseHead, route::Route};
use crate::{
    adaptive::Outcome,
    gate::{Claimant, Grant},
    limiter::nested,
    permit::PermitHandle,
};

/// What a running call holds. If dropped, it returns the set, unless the handler has taken the permit.
pub struct Held(Kind);

enum Kind {
    /// The set of the route. It becomes a permit only if that is exposed.
    Set(Admitted),
    /// A permit that the handler may take.
    Exposed(Exposed),
    /// Nothing, because the request bypassed the limit.
    Bypassed,
}

/// The set of a route, held for an admitted request.
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
    /// `None` if the request bypassed the limit.
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
    /// Holds the set of an admitted request.
    #[inline]
    pub(super) fn set(route: Arc<Route>, mut grant: Option<Box<Grant>>) -> Self {
        if let Some(grant) = &mut grant {
            grant.set_outcome(Outcome::Dropped); // overwritten if the call ends
        }
        Self(Kind::Set(Admitted { route, grant }))
    }

    /// Holds the set of an admitted request, or nothing for one that bypassed the limit. If `expose`,
    /// puts a handle to the permit into the request's extensions. After a bypass that handle is empty, so
    /// that the handler of the route finds one in either case.
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
                handle.set_outcome(Outcome::Dropped); // overwritten if the call ends
                extensions.insert(handle.clone());
                Self(Kind::Exposed(Exposed { handle, route }))
            }
            (_, Some((route, grant))) => Self::set(route, grant),
            (_, None) => Self(Kind::Bypassed),
        }
    }

    /// Returns `true` if a resource of the set needs the outcome of the call.
    #[inline]
    pub(super) fn is_remembered(&self) -> bool {
        match &self.0 {
            Kind::Set(admitted) => admitted.grant.is_some(),
            Kind::Exposed(exposed) => exposed.is_remembered(),
            Kind::Bypassed => false,
        }
    }

    /// Sets the outcome of a finished call. `head` is `None` if the service failed.
    #[cold]
    pub(super) fn ended(&mut self, head: Option<&ResponseHead<'_>>) {
        let outcome = |route: &Route| {
            let options = route.options.as_ref();
            options.map_or(Outcome::Success, |options| options.outcome(head))
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

    /// Marks this thread as holding the set. An exposed permit does not count, because the handler may
    /// have released it.
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
