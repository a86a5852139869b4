//! What is said about a resource, in the words of the scripts.

use super::protocol::{
    Class, Config, LaneConfig, LaneToken, Micros, RateConfig, ReserveConfig, Whose,
};
use super::settings::micros;
use crate::{
    admission::{By, LaneHash, Nanos, RateRule, Sharing},
    resource::{Lane, Lanes, Rate, SharedSpec},
};

/// How requests for a resource are classed. It does not change while the resource is registered.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    lanes: Option<LaneShape>,
    /// Whether something is reserved by priority.
    has_priorities: bool,
    rates: Vec<(By, RateRule)>,
    /// The most that the largest of the load rates lets pass in a whole period.
    most_load: Option<u64>,
}

#[derive(Clone, Debug)]
struct LaneShape {
    sharing: Sharing,
    /// In order: what each may have, were the portions not strict, and its weight.
    declared: Vec<(LaneToken, u32, u32)>,
    /// The lane of those who ask for none of the declared ones, unless they have one each.
    others: LaneToken,
    is_keyed: bool,
}

impl Shape {
    pub(super) fn new(spec: &SharedSpec<'_>) -> Self {
        let rates = spec.rates.iter();
        let rates = rates.filter_map(|(by, rate)| Some((*by, rate.rule().ok()?)));
        let rates: Vec<_> = rates.collect();
        let by_load = rates.iter().filter(|(by, _)| *by == By::Load);
        let most = by_load.map(|(_, rule)| rule.most());
        Self {
            lanes: spec.lanes.map(LaneShape::new),
            has_priorities: !spec.reserves.is_empty(),
            most_load: most.max(),
            rates,
        }
    }

    pub(super) fn has_rates(&self) -> bool {
        !self.rates.is_empty()
    }

    /// The time in which busy rates let a request of this load pass.
    pub(super) fn interval(&self, load: u64) -> Nanos {
        let rates = self.rates.iter();
        let intervals = rates.map(|(by, rule)| rule.interval(by.amount(load)));
        intervals.max().unwrap_or(0)
    }

    /// No request may close a rate for longer than a period.
    pub(super) fn bounded_load(&self, load: u64) -> u64 {
        self.most_load.map_or(load, |most| load.min(most))
    }

    /// The class of those who ask for this lane, at this priority.
    pub(super) fn class(&self, lane: Option<u64>, priority: u8) -> Class {
        Class {
            lane: self.lanes.as_ref().map(|lanes| lanes.token(lane)),
            priority: self.has_priorities.then_some(priority),
        }
    }

    /// Divides the limit of a configuration between strict lanes.
    pub(super) fn divide(&self, config: &mut Config) {
        let Some(lanes) = &self.lanes else {
            return;
        };
        let weights = lanes.declared.iter().map(|&(_, _, weight)| weight);
        let portions = lanes.sharing.portions(config.limit, weights.collect());
        for (&(token, max, _), portion) in lanes.declared.iter().zip(portions) {
            let known = config.lanes.iter_mut().find(|lane| lane.token == token);
            if let Some(lane) = known {
                lane.cap = max.min(portion);
            }
        }
    }
}

impl LaneShape {
    fn new(lanes: &Lanes) -> Self {
        let entry = |lane: &Lane| (token(lane.hash()), lane.rule().max, lane.rule().weight);
        let mut declared: Vec<_> = lanes.declared.iter().map(entry).collect();
        let unnamed = match (&lanes.others, lanes.keys) {
            (Some(others), _) => Some(others.rule()),
            (None, Some(_)) => Some(Default::default()),
            (None, None) => None,
        };
        declared.extend(unnamed.map(|rule| (LaneToken::OTHERS, rule.max, rule.weight)));
        Self {
            sharing: lanes.sharing,
            others: unnamed.map_or_else(|| declared[0].0, |_| LaneToken::OTHERS),
            declared,
            is_keyed: lanes.keys.is_some(),
        }
    }

    fn token(&self, lane: Option<u64>) -> LaneToken {
        let Some(asked) = lane.map(LaneToken) else {
            return self.others;
        };
        let is_declared = self.declared.iter().any(|(token, ..)| *token == asked);
        match is_declared || self.is_keyed {
            true => asked,
            false => self.others,
        }
    }
}

fn token(hash: LaneHash) -> LaneToken {
    LaneToken(hash.number())
}

/// The rules of a resource in the words of the scripts.
pub(super) fn config(spec: &SharedSpec<'_>, shape: &Shape, revision: u64) -> Config {
    let lanes = shape.lanes.as_ref();
    let lane = |&(token, cap, weight): &(LaneToken, u32, u32)| LaneConfig { token, weight, cap };
    let kind = || {
        let others = spec.lanes.and_then(|lanes| lanes.others.as_ref());
        let rule = others.map(Lane::rule).unwrap_or_default();
        LaneConfig {
            token: LaneToken::OTHERS,
            weight: rule.weight,
            cap: rule.max,
        }
    };
    let keys = spec.lanes.and_then(|lanes| lanes.keys);
    let declared = spec.lanes.into_iter().flat_map(|lanes| &lanes.declared);
    let by_lane = declared.filter(|lane| lane.reserve > 0);
    let by_lane = by_lane.map(|lane| (lane.reserve, Whose::Lane(token(lane.hash()))));
    let by_priority = spec.reserves.iter();
    let by_priority = by_priority.map(|&(units, least)| (units, Whose::Priority(least.get())));
    let reserves = by_lane.chain(by_priority);
    let mut config = Config {
        revision,
        limit: spec.limit,
        max_waiting: spec.max_waiting as u64,
        credit: spec.credit.map(micros),
        lanes: lanes.map_or_else(Vec::new, |l| l.declared.iter().map(lane).collect()),
        keyed: keys.map(|keys| (kind(), u32::try_from(keys).unwrap_or(u32::MAX))),
        reserves: reserves
            .map(|(units, whose)| ReserveConfig {
                units: units as u32,
                whose,
            })
            .collect(),
        rates: spec.rates.iter().map(rate).collect(),
    };
    shape.divide(&mut config);
    config
}

fn rate((by, rate): &(By, Rate)) -> RateConfig {
    RateConfig {
        by_load: *by == By::Load,
        count: rate.count(),
        period: whole_micros(rate),
        burst: rate.burst_size(),
    }
}

/// The server counts in microseconds: a period never gets shorter by that.
fn whole_micros(rate: &Rate) -> Micros {
    let nanos = rate.period().as_nanos();
    Micros::try_from(nanos.div_ceil(1_000)).unwrap_or(Micros::MAX)
}
