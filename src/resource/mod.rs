//! Named resources, and what a request takes of them.

mod builder;
mod claim;
mod error;
mod lanes;
mod live;
mod overload;
mod rate;
mod shared;
mod usage;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, Weak},
};

pub use crate::shared::{Health, SharedState};
pub use builder::ResourceBuilder;
pub use claim::Claim;
pub use error::InvalidResource;
pub use lanes::{Lane, LaneKey, Lanes};
pub(crate) use live::{Change, Registrar};
pub use overload::Overload;
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
/// A cheap handle; clones are the same resource. Register it with one [`Limiter`](crate::Limiter),
/// then share it among as many routes as use it.
///
/// ```
/// use tower_concurrency_limiter::Resource;
///
/// let db = Resource::new("db", 5); // at most 5 units in use at once
/// assert_eq!((db.name(), db.limit(), db.in_use(), db.waiting()), ("db", Some(5), 0, 0));
/// ```
#[derive(Clone)]
pub struct Resource(Arc<Inner>);

struct Inner {
    name: Arc<str>,
    max_waiting: Option<usize>,
    rules: ResourceRules,
    shared: Option<shared::SharedRules>,
    /// Until the resource is registered.
    adaptive: Mutex<Option<Box<dyn AdaptiveLimit>>>,
    /// Below which an adaptive limit never falls.
    floor: Option<u32>,
    registrar: Mutex<Option<Weak<dyn Registrar>>>,
    usage: SharedUsage,
}

impl Resource {
    /// The largest limit of a resource: 2,147,483,647 (2<sup>31</sup> - 1) units.
    pub const MAX_LIMIT: usize = crate::admission::Usage::MAX_LIMIT as usize;

    /// A resource of which at most `limit` units are in use at once, 1 to
    /// [`MAX_LIMIT`](Self::MAX_LIMIT).
    ///
    /// # Panics
    ///
    /// If the name is empty or the limit out of range. [`ResourceBuilder::try_build`] returns an
    /// error instead.
    #[track_caller]
    pub fn new(name: impl Into<Arc<str>>, limit: usize) -> Self {
        Self::builder(name).concurrency(limit).build()
    }

    /// A resource with more to say about it than a limit.
    pub fn builder(name: impl Into<Arc<str>>) -> ResourceBuilder {
        ResourceBuilder::new(name.into())
    }

    /// The name, unique within its limiter.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// How many units may be in use at once; `None` if the resource was built with rates alone and has
    /// not been [given a limit](Self::set_limit) since. A gauge, as [`in_use`](Self::in_use).
    ///
    /// ```
    /// # use tower_concurrency_limiter::{Rate, Resource};
    /// let api = Resource::builder("api").rate(Rate::per_minute(500)).build();
    /// assert_eq!(api.limit(), None);
    /// ```
    pub fn limit(&self) -> Option<usize> {
        self.0.usage.limit().map(|limit| limit as usize)
    }

    /// How many units are in use. A gauge: by the time you look, it may have changed. Above the limit for a
    /// while after that was [lowered](Self::set_limit). Of a resource that is shared between processes, those that
    /// this process uses.
    pub fn in_use(&self) -> usize {
        self.0.usage.load().in_use() as usize
    }

    /// How many requests of this process are queued for this resource, alone or in a set. A gauge. What is shared
    /// between processes is waited for before the rest of a set, one after the other, and counted there.
    pub fn waiting(&self) -> usize {
        self.0.usage.waiting()
    }

    /// A claim of `units` of this resource instead of one.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tower_concurrency_limiter::{Limiter, Resource};
    /// # let db = Resource::new("db", 5);
    /// # let limiter = Limiter::new(Duration::from_secs(5), [&db]);
    /// let layer = limiter.resources([db.units(3)]); // a report that runs three queries at once
    /// ```
    ///
    /// The members of an array have one type, so `[&db, fs.units(2)]` is a type mismatch. In a set with
    /// a claim, write every member as one: `[db.units(1), fs.units(2)]`.
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

    /// What moves the limit, for whoever looks after the resource from now on.
    pub(crate) fn take_adaptive(&self) -> Option<Box<dyn AdaptiveLimit>> {
        let adaptive = self.0.adaptive.lock();
        adaptive.unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Below which the limit never falls, if it moves by itself.
    pub(crate) fn floor(&self) -> Option<u32> {
        self.0.floor
    }

    /// For when it is registered again.
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
