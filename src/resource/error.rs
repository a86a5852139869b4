//! What can be wrong with a resource.

use std::{fmt, sync::Arc};

use super::Resource;

/// A [`Resource`] that cannot be built. The message names the cure.
#[derive(Clone, PartialEq, Eq)]
pub struct InvalidResource(pub(super) Kind);

#[derive(Clone, PartialEq, Eq)]
pub(super) enum Kind {
    EmptyName,
    NoLimit { name: Arc<str> },
    ZeroLimit { name: Arc<str> },
    HugeLimit { name: Arc<str>, limit: usize },
}

impl InvalidResource {
    /// Whether it is the name that is wrong; otherwise it is the limit.
    pub fn is_name(&self) -> bool {
        matches!(self.0, Kind::EmptyName)
    }

    /// Whether it is the limit that is wrong; otherwise it is the name.
    pub fn is_limit(&self) -> bool {
        !self.is_name()
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
                "resource \"{name}\" has no limit; set one with `.concurrency(n)`"
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
        }
    }
}

impl fmt::Debug for InvalidResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InvalidResource({self})")
    }
}

impl std::error::Error for InvalidResource {}
