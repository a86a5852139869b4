//! What a running call holds.

use std::{fmt, sync::Arc};

use http::Extensions;

use super::{head::ResponseHead, route::Route};
use crate::{
    adaptive::Outcome,
    core::{Claimant, GateSet, Granted},
    limiter::nested,
    permit::{Permit, PermitHandle},
};

/// What a running call holds. If dropped, it returns the set, unless the handler has taken the
/// permit.
pub struct Held(Kind);

enum Kind {
    /// The set of the route. Not a permit, which most handlers never see.
    Set(Granted<Arc<Route>>),
    /// The handler may take it.
    Exposed(Exposed),
    /// Nothing, because the request bypassed the limit.
    Bypassed,
}

struct Exposed {
    handle: PermitHandle,
    /// `None` if the request bypassed the limit.
    route: Option<Arc<Route>>,
}

impl Exposed {
    fn is_recorded(&self) -> bool {
        let route = self.route.as_ref();
        route.is_some_and(|route| route.set.is_recorded())
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
    /// For a request that was admitted.
    #[inline]
    pub(super) fn set(mut granted: Granted<Arc<Route>>) -> Self {
        granted.begin_work();
        if let Some(record) = granted.record_mut() {
            record.set_outcome(Outcome::Dropped); // unless the call ends
        }
        Self(Kind::Set(granted))
    }

    /// For a request that was admitted to the set of its route, or that bypassed the limit. If the
    /// permit is exposed, a handle to it is put into the extensions of the request; the handle of a
    /// request that bypassed the limit is empty.
    pub(super) fn expose_if(
        expose: bool,
        load: u64,
        granted: Option<Granted<Arc<Route>>>,
        extensions: Option<&mut Extensions>,
    ) -> Self {
        match (extensions, granted) {
            (Some(extensions), granted) if expose => {
                let route = granted
                    .as_ref()
                    .map(|granted| Arc::clone(granted.claimant()));
                let permit = granted.map(|granted| {
                    let granted = granted.map(|route| GateSet::from(route.set.clone()));
                    Permit::new(granted, load)
                });
                let handle = PermitHandle::new(permit);
                handle.set_outcome(Outcome::Dropped); // overwritten if the call ends
                extensions.insert(handle.clone());
                Self(Kind::Exposed(Exposed { handle, route }))
            }
            (_, Some(granted)) => Self::set(granted),
            (_, None) => Self(Kind::Bypassed),
        }
    }

    /// Returns `true` if a resource of the set needs the outcome of the call.
    #[inline]
    pub(super) fn is_recorded(&self) -> bool {
        match &self.0 {
            Kind::Set(granted) => granted.record().is_some(),
            Kind::Exposed(exposed) => exposed.is_recorded(),
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
            Kind::Set(granted) => {
                let outcome = outcome(granted.claimant());
                if let Some(record) = granted.record_mut() {
                    record.set_outcome(outcome);
                }
            }
            Kind::Exposed(Exposed {
                handle,
                route: Some(route),
            }) => handle.set_outcome(outcome(route)),
            _ => {}
        }
    }

    /// Marks this thread as holding the set. An exposed permit does not count, because the handler
    /// may have released it.
    #[inline]
    pub(super) fn watch(&self) -> Option<nested::Held> {
        match &self.0 {
            Kind::Set(granted) => {
                let set = &granted.claimant().set;
                Some(nested::held(set.gate(), set.demands()))
            }
            _ => None,
        }
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Set(granted) => f.write_str(&granted.claimant().set.names()),
            Kind::Exposed(Exposed { handle, .. }) => handle.fmt(f),
            Kind::Bypassed => f.write_str("nothing"),
        }
    }
}
