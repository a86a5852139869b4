//! The error of resources.

use std::{fmt, sync::Arc};

use super::{Resource, rate::RateFault};

/// The error of a [`Resource`] that cannot be built, or cannot be changed in this way. The message
/// names the cure.
#[derive(Clone, PartialEq, Eq)]
pub struct InvalidResource(pub(super) ResourceFault);

#[derive(Clone, PartialEq, Eq)]
pub(super) enum ResourceFault {
    EmptyName,
    NoLimit {
        name: Arc<str>,
    },
    ZeroLimit {
        name: Arc<str>,
    },
    HugeLimit {
        name: Arc<str>,
        limit: usize,
    },
    Rate {
        name: Arc<str>,
        fault: RateFault,
    },
    LoadRate {
        name: Arc<str>,
        fault: RateFault,
    },
    Lanes {
        name: Arc<str>,
        fault: String,
    },
    Reserved {
        name: Arc<str>,
        reserved: u64,
        limit: u32,
    },
    ReservedFloor {
        name: Arc<str>,
        reserved: u64,
        floor: u32,
    },
    NoInterval {
        name: Arc<str>,
    },
    NoRule {
        name: Arc<str>,
        rule: &'static str,
    },
    Unshareable {
        name: Arc<str>,
        fault: &'static str,
        call: &'static str,
    },
    SharedRule {
        name: Arc<str>,
        rule: &'static str,
    },
}

impl InvalidResource {
    /// Returns `true` if the name is empty.
    pub fn is_name(&self) -> bool {
        matches!(self.0, ResourceFault::EmptyName)
    }

    /// Returns `true` if the limit is missing or out of range.
    pub fn is_limit(&self) -> bool {
        matches!(
            self.0,
            ResourceFault::NoLimit { .. }
                | ResourceFault::ZeroLimit { .. }
                | ResourceFault::HugeLimit { .. }
        )
    }

    /// Returns `true` if the lanes or the reserves are invalid.
    pub fn is_lanes(&self) -> bool {
        matches!(
            self.0,
            ResourceFault::Lanes { .. }
                | ResourceFault::Reserved { .. }
                | ResourceFault::ReservedFloor { .. }
        )
    }

    /// Returns `true` if a rate or load rate is out of range.
    pub fn is_rate(&self) -> bool {
        matches!(
            self.0,
            ResourceFault::Rate { .. } | ResourceFault::LoadRate { .. }
        )
    }

    /// Returns `true` if overload control has an interval of zero.
    pub fn is_overload(&self) -> bool {
        matches!(self.0, ResourceFault::NoInterval { .. })
    }

    /// Returns `true` if the rule to change does not exist: the resource was built without it, or
    /// is not registered with a limiter.
    pub fn is_missing_rule(&self) -> bool {
        matches!(self.0, ResourceFault::NoRule { .. })
    }

    /// Returns `true` if the setting or the change is not possible for a resource that is shared
    /// between processes. Never without the feature `redis`.
    pub fn is_shared(&self) -> bool {
        matches!(
            self.0,
            ResourceFault::Unshareable { .. } | ResourceFault::SharedRule { .. }
        )
    }
}

impl fmt::Display for InvalidResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match &self.0 {
            ResourceFault::EmptyName => {
                return f.write_str(
                    "resource name is empty; pass one that identifies it in logs, such as \"db\"",
                );
            }
            ResourceFault::NoLimit { name }
            | ResourceFault::ZeroLimit { name }
            | ResourceFault::HugeLimit { name, .. }
            | ResourceFault::Rate { name, .. }
            | ResourceFault::LoadRate { name, .. }
            | ResourceFault::Lanes { name, .. }
            | ResourceFault::Reserved { name, .. }
            | ResourceFault::ReservedFloor { name, .. }
            | ResourceFault::NoInterval { name }
            | ResourceFault::NoRule { name, .. }
            | ResourceFault::Unshareable { name, .. }
            | ResourceFault::SharedRule { name, .. } => name,
        };
        write!(f, "resource \"{name}\": ")?;
        match &self.0 {
            ResourceFault::EmptyName => Ok(()),
            ResourceFault::NoLimit { .. } => f.write_str(
                "no limit is set; set one with `.concurrency(n)`, or a rate with `.rate(..)`",
            ),
            ResourceFault::ZeroLimit { .. } => f.write_str("limit 0 admits nothing; use 1 or more"),
            ResourceFault::HugeLimit { limit, .. } => write!(
                f,
                "limit {limit} is out of range; use at most {}, `Resource::MAX_LIMIT`",
                Resource::MAX_LIMIT
            ),
            ResourceFault::Rate { fault, .. } => write!(f, "rate {fault}"),
            ResourceFault::LoadRate { fault, .. } => write!(f, "load rate {fault}"),
            ResourceFault::Lanes { fault, .. } => f.write_str(fault),
            ResourceFault::Reserved {
                reserved, limit, ..
            } => write!(
                f,
                "{reserved} reserved units exceed the limit of {limit}; reserve fewer, or raise the limit"
            ),
            ResourceFault::ReservedFloor {
                reserved, floor, ..
            } => write!(
                f,
                "{reserved} reserved units leave nothing of the floor of {floor} of its adaptive \
                 limit; reserve fewer, or raise the floor"
            ),
            ResourceFault::NoInterval { .. } => f.write_str(
                "overload interval 0 s is out of range; use one longer than the bursts that the queue \
                 has to bridge, such as 100 ms",
            ),
            ResourceFault::NoRule { rule, .. } => write!(
                f,
                "no {rule} to change; build the resource with one, and register it with a \
                 limiter first"
            ),
            ResourceFault::Unshareable { fault, call, .. } => write!(
                f,
                "{fault} cannot be shared between processes; leave out `{call}`, or do not share the \
                 resource"
            ),
            ResourceFault::SharedRule { rule, .. } => write!(
                f,
                "{rule} cannot be changed while the resource is shared between processes; change it in \
                 the builder and raise the revision"
            ),
        }
    }
}

impl fmt::Debug for InvalidResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InvalidResource({self})")
    }
}

impl std::error::Error for InvalidResource {}
