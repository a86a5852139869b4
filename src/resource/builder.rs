//! Everything that can be said about a resource.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    InvalidResource, Lane, Lanes, Overload, Rate, Resource, SharedSpec, SharedUsage,
    error::Kind,
    shared::{Opener, SharedRules},
};
use crate::{
    adaptive::AdaptiveLimit,
    admission::{Beneficiary, By, ReserveRule, ResourceRules, Sharing, Usage},
    shared::SharedLimit,
};

/// Builds a [`Resource`].
///
/// A resource has any number of constraints at once, and a request waits while any of them would be
/// violated. All are decided in one step; nothing is spent by a request that is not admitted. The guide says
/// [which knob](crate#which-knob) to choose, and [what it costs](crate#what-they-cost).
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
    reserves: Vec<(usize, u8)>,
    overload: Option<Overload>,
    adaptive: Option<Adaptive>,
    is_dry: bool,
    opener: Option<Opener>,
}

/// The lock makes it `Sync`, as a builder should be.
struct Adaptive(Mutex<Box<dyn AdaptiveLimit>>);

impl Adaptive {
    fn limit(&self) -> usize {
        self.ask(|limit| limit.limit())
    }

    /// From 0, no permit could raise it again.
    fn floor(&self) -> usize {
        self.ask(|limit| limit.floor()).max(1)
    }

    fn ask<T>(&self, ask: impl FnOnce(&dyn AdaptiveLimit) -> T) -> T {
        ask(&**self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn into_inner(self) -> Box<dyn AdaptiveLimit> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Adaptive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "adaptive, now {}", self.limit())
    }
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

    /// How many units may be in use at once, 1 to [`Resource::MAX_LIMIT`]. Required, unless the resource
    /// has a rate or an adaptive limit.
    pub fn concurrency(mut self, limit: usize) -> Self {
        self.limit = Some(limit);
        self
    }

    /// How many requests may be admitted in a time. May be said more than once: ten per second and a
    /// thousand per hour.
    ///
    /// A request counts as one, whatever number of units it claims. What was admitted has been spent,
    /// whether or not its work succeeds.
    pub fn rate(mut self, rate: Rate) -> Self {
        self.rates.push((By::Request, rate));
        self
    }

    /// How much load may be admitted in a time: tokens, bytes or rows, as each request says by
    /// [`.load(..)`](crate::ConcurrencyLimitLayer::load). Without it a request counts as 1.
    ///
    /// What was only estimated can be corrected after the call, by
    /// [`Permit::settle_load`](crate::Permit::settle_load). May be said more than once, as
    /// [`rate`](Self::rate).
    pub fn load_rate(mut self, rate: Rate) -> Self {
        self.rates.push((By::Load, rate));
        self
    }

    /// Divides the resource between lanes.
    pub fn lanes(mut self, lanes: Lanes) -> Self {
        self.lanes = Some(lanes);
        self
    }

    /// Units that requests of this priority and above can always get, whatever the queue holds: others
    /// leave them idle. Units alone: a rate they share with everybody, and take from it without waiting behind
    /// those whom it keeps. May be said more than once, for different priorities. [`Lane::reserve`] does the
    /// same for a lane.
    ///
    /// A request of a lower priority that claims more units than are left beside the reserve cannot be
    /// granted. It waits until its deadline, or until the reserve is [made smaller](Resource::set_reserve),
    /// and blocks nothing.
    ///
    /// What those requests hold counts against it: while they hold as many units or more, nothing is
    /// left idle. A request that has several reserves counts against each. Whoever has none has to do with
    /// what is left beside all of them; if everything is reserved, that is nothing.
    pub fn reserve(mut self, units: usize, priority: u8) -> Self {
        self.reserves.push((units, priority));
        self
    }

    /// What to do when the queue stands. Default: first come, first served, all the same.
    pub fn overload(mut self, overload: Overload) -> Self {
        self.overload = Some(overload);
        self
    }

    /// Moves the limit by how the work goes; see [`adaptive`](crate::adaptive). Takes the place of
    /// [`concurrency`](Self::concurrency).
    ///
    /// A request may claim as many units as its [floor](AdaptiveLimit::floor) at most, and the floor has to
    /// be above what is reserved, as reserves do not shrink with the limit. A claim that is wider than what
    /// reserves leave of the floor waits for a higher limit.
    pub fn adaptive(mut self, limit: impl AdaptiveLimit + 'static) -> Self {
        self.adaptive = Some(Adaptive(Mutex::new(Box::new(limit))));
        self
    }

    /// Only tells what would be decided: the same decisions are made for this resource, and
    /// [told as events](crate::observe) marked `dry_run`, but nobody waits for it or is refused. To try a
    /// limit on live traffic before it is enforced.
    ///
    /// What would have waited goes to work at once, and is taken to need as long as it does now. `in_use`
    /// counts the permits that are really held, and may exceed the limit.
    pub fn dry_run(mut self) -> Self {
        self.is_dry = true;
        self
    }

    /// How many requests may be queued for this resource; the next one is turned away with
    /// [`Reason::QueueFull`](crate::Reason::QueueFull). 0 means that nobody waits.
    ///
    /// If the next one has a higher priority than somebody who waits, the youngest of the lowest priority is
    /// turned away instead, with [`Reason::Shed`](crate::Reason::Shed). Lanes share the bound.
    ///
    /// Default: what [`LimiterBuilder::max_waiting`](crate::limiter::LimiterBuilder::max_waiting)
    /// says.
    pub fn max_waiting(mut self, requests: usize) -> Self {
        self.max_waiting = Some(requests);
        self
    }

    /// Shares the limit, and all that is said about it, with other processes: by what `open` returns, each time
    /// the resource is registered with a limiter.
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
    /// Where [`try_build`](Self::try_build) returns an error, with its message.
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
    /// If the name is empty; if there is no limit, rate or adaptive limit, or one is out of range; if lanes
    /// have the same or no name, a weight of 0, a `max` of 0 or below their reserve, are strict and keyed, or
    /// strict and more than there are units; if more is reserved than there is; if overload mode is to begin
    /// at once; if it is shared between processes and has overload mode, an adaptive limit or a dry run.
    pub fn try_build(self) -> Result<Resource, InvalidResource> {
        if self.name.is_empty() {
            return Err(InvalidResource(Kind::EmptyName));
        }
        let limit = self.limit_now()?;
        let floor = self.floor()?;
        let mut rules = self.rules(limit.unwrap_or(Usage::MAX_LIMIT), floor)?;
        let mut shared = None;
        if let Some(opener) = self.opener {
            rules = ResourceRules::default(); // it is decided elsewhere
            shared = Some(SharedRules {
                opener,
                lanes: self.lanes,
                reserves: self.reserves,
                rates: self.rates,
            });
        }
        Ok(Resource(Arc::new(super::Inner {
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

    /// `None` where there are rates alone.
    fn limit_now(&self) -> Result<Option<u32>, InvalidResource> {
        let name = || Arc::clone(&self.name);
        let limit = match (&self.adaptive, self.limit) {
            (Some(adaptive), _) => adaptive.limit(),
            (None, Some(limit)) => limit,
            (None, None) if self.rates.is_empty() => {
                return Err(InvalidResource(Kind::NoLimit { name: name() }));
            }
            (None, None) => return Ok(None),
        };
        if limit == 0 {
            return Err(InvalidResource(Kind::ZeroLimit { name: name() }));
        }
        checked_limit(limit, &self.name).map(Some)
    }

    /// The lowest value of an adaptive limit.
    fn floor(&self) -> Result<Option<u32>, InvalidResource> {
        let floor = self.adaptive.as_ref().map(Adaptive::floor);
        floor
            .map(|floor| checked_limit(floor, &self.name))
            .transpose()
    }

    fn rules(&self, limit: u32, floor: Option<u32>) -> Result<ResourceRules, InvalidResource> {
        let name = || Arc::clone(&self.name);
        let mut rates = Vec::new();
        for (by, rate) in &self.rates {
            let rule = rate.rule().map_err(|fault| {
                let name = name();
                InvalidResource(match by {
                    By::Request => Kind::Rate { name, fault },
                    By::Load => Kind::LoadRate { name, fault },
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
            by_priority.map(|&(units, priority)| (units, Beneficiary::Priority(priority)));
        let reserves: Vec<_> = by_lane.chain(by_priority).collect();
        let units = reserves.iter().map(|(units, _)| *units as u64);
        let reserved = units.fold(0, u64::saturating_add);
        if let Some(floor) = floor.filter(|&floor| reserved > 0 && reserved >= u64::from(floor)) {
            return Err(InvalidResource(Kind::ReservedFloor {
                name: name(),
                reserved,
                floor,
            }));
        }
        if reserved > u64::from(limit) {
            return Err(InvalidResource(Kind::Reserved {
                name: name(),
                reserved,
                limit,
            }));
        }
        if self
            .overload
            .is_some_and(|overload| overload.interval.is_zero())
        {
            return Err(InvalidResource(Kind::NoInterval { name: name() }));
        }
        if let Some(lanes) = &self.lanes {
            check_lanes(lanes, &self.name, floor.unwrap_or(limit))?;
        }
        if let (Some(_), Some((fault, call))) = (&self.opener, self.unshareable()) {
            let name = name();
            return Err(InvalidResource(Kind::Unshareable { name, fault, call }));
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
    /// What each process can only have for itself, and what asked for it.
    fn unshareable(&self) -> Option<(&'static str, &'static str)> {
        if self.overload.is_some() {
            return Some(("overload mode", ".overload(..)"));
        }
        if self.adaptive.is_some() {
            return Some(("an adaptive limit", ".adaptive(..)"));
        }
        self.is_dry.then_some(("a dry run", ".dry_run()"))
    }
}

/// The limit as it is kept, if it is not too large for that.
pub(super) fn checked_limit(limit: usize, name: &Arc<str>) -> Result<u32, InvalidResource> {
    match u32::try_from(limit) {
        Ok(kept) if kept <= Usage::MAX_LIMIT => Ok(kept),
        _ => Err(InvalidResource(Kind::HugeLimit {
            name: Arc::clone(name),
            limit,
        })),
    }
}

fn check_lanes(lanes: &Lanes, name: &Arc<str>, limit: u32) -> Result<(), InvalidResource> {
    let fault = |fault| {
        InvalidResource(Kind::Lanes {
            name: Arc::clone(name),
            fault,
        })
    };
    if lanes.others.as_ref().is_some_and(|lane| lane.reserve > 0) {
        return Err(fault(
            "the lane of `.with_others(..)` cannot have a reserve; declare a lane for the requests that are \
             to have it"
                .into(),
        ));
    }
    let mut names = HashSet::new();
    for lane in lanes.declared.iter().chain(&lanes.others) {
        check_lane(lane, name)?;
    }
    if let Some(twice) = lanes.declared.iter().find(|lane| !names.insert(&lane.name)) {
        return Err(fault(format!(
            "two lanes are named \"{}\"; give each its own name",
            twice.name
        )));
    }
    match (lanes.sharing, lanes.keys) {
        (_, Some(0)) => Err(fault(
            "lanes for 0 keys serve nothing; use 1 or more".into(),
        )),
        (Sharing::Strict, Some(_)) => Err(fault(
            "strict lanes have fixed portions and cannot be keyed; use `Lanes::shared`".into(),
        )),
        (_, None) if lanes.declared.is_empty() => Err(fault(
            "no lane is declared; declare one, or use `Lanes::keyed`".into(),
        )),
        (Sharing::Strict, None) if lanes.declared.len() as u64 > u64::from(limit) => {
            Err(fault(format!(
                "{} strict lanes exceed the limit of {limit}, as each needs a unit of its own; declare \
                 fewer, or raise the limit",
                lanes.declared.len()
            )))
        }
        _ => Ok(()),
    }
}

pub(super) fn check_lane(lane: &Lane, name: &Arc<str>) -> Result<(), InvalidResource> {
    let fault = |fault: String| {
        Err(InvalidResource(Kind::Lanes {
            name: Arc::clone(name),
            fault,
        }))
    };
    let lane_name = &lane.name;
    if lane_name.is_empty() {
        return fault("lane name is empty; pass one, such as \"batch\"".into());
    }
    match (lane.weight, lane.max) {
        (0, _) => fault(format!(
            "lane \"{lane_name}\" has weight 0 and would never be served; use 1 or more"
        )),
        (_, Some(0)) => fault(format!(
            "lane \"{lane_name}\" has a `max` of 0 and would never be served; use 1 or more"
        )),
        (_, Some(max)) if max < lane.reserve => fault(format!(
            "lane \"{lane_name}\" has a reserve of {} above its `max` of {max}; reserve less, or raise \
             the `max`",
            lane.reserve
        )),
        _ => Ok(()),
    }
}
