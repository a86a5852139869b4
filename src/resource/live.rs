//! Changes of a resource in use.

use std::sync::{Arc, PoisonError, Weak};

use super::{InvalidResource, Lane, Priority, Rate, Resource, checks, error::ResourceFault};
use crate::{
    admission::{Beneficiary, By, NewRule},
    shared::Health,
};

/// A change of a limit or of a rule.
pub(crate) enum Change {
    Limit(u32),
    Rule(NewRule),
}

/// The limiter with which a resource is registered.
pub(crate) trait Registrar: Send + Sync {
    /// Changes the resource with this index. Returns `false` if it has no such rule.
    fn change(&self, resource: u32, change: Change) -> bool;

    /// The state of its shared limit, if it has one.
    #[cfg_attr(
        not(feature = "redis"),
        allow(dead_code, reason = "read by the feature `redis`")
    )]
    fn health(&self, resource: u32) -> Option<Health>;
}

impl Resource {
    pub(crate) fn attach(&self, registrar: Weak<dyn Registrar>) {
        *self.registrar() = Some(registrar);
    }

    fn registrar(&self) -> std::sync::MutexGuard<'_, Option<Weak<dyn Registrar>>> {
        let registrar = &self.0.registrar;
        registrar.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the state of a limit that is shared between processes, as this process last knew it:
    /// whether it can be enforced, and the number of processes that share it. It makes no call to
    /// the server. Returns `None` if the resource is not shared, or not registered with a limiter.
    #[cfg(feature = "redis")]
    #[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
    pub fn health(&self) -> Option<Health> {
        let registrar = self.registrar().as_ref().and_then(Weak::upgrade)?;
        registrar.health(self.usage().index()?)
    }

    fn change(&self, change: Change) -> bool {
        let registrar = self.registrar().as_ref().and_then(Weak::upgrade);
        match (registrar, self.usage().index()) {
            (Some(registrar), Some(index)) => registrar.change(index, change),
            _ => match change {
                Change::Limit(limit) => {
                    self.usage().set_limit(limit);
                    true
                }
                _ => false,
            },
        }
    }

    /// Changes the limit, 0 to [`MAX_LIMIT`](Self::MAX_LIMIT). 0 pauses the resource. A resource
    /// that was built with rates alone has a limit afterwards.
    ///
    /// If the limit is raised, queued requests are admitted at once, in their order. If it is
    /// lowered, permits stay valid, and no request is admitted until the units in use are below the
    /// limit.
    ///
    /// A request that claims more than the new limit waits until its deadline, or until the limit
    /// is raised, and blocks nothing meanwhile: later requests that fit are admitted before it.
    /// Once the limit allows it, it has its place by priority and arrival again. A set is
    /// [invalid](crate::limiter::InvalidSet) only if it claims more than the limit ever was.
    ///
    /// ```
    /// # use tower_concurrency_limiter::{Resource, resource::InvalidResource};
    /// # fn main() -> Result<(), InvalidResource> {
    /// let db = Resource::new("db", 5);
    /// db.set_limit(8)?;
    /// assert_eq!(db.limit(), Some(8));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// The portions of strict lanes follow the limit; reserves stay as they are. An
    /// [adaptive](crate::adaptive) limit is not lowered below its floor, except to 0, and returns
    /// to its own value with the next permit that ends. The limit of a resource that is shared
    /// between processes changes for all of them.
    ///
    /// # Errors
    ///
    /// If the limit is above [`MAX_LIMIT`](Self::MAX_LIMIT). Nothing is changed then.
    pub fn set_limit(&self, limit: usize) -> Result<(), InvalidResource> {
        let limit = checks::checked_limit(limit, self.shared_name())?;
        self.change(Change::Limit(limit));
        self.usage().mark_limited();
        Ok(())
    }

    /// Changes the rate of requests; if there are several, the first. Requests admitted under the
    /// old rate still count, for at most its period.
    ///
    /// # Errors
    ///
    /// If the rate is out of range, or the resource was built without one, is not registered with a
    /// limiter, or is shared between processes.
    pub fn set_rate(&self, rate: Rate) -> Result<(), InvalidResource> {
        let rule = rate.rule().map_err(|fault| {
            let name = Arc::clone(self.shared_name());
            InvalidResource(ResourceFault::Rate { name, fault })
        })?;
        self.try_change(NewRule::Rate(By::Request, rule), "rate")
    }

    /// Changes the rate of load, as [`set_rate`](Self::set_rate).
    ///
    /// # Errors
    ///
    /// As [`set_rate`](Self::set_rate).
    pub fn set_load_rate(&self, rate: Rate) -> Result<(), InvalidResource> {
        let rule = rate.rule().map_err(|fault| {
            let name = Arc::clone(self.shared_name());
            InvalidResource(ResourceFault::LoadRate { name, fault })
        })?;
        self.try_change(NewRule::Rate(By::Load, rule), "load rate")
    }

    /// Changes the weight, the `max` and the reserve of a declared lane.
    ///
    /// # Errors
    ///
    /// If no lane of this name was declared, a number is out of range, the lane has a reserve and
    /// was declared without one, or the resource is not registered with a limiter or is shared
    /// between processes. Nothing is changed then.
    pub fn set_lane(&self, lane: &Lane) -> Result<(), InvalidResource> {
        checks::check_lane(lane, self.shared_name())?;
        self.check_unshared("lanes")?;
        let rules = self.rules();
        let mut declared = rules.lanes.iter().flat_map(|lanes| &lanes.declared);
        if !declared.any(|(id, _)| *id == lane.id()) {
            return Err(self.no_rule("lane of this name"));
        }
        let beneficiary = Beneficiary::Lane(lane.id());
        let mut reserves = rules.reserves.iter();
        let has_reserve = reserves.any(|reserve| reserve.beneficiary == beneficiary);
        if lane.reserve > 0 && !has_reserve {
            return Err(self.no_rule("reserve for this lane"));
        }
        self.try_change(NewRule::Lane(lane.id(), lane.rule()), "lane of this name")?;
        if has_reserve {
            let reserve = u32::try_from(lane.reserve).unwrap_or(u32::MAX);
            self.try_change(
                NewRule::Reserve(beneficiary, reserve),
                "reserve for this lane",
            )?;
        }
        Ok(())
    }

    /// Changes how many units are reserved for requests of this priority and above. If it is
    /// raised, permits stay valid, and units held by other requests are reserved once they are
    /// released. If the limit or more is reserved, other requests are not admitted.
    ///
    /// # Errors
    ///
    /// If the resource was built without a reserve for exactly this priority, is not registered
    /// with a limiter, or is shared between processes.
    pub fn set_reserve(
        &self,
        units: usize,
        priority: impl Into<Priority>,
    ) -> Result<(), InvalidResource> {
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        let beneficiary = Beneficiary::Priority(priority.into().get());
        self.try_change(
            NewRule::Reserve(beneficiary, units),
            "reserve for this priority",
        )
    }

    fn try_change(&self, new: NewRule, rule: &'static str) -> Result<(), InvalidResource> {
        self.check_unshared(rule)?;
        match self.change(Change::Rule(new)) {
            true => Ok(()),
            false => Err(self.no_rule(rule)),
        }
    }

    fn check_unshared(&self, rule: &'static str) -> Result<(), InvalidResource> {
        match self.is_shared() {
            false => Ok(()),
            true => Err(InvalidResource(ResourceFault::SharedRule {
                name: Arc::clone(self.shared_name()),
                rule,
            })),
        }
    }

    fn no_rule(&self, rule: &'static str) -> InvalidResource {
        let name = Arc::clone(self.shared_name());
        InvalidResource(ResourceFault::NoRule { name, rule })
    }
}
