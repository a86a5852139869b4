//! What a call holds while it runs.

use std::{fmt, sync::Arc};

use http::{Extensions, StatusCode};

use super::layer::Route;
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

struct Exposed(PermitHandle);

impl Drop for Exposed {
    fn drop(&mut self) {
        drop(self.0.take());
    }
}

impl Held {
    /// For a request that was let in.
    #[inline]
    pub(super) fn set(route: Arc<Route>, mut grant: Option<Box<Grant>>) -> Self {
        if let Some(grant) = &mut grant {
            grant.set_outcome(Outcome::Ignore); // should the call be dropped
        }
        Self(Kind::Set(Admitted { route, grant }))
    }

    /// For a request that was let in to the set of `route`, or that went past the limit. If it is to
    /// be exposed, a handle to the permit is in the request's extensions; the handle of a request that
    /// went past the limit is empty, so that its handler need not care.
    pub(super) fn expose_if(
        expose: bool,
        granted: Option<(Arc<Route>, Option<Box<Grant>>)>,
        extensions: Option<&mut Extensions>,
    ) -> Self {
        match (extensions, granted) {
            (Some(extensions), granted) if expose => {
                let permit = granted.map(|(route, grant)| route.set.permit(grant));
                let handle = PermitHandle::new(permit);
                extensions.insert(handle.clone());
                Self(Kind::Exposed(Exposed(handle)))
            }
            (_, Some((route, grant))) => Self::set(route, grant),
            (_, None) => Self(Kind::Bypassed),
        }
    }

    /// Whether somebody wants to know how the work went.
    #[inline]
    pub(super) fn is_remembered(&self) -> bool {
        matches!(&self.0, Kind::Set(Admitted { grant: Some(_), .. }))
    }

    /// The call has ended, with this status.
    #[cold]
    pub(super) fn ended(&mut self, status: Option<StatusCode>) {
        if let Kind::Set(Admitted {
            route,
            grant: Some(grant),
        }) = &mut self.0
        {
            let asks = route.asks.as_ref();
            grant.set_outcome(asks.map_or(Outcome::Success, |asks| asks.outcome(status)));
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
            Kind::Exposed(Exposed(handle)) => handle.fmt(f),
            Kind::Bypassed => f.write_str("nothing"),
        }
    }
}
