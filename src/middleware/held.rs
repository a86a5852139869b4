//! The permit of a call, wherever it is.

use std::fmt;

use http::Extensions;

use crate::{
    limiter::nested,
    permit::{Permit, PermitHandle},
};

/// What a call holds while it runs. Dropping it returns the permit, unless the handler has taken it.
pub struct Held(Kind);

enum Kind {
    Permit(Permit),
    /// The handler may take it.
    Exposed(PermitHandle),
    /// The request went past the limit.
    Bypassed,
}

impl Held {
    #[inline]
    pub(super) fn permit(permit: Permit) -> Self {
        Self(Kind::Permit(permit))
    }

    pub(super) fn bypassed() -> Self {
        Self(Kind::Bypassed)
    }

    /// Puts a handle to the permit into the request's extensions. A request that went past the limit
    /// gets an empty one, so that its handler need not care.
    pub(super) fn expose(self, extensions: &mut Extensions) -> Self {
        let permit = match &self.0 {
            Kind::Exposed(_) => return self,
            Kind::Bypassed => None,
            Kind::Permit(_) => self.into_permit(),
        };
        let handle = PermitHandle::new(permit);
        extensions.insert(handle.clone());
        Self(Kind::Exposed(handle))
    }

    fn into_permit(mut self) -> Option<Permit> {
        match std::mem::replace(&mut self.0, Kind::Bypassed) {
            Kind::Permit(permit) => Some(permit),
            _ => None,
        }
    }

    /// Marks this thread as working under the permit. One that the handler may have taken and
    /// returned proves nothing.
    #[inline]
    pub(super) fn watch(&self) -> Option<nested::Held> {
        match &self.0 {
            Kind::Permit(permit) => Some(nested::held(permit)),
            _ => None,
        }
    }
}

impl Drop for Held {
    #[inline]
    fn drop(&mut self) {
        if let Kind::Exposed(handle) = &self.0 {
            drop(handle.take());
        }
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Permit(permit) => permit.fmt(f),
            Kind::Exposed(handle) => handle.fmt(f),
            Kind::Bypassed => f.write_str("Bypassed"),
        }
    }
}
