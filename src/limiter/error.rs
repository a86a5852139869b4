//! The errors of limiters and sets.

use std::{fmt, sync::Arc};

use crate::resource::Resource;

/// The error of a [`Limiter`](crate::Limiter) that cannot be built. The message names the cure.
#[derive(Clone, PartialEq, Eq)]
pub struct InvalidLimiter(pub(super) LimiterFault);

#[derive(Clone, PartialEq, Eq)]
pub(super) enum LimiterFault {
    NoResources,
    RepeatedName(Arc<str>),
    Taken(Arc<str>),
    Shared { name: Arc<str>, fault: String },
}

impl InvalidLimiter {
    /// Returns `true` if no resource was passed.
    pub fn is_empty(&self) -> bool {
        matches!(self.0, LimiterFault::NoResources)
    }

    /// Returns `true` if two resources have the same name.
    pub fn is_duplicate_name(&self) -> bool {
        matches!(self.0, LimiterFault::RepeatedName(_))
    }

    /// Returns `true` if a resource is registered with another limiter.
    pub fn is_already_registered(&self) -> bool {
        matches!(self.0, LimiterFault::Taken(_))
    }

    /// Returns `true` if a resource cannot be shared between processes as it was built. Never
    /// without the feature `redis`.
    pub fn is_shared(&self) -> bool {
        matches!(self.0, LimiterFault::Shared { .. })
    }
}

impl fmt::Display for InvalidLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            LimiterFault::NoResources => {
                f.write_str("limiter has no resources; pass all that its sets will contain")
            }
            LimiterFault::RepeatedName(name) => write!(
                f,
                "resource \"{name}\" is registered twice; register each resource once, and \
                 give each its own name"
            ),
            LimiterFault::Taken(name) => write!(
                f,
                "resource \"{name}\" is registered with another limiter; clone that limiter, or register \
                 the resource with this one alone"
            ),
            LimiterFault::Shared { name, fault } => write!(f, "resource \"{name}\": {fault}"),
        }
    }
}

impl fmt::Debug for InvalidLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InvalidLimiter({self})")
    }
}

impl std::error::Error for InvalidLimiter {}

/// The error of a set that no limiter, or not this one, can grant. The message names the cure.
#[derive(Clone, PartialEq, Eq)]
pub struct InvalidSet(pub(super) SetFault);

#[derive(Clone, PartialEq, Eq)]
pub(super) enum SetFault {
    Empty,
    Unregistered {
        name: Arc<str>,
    },
    /// Registered with another limiter.
    Elsewhere {
        name: Arc<str>,
    },
    /// Not registered, but another resource of that name is.
    Namesake {
        name: Arc<str>,
    },
    Repeated {
        name: Arc<str>,
    },
    ZeroUnits {
        name: Arc<str>,
    },
    TooWide {
        name: Arc<str>,
        units: usize,
        limit: usize,
    },
    AboveFloor {
        name: Arc<str>,
        units: usize,
        floor: u32,
    },
    OutOfOrder {
        order: String,
    },
}

impl InvalidSet {
    /// Returns `true` if the set is empty.
    pub fn is_empty(&self) -> bool {
        matches!(self.0, SetFault::Empty)
    }

    /// Returns `true` if the set contains a resource that is not registered with this limiter.
    pub fn is_unregistered(&self) -> bool {
        matches!(
            self.0,
            SetFault::Unregistered { .. } | SetFault::Elsewhere { .. } | SetFault::Namesake { .. }
        )
    }

    /// Returns `true` if the set contains a resource twice.
    pub fn is_duplicate(&self) -> bool {
        matches!(self.0, SetFault::Repeated { .. })
    }

    /// Returns `true` if the set claims 0 units of a resource, or more than its limit or the floor
    /// of its adaptive limit.
    pub fn is_units(&self) -> bool {
        matches!(
            self.0,
            SetFault::ZeroUnits { .. } | SetFault::TooWide { .. } | SetFault::AboveFloor { .. }
        )
    }

    /// Returns `true` if the resources of the set are not in canonical order.
    pub fn is_out_of_order(&self) -> bool {
        matches!(self.0, SetFault::OutOfOrder { .. })
    }
}

impl fmt::Display for InvalidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            SetFault::Empty => f.write_str("set is empty; pass at least one resource"),
            SetFault::Unregistered { name } => write!(
                f,
                "resource \"{name}\" is not registered with this limiter; add it to \
                 `Limiter::new(timeout, [..])`"
            ),
            SetFault::Elsewhere { name } => write!(
                f,
                "resource \"{name}\" is registered with another limiter; use that limiter, or \
                 register it with this one alone"
            ),
            SetFault::Namesake { name } => write!(
                f,
                "resource \"{name}\": another resource of this name is registered with this limiter; \
                 pass a clone of that one"
            ),
            SetFault::Repeated { name } => write!(
                f,
                "resource \"{name}\" is in the set twice; pass it once, with `.units(n)` for more \
                 than one"
            ),
            SetFault::ZeroUnits { name } => write!(
                f,
                "resource \"{name}\": a claim of 0 units limits nothing; claim 1 or more, or leave it \
                 out"
            ),
            SetFault::TooWide { name, units, limit } if *limit == Resource::MAX_LIMIT => write!(
                f,
                "resource \"{name}\": a claim of {units} units is out of range; claim at most {limit}"
            ),
            SetFault::TooWide { name, units, limit } => write!(
                f,
                "resource \"{name}\": a claim of {units} units exceeds the limit of {limit}; claim \
                 fewer, or raise the limit"
            ),
            SetFault::AboveFloor { name, units, floor } => write!(
                f,
                "resource \"{name}\": a claim of {units} units exceeds the floor of its adaptive limit, \
                 {floor}, and could never be granted there; claim fewer, or raise the floor"
            ),
            SetFault::OutOfOrder { order } => write!(
                f,
                "set is not in the order in which its resources were registered; pass them as \
                 [{order}], or build the limiter with `.allow_any_order()`"
            ),
        }
    }
}

impl fmt::Debug for InvalidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InvalidSet({self})")
    }
}

impl std::error::Error for InvalidSet {}
