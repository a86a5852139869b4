//! In which order those who wait are served: what the crate offers, one thing at a time.

use tower_concurrency_limiter::admission::{
    Attributes, LaneId, LaneRule, LaneRules, OverloadRule, ResourceRules, ResourceSpec,
};

use crate::{
    scenario::{MILLISECOND, SECOND, Scenario},
    traffic::{Class, Request},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Discipline {
    /// First come, first served: what a limiter does unless told otherwise.
    Fifo,
    /// A lane for each tenant, all of the same weight.
    Lanes,
    /// Interactive before normal before batch.
    Priority,
    /// The newest first, and hardly anybody is shed.
    Lifo,
    /// Overload mode as it comes: in a queue that stands the newest first, and the oldest are shed
    /// by CoDel.
    Overload,
    /// Lanes, and in each of them priority and overload mode.
    All,
}

impl Discipline {
    pub(crate) const EACH: [Self; 6] = [
        Self::Fifo,
        Self::Lanes,
        Self::Priority,
        Self::Lifo,
        Self::Overload,
        Self::All,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fifo => "FIFO",
            Self::Lanes => "lanes",
            Self::Priority => "priority",
            Self::Lifo => "LIFO",
            Self::Overload => "overload mode",
            Self::All => "all three",
        }
    }

    pub(crate) fn spec(self, scenario: &Scenario) -> ResourceSpec {
        let tenants = LaneRules {
            keyed: Some((LaneRule::default(), scenario.tenants as usize)),
            ..LaneRules::default()
        };
        let rules = ResourceRules {
            lanes: self.has_lanes().then_some(tenants),
            overload: match self {
                Self::Lifo => Some(ALWAYS),
                Self::Overload | Self::All => Some(DEFAULT),
                Self::Fifo | Self::Lanes | Self::Priority => None,
            },
            ..ResourceRules::default()
        };
        ResourceSpec {
            max_waiting: scenario.max_waiting,
            limit: scenario.limit,
            rules,
        }
    }

    pub(crate) fn claims(self, request: &Request) -> Attributes {
        let mut claims = Attributes::default();
        if self.has_lanes() {
            claims.lane = Some(LaneId::new(request.tenant.into()));
        }
        if matches!(self, Self::Priority | Self::All) {
            claims.priority = match request.class {
                Class::Interactive => 100,
                Class::Normal => claims.priority,
                Class::Batch => 1,
            };
        }
        claims
    }

    fn has_lanes(self) -> bool {
        matches!(self, Self::Lanes | Self::All)
    }
}

/// `Overload::default()` of the crate.
const DEFAULT: OverloadRule = OverloadRule {
    target: 20 * MILLISECOND,
    interval: 100 * MILLISECOND,
};

/// Any wait is too long, so that a queue that was not empty for the interval stands until it is.
/// The crate has no order of newest first without shedding. That starts with one in an interval, so
/// this is a long one.
const ALWAYS: OverloadRule = OverloadRule {
    target: 0,
    interval: 5 * SECOND,
};
