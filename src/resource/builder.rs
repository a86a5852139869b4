//! The builder of a resource.

use std::sync::{Arc, Mutex};

use super::{
    InvalidResource, Lanes, Overload, Priority, Rate, Resource, SharedSpec, SharedUsage,
    adaptive::Adaptive,
    checks,
    error::ResourceFault,
    shared::{Opener, SharedRules},
};
use crate::{
    adaptive::AdaptiveLimit,
    admission::{Beneficiary, By, ReserveRule, ResourceRules, Usage},
    shared::SharedLimit,
};

/// Builds a [`Resource`].
///
/// A resource can have any number of constraints. A request waits while any of them would be
/// violated. All are decided in one step, and a request that is not admitted spends nothing.
///
/// ```
/// use tower_concurrency_limiter::{Rate, Resource};
///
/// let disk = Resource::builder("disk").concurrency(10).max_waiting(200).build();
/// assert_eq!(disk.limit(), Some(10));
///
/// let openai = Resource::builder("openai")
///     .concurrency(10)
///     .rate(Rate::per_minute(500))
///     .load_rate(Rate::per_minute(90_000)) // tokens
///     .build();
/// ```
#[derive(Debug)]
#[must_use = "a builder does nothing until `.build()`"]
pub struct ResourceBuilder {
    name: Arc<str>,
    limit: Option<usize>,
    max_waiting: Option<usize>,
    rates: Vec<(By, Rate)>,
    lanes: Option<Lanes>,
    reserves: Vec<(usize, Priority)>,
    overload: Option<Overload>,
    adaptive: Option<Adaptive>,
    is_dry: bool,
    opener: Option<Opener>,
}

impl ResourceBuilder {
    pub(super) fn new(name: Arc<str>) -> Self {
        Self {
            name,
            limit: None,
            max_waiting: None,
            rates: Vec::new(),
            lanes: None,
            reserves: Vec::new(),
            overload: None,
            adaptive: None,
            is_dry: false,
            opener: None,
        }
    }

    /// Sets how many units can be in use at once, 1 to [`Resource::MAX_LIMIT`]. Required, unless
    /// the resource has a rate or an adaptive limit.
    pub fn concurrency(mut self, limit: usize) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Adds a rate of requests. Several rates apply together, such as ten per second and a thousand
    /// per hour.
    ///
    /// A request counts as one, whatever number of units it claims, and whether or not its work
    /// succeeds.
    pub fn rate(mut self, rate: Rate) -> Self {
        self.rates.push((By::Request, rate));
        self
    }

    /// Adds a rate of load: tokens, bytes or rows, which each request declares with
    /// [`.load(..)`](crate::ConcurrencyLimitLayer::load). A request that declares no load counts as
    /// 1. Several rates apply together.
    ///
    /// An estimate can be corrected after the call with
    /// [`Permit::settle_load`](crate::Permit::settle_load).
    pub fn load_rate(mut self, rate: Rate) -> Self {
        self.rates.push((By::Load, rate));
        self
    }

    /// Divides the resource between lanes. If called more than once, the last call wins.
    pub fn lanes(mut self, lanes: Lanes) -> Self {
        self.lanes = Some(lanes);
        self
    }

    /// Reserves units for requests of this priority and above: other requests leave them idle. Can
    /// be called more than once, for different priorities. [`Lane::reserve`](super::Lane::reserve)
    /// does the same for a lane.
    ///
    /// Only units are reserved; rates still apply. Requests with a reserve do not queue for a rate
    /// behind requests without one.
    ///
    /// Units held by requests with the reserve count against it: while they hold as many units or
    /// more, none are left idle. A request with several reserves counts against each. Requests
    /// without one share the units that are not reserved. A request that claims more than those
    /// blocks nothing, and waits until its deadline or until the reserve is
    /// [lowered](Resource::set_reserve).
    pub fn reserve(mut self, units: usize, priority: impl Into<Priority>) -> Self {
        self.reserves.push((units, priority.into()));
        self
    }

    /// Sets overload control. Default: none; the queue is served in order of arrival, however long
    /// it is.
    pub fn overload(mut self, overload: Overload) -> Self {
        self.overload = Some(overload);
        self
    }

    /// Sets a limit that adapts to how the work ends; see [`adaptive`](crate::adaptive). It
    /// replaces [`concurrency`](Self::concurrency).
    ///
    /// A request can claim at most as many units as the [floor](AdaptiveLimit::floor). The floor
    /// has to be above the sum of the reserves, which do not shrink with the limit. A claim wider
    /// than the unreserved units of the floor waits for a higher limit.
    pub fn adaptive(mut self, limit: impl AdaptiveLimit + 'static) -> Self {
        self.adaptive = Some(Adaptive::new(limit));
        self
    }

    /// Decides without enforcing: the decisions are logged as [events](crate::observe) marked
    /// `dry_run`, but no request waits for this resource or is rejected by it. Use it to try a
    /// limit on live traffic.
    ///
    /// A request that would have waited is admitted at once, and its work is assumed to take as
    /// long as it takes now. [`Resource::in_use`] counts the permits that are held, and can exceed
    /// the limit.
    pub fn dry_run(mut self) -> Self {
        self.is_dry = true;
        self
    }

    /// Sets how many requests can be queued for this resource. The next request is rejected with
    /// [`Reason::QueueFull`](crate::Reason::QueueFull). 0 disables queueing. Default:
    /// [`LimiterBuilder::max_waiting`](crate::limiter::LimiterBuilder::max_waiting).
    ///
    /// If the next request has a higher priority than a queued one, the newest queued request of
    /// the lowest priority is rejected instead, with [`Reason::Shed`](crate::Reason::Shed). Lanes
    /// share the bound.
    pub fn max_waiting(mut self, requests: usize) -> Self {
        self.max_waiting = Some(requests);
        self
    }

    /// Shares the limit and its rules with other processes, through what `open` returns. It is
    /// called each time the resource is registered with a limiter.
    #[cfg_attr(
        not(feature = "redis"),
        allow(dead_code, reason = "called by the feature `redis`")
    )]
    pub(crate) fn open_with<F>(mut self, open: F) -> Self
    where
        F: Fn(&SharedSpec<'_>) -> Result<Arc<dyn SharedLimit>, String> + Send + Sync + 'static,
    {
        self.opener = Some(Opener::new(Box::new(open)));
        self
    }

    /// Builds the resource.
    ///
    /// # Panics
    ///
    /// If [`try_build`](Self::try_build) returns an error, with its message.
    #[track_caller]
    pub fn build(self) -> Resource {
        match self.try_build() {
            Ok(resource) => resource,
            Err(error) => panic!("{error}"),
        }
    }

    /// Builds the resource.
    ///
    /// # Errors
    ///
    /// If
    ///
    /// * the name is empty,
    /// * there is no limit, rate or adaptive limit, or one is out of range,
    /// * two lanes have the same name, or a lane has no name, a weight of 0, a `max` of 0 or below
    ///   its reserve; or strict lanes are keyed, or more than the units,
    /// * more units are reserved than the limit has,
    /// * the interval of the overload control is zero,
    /// * the resource is shared between processes, and has overload control, an adaptive limit or a
    ///   dry run.
    pub fn try_build(self) -> Result<Resource, InvalidResource> {
        if self.name.is_empty() {
            return Err(InvalidResource(ResourceFault::EmptyName));
        }
        let limit = self.limit_now()?;
        let floor = self.floor()?;
        let mut rules = self.rules(limit.unwrap_or(Usage::MAX_LIMIT), floor)?;
        let mut shared = None;
        if let Some(opener) = self.opener {
            rules = ResourceRules::default(); // the server decides
            shared = Some(SharedRules {
                opener,
                lanes: self.lanes,
                reserves: self.reserves,
                rates: self.rates,
            });
        }
        Ok(Resource(Arc::new(super::ResourceInner {
            name: self.name,
            max_waiting: self.max_waiting,
            rules,
            shared,
            adaptive: Mutex::new(self.adaptive.map(Adaptive::into_inner)),
            floor,
            registrar: Mutex::new(None),
            usage: SharedUsage::new(limit, floor),
        })))
    }

    /// The limit to start with; `None` if there are rates alone.
    fn limit_now(&self) -> Result<Option<u32>, InvalidResource> {
        let name = || Arc::clone(&self.name);
        let limit = match (&self.adaptive, self.limit) {
            (Some(adaptive), _) => adaptive.limit(),
            (None, Some(limit)) => limit,
            (None, None) if self.rates.is_empty() => {
                return Err(InvalidResource(ResourceFault::NoLimit { name: name() }));
            }
            (None, None) => return Ok(None),
        };
        if limit == 0 {
            return Err(InvalidResource(ResourceFault::ZeroLimit { name: name() }));
        }
        checks::checked_limit(limit, &self.name).map(Some)
    }

    /// The lowest value of an adaptive limit.
    fn floor(&self) -> Result<Option<u32>, InvalidResource> {
        let floor = self.adaptive.as_ref().map(Adaptive::floor);
        floor
            .map(|floor| checks::checked_limit(floor, &self.name))
            .transpose()
    }

    fn rules(&self, limit: u32, floor: Option<u32>) -> Result<ResourceRules, InvalidResource> {
        let name = || Arc::clone(&self.name);
        let mut rates = Vec::new();
        for (by, rate) in &self.rates {
            let rule = rate.rule().map_err(|fault| {
                let name = name();
                InvalidResource(match by {
                    By::Request => ResourceFault::Rate { name, fault },
                    By::Load => ResourceFault::LoadRate { name, fault },
                })
            })?;
            rates.push((*by, rule));
        }
        let by_lane = self.lanes.iter().flat_map(|lanes| {
            let reserving = lanes.declared.iter().filter(|lane| lane.reserve > 0);
            reserving.map(|lane| (lane.reserve, Beneficiary::Lane(lane.id())))
        });
        let by_priority = self.reserves.iter();
        let by_priority =
            by_priority.map(|&(units, priority)| (units, Beneficiary::Priority(priority.get())));
        let reserves: Vec<_> = by_lane.chain(by_priority).collect();
        let units = reserves.iter().map(|(units, _)| *units as u64);
        let reserved = units.fold(0, u64::saturating_add);
        if let Some(floor) = floor.filter(|&floor| reserved > 0 && reserved >= u64::from(floor)) {
            return Err(InvalidResource(ResourceFault::ReservedFloor {
                name: name(),
                reserved,
                floor,
            }));
        }
        if reserved > u64::from(limit) {
            return Err(InvalidResource(ResourceFault::Reserved {
                name: name(),
                reserved,
                limit,
            }));
        }
        if self
            .overload
            .is_some_and(|overload| overload.interval.is_zero())
        {
            return Err(InvalidResource(ResourceFault::NoInterval { name: name() }));
        }
        if let Some(lanes) = &self.lanes {
            checks::check_lanes(lanes, &self.name, floor.unwrap_or(limit))?;
        }
        if let (Some(_), Some((fault, call))) = (&self.opener, self.unshareable()) {
            let name = name();
            return Err(InvalidResource(ResourceFault::Unshareable {
                name,
                fault,
                call,
            }));
        }
        Ok(ResourceRules {
            lanes: self.lanes.as_ref().map(Lanes::rules),
            reserves: reserves
                .into_iter()
                .map(|(units, beneficiary)| ReserveRule {
                    units: units as u32,
                    beneficiary,
                })
                .collect(),
            rates,
            overload: self.overload.map(Overload::rule),
            is_watched: self.adaptive.is_some(),
            is_dry: self.is_dry,
        })
    }
}

impl ResourceBuilder {
    /// A setting that works within one process only, and the method that set it.
    fn unshareable(&self) -> Option<(&'static str, &'static str)> {
        if self.overload.is_some() {
            return Some(("overload control", ".overload(..)"));
        }
        if self.adaptive.is_some() {
            return Some(("an adaptive limit", ".adaptive(..)"));
        }
        self.is_dry.then_some(("a dry run", ".dry_run()"))
    }
}
