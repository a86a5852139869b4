//! Named resources, their limits and rules.

mod adaptive;
mod builder;
mod checks;
mod claim;
mod error;
mod lanes;
mod live;
mod overload;
mod priority;
mod rate;
mod shared;
mod usage;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, Weak},
};

pub use builder::ResourceBuilder;
pub use claim::Claim;
pub use error::InvalidResource;
pub use lanes::{Lane, LaneKey, Lanes};
pub(crate) use live::{Change, Registrar};
pub use overload::Overload;
pub use priority::Priority;
pub use rate::Rate;
#[cfg_attr(
    not(feature = "redis"),
    allow(unused_imports, reason = "read by the feature `redis`")
)]
pub(crate) use shared::SharedSpec;
pub(crate) use usage::SharedUsage;

use crate::{adaptive::AdaptiveLimit, admission::ResourceRules};

/// A named thing with a finite limit: a database, a disk, a paid API.
///
/// A `Resource` is a cheap handle; clones refer to the same resource. Register it with one
/// [`Limiter`](crate::Limiter), and use it in any number of routes.
///
/// ```
/// use tower_concurrency_limiter::Resource;
///
/// let db = Resource::new("db", 5); // at most 5 units in use at once
/// assert_eq!((db.name(), db.limit(), db.in_use(), db.waiting()), ("db", Some(5), 0, 0));
/// ```
#[derive(Clone)]
pub struct Resource(Arc<ResourceInner>);

struct ResourceInner {
    name: Arc<str>,
    max_waiting: Option<usize>,
    rules: ResourceRules,
    shared: Option<shared::SharedRules>,
    /// Taken by the limiter while the resource is registered.
    adaptive: Mutex<Option<Box<dyn AdaptiveLimit>>>,
    /// The lowest value of an adaptive limit.
    floor: Option<u32>,
    registrar: Mutex<Option<Weak<dyn Registrar>>>,
    usage: SharedUsage,
}

impl Resource {
    /// The largest limit of a resource: 2,147,483,647 (2<sup>31</sup> - 1) units.
    pub const MAX_LIMIT: usize = crate::admission::Usage::MAX_LIMIT as usize;

    /// Creates a resource of which at most `limit` units can be in use at once, 1 to
    /// [`MAX_LIMIT`](Self::MAX_LIMIT).
    ///
    /// # Panics
    ///
    /// If the name is empty or the limit is out of range. [`ResourceBuilder::try_build`] returns an
    /// error instead.
    #[track_caller]
    pub fn new(name: impl Into<Arc<str>>, limit: usize) -> Self {
        Self::builder(name).concurrency(limit).build()
    }

    /// Creates a builder, for a resource with rates, lanes or other rules.
    pub fn builder(name: impl Into<Arc<str>>) -> ResourceBuilder {
        ResourceBuilder::new(name.into())
    }

    /// Returns the name, unique within its limiter.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Returns how many units can be in use at once, at this moment. Returns `None` if the resource
    /// was built with rates alone and its limit has not been [set](Self::set_limit) since.
    ///
    /// ```
    /// # use tower_concurrency_limiter::{Rate, Resource};
    /// let api = Resource::builder("api").rate(Rate::per_minute(500)).build();
    /// assert_eq!(api.limit(), None);
    /// ```
    pub fn limit(&self) -> Option<usize> {
        self.0.usage.limit().map(|limit| limit as usize)
    }

    /// Returns how many units are in use, at this moment. It exceeds the limit for a while after
    /// that was [lowered](Self::set_limit). If the resource is shared between processes, it counts
    /// the units that this process uses.
    pub fn in_use(&self) -> usize {
        self.0.usage.load().in_use() as usize
    }

    /// Returns how many requests of this process are queued for this resource, at this moment. A
    /// request for a set counts at each of its resources. It waits for the shared resources of its
    /// set first, one after the other, and counts at the one it waits for.
    pub fn waiting(&self) -> usize {
        self.0.usage.waiting()
    }

    /// Creates a claim of `units` units of this resource.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tower_concurrency_limiter::{Limiter, Resource};
    /// # let db = Resource::new("db", 5);
    /// # let limiter = Limiter::new(Duration::from_secs(5), [&db]);
    /// let layer = limiter.resources([db.units(3)]); // a report that runs three queries at once
    /// ```
    ///
    /// The elements of an array have one type, so `[&db, fs.units(2)]` does not compile. Write
    /// every element as a claim instead: `[db.units(1), fs.units(2)]`.
    pub fn units(&self, units: usize) -> Claim {
        Claim::new(self.clone(), units)
    }

    pub(crate) fn shared_name(&self) -> &Arc<str> {
        &self.0.name
    }

    pub(crate) fn max_waiting(&self) -> Option<usize> {
        self.0.max_waiting
    }

    pub(crate) fn rules(&self) -> &ResourceRules {
        &self.0.rules
    }

    /// Moves the adaptive limit to the limiter with which the resource is registered.
    pub(crate) fn take_adaptive(&self) -> Option<Box<dyn AdaptiveLimit>> {
        let adaptive = self.0.adaptive.lock();
        adaptive.unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The lowest value of an adaptive limit.
    pub(crate) fn floor(&self) -> Option<u32> {
        self.0.floor
    }

    /// Returns the adaptive limit from a limiter that is dropped, for the next registration.
    pub(crate) fn restore_adaptive(&self, limit: Option<Box<dyn AdaptiveLimit>>) {
        let adaptive = self.0.adaptive.lock();
        *adaptive.unwrap_or_else(PoisonError::into_inner) = limit;
    }

    #[inline]
    pub(crate) fn usage(&self) -> &SharedUsage {
        &self.0.usage
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resource")
            .field("name", &self.name())
            .field("limit", &self.limit())
            .field("in_use", &self.in_use())
            .field("waiting", &self.waiting())
            .finish()
    }
}
