//! What can be wrong with a resource.

use std::{fmt, sync::Arc};

use super::{Resource, rate::RateFault};

/// A [`Resource`] that cannot be built. The message names the cure.
#[derive(Clone, PartialEq, Eq)]
pub struct InvalidResource(pub(super) Kind);

#[derive(Clone, PartialEq, Eq)]
pub(super) enum Kind {
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
    /// Whether it is the name that is wrong.
    pub fn is_name(&self) -> bool {
        matches!(self.0, Kind::EmptyName)
    }

    /// Whether it is the limit that is wrong: how much may be in use at once.
    pub fn is_limit(&self) -> bool {
        matches!(
            self.0,
            Kind::NoLimit { .. } | Kind::ZeroLimit { .. } | Kind::HugeLimit { .. }
        )
    }

    /// Whether it is the lanes or the reserves that are wrong.
    pub fn is_lanes(&self) -> bool {
        matches!(
            self.0,
            Kind::Lanes { .. } | Kind::Reserved { .. } | Kind::ReservedFloor { .. }
        )
    }

    /// Whether it is the rate or the load rate that is wrong.
    pub fn is_rate(&self) -> bool {
        matches!(self.0, Kind::Rate { .. } | Kind::LoadRate { .. })
    }

    /// Whether it is that the resource is shared between processes.
    pub fn is_shared(&self) -> bool {
        matches!(self.0, Kind::Unshareable { .. } | Kind::SharedRule { .. })
    }
}

impl fmt::Display for InvalidResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::EmptyName => f.write_str(
                "a resource needs a name; pass one that tells it apart in logs, such as \"db\"",
            ),
            Kind::NoLimit { name } => write!(
                f,
                "resource \"{name}\" has no limit; set one with `.concurrency(n)`, or a rate with `.rate(..)`"
            ),
            Kind::ZeroLimit { name } => write!(
                f,
                "resource \"{name}\" has limit 0 and would admit nothing; pass 1 or more"
            ),
            Kind::HugeLimit { name, limit } => write!(
                f,
                "resource \"{name}\" has limit {limit}, above the largest one, {}; \
                 pass `Resource::MAX_LIMIT` or less",
                Resource::MAX_LIMIT
            ),
            Kind::Rate { name, fault } => write!(f, "resource \"{name}\" has rate {fault}"),
            Kind::LoadRate { name, fault } => {
                write!(f, "resource \"{name}\" has load rate {fault}")
            }
            Kind::Lanes { name, fault } => write!(f, "resource \"{name}\" has {fault}"),
            Kind::Reserved {
                name,
                reserved,
                limit,
            } => write!(
                f,
                "resource \"{name}\" has {reserved} reserved units, more than its limit of {limit}; \
                 reserve less, or raise the limit"
            ),
            Kind::ReservedFloor {
                name,
                reserved,
                floor,
            } => write!(
                f,
                "resource \"{name}\" has {reserved} reserved units, and its adaptive limit may fall to \
                 {floor}, which leaves nothing to others; reserve less, or raise the floor"
            ),
            Kind::NoInterval { name } => write!(
                f,
                "resource \"{name}\" has overload mode after 0 s, which takes every waiter for a standing \
                 queue; pass an interval longer than the bursts that the queue is to bridge"
            ),
            Kind::NoRule { name, rule } => write!(
                f,
                "resource \"{name}\" has no {rule} that could be changed; build it with one, and register \
                 it with a limiter first"
            ),
            Kind::Unshareable { name, fault, call } => write!(
                f,
                "resource \"{name}\" is shared between processes and {fault}, which each of them would \
                 have for itself; leave out `{call}`, or do not share it"
            ),
            Kind::SharedRule { name, rule } => write!(
                f,
                "resource \"{name}\" is shared between processes, and all of them have the same {rule}; say \
                 it in the builder and raise the revision"
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
