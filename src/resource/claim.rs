//! The units of one resource that a request needs.

use super::Resource;

/// The units of one resource that a request needs.
///
/// A set is an iterator of values that convert into claims. A `&Resource` or a `Resource` converts
/// into a claim of one unit; [`Resource::units`] creates a wider one.
///
/// ```
/// # use std::time::Duration;
/// # use tower_concurrency_limiter::{Claim, Limiter, Resource};
/// # let (db, fs) = (Resource::new("db", 5), Resource::new("fs", 10));
/// # let limiter = Limiter::new(Duration::from_secs(5), [&db, &fs]);
/// limiter.resources([&db, &fs]);
/// limiter.resources([db.units(2), fs.units(1)]);
/// limiter.resources(vec![Claim::from(&db)]);
/// ```
#[derive(Clone, Debug)]
pub struct Claim {
    resource: Resource,
    units: usize,
}

impl Claim {
    pub(super) fn new(resource: Resource, units: usize) -> Self {
        Self { resource, units }
    }

    /// Returns the resource.
    pub fn resource(&self) -> &Resource {
        &self.resource
    }

    /// Returns the number of units.
    pub fn units(&self) -> usize {
        self.units
    }
}

impl From<Resource> for Claim {
    fn from(resource: Resource) -> Self {
        Self::new(resource, 1)
    }
}

impl From<&Resource> for Claim {
    fn from(resource: &Resource) -> Self {
        Self::new(resource.clone(), 1)
    }
}

impl From<&Claim> for Claim {
    fn from(claim: &Claim) -> Self {
        claim.clone()
    }
}
