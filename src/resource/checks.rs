//! The checks of a resource's settings.

use std::{collections::HashSet, sync::Arc};

use super::{InvalidResource, Lane, Lanes, error::ResourceFault};
use crate::admission::{Sharing, Usage};

/// Returns the limit in the width in which it is stored, if it is in range.
pub(super) fn checked_limit(limit: usize, name: &Arc<str>) -> Result<u32, InvalidResource> {
    match u32::try_from(limit) {
        Ok(stored) if stored <= Usage::MAX_LIMIT => Ok(stored),
        _ => Err(InvalidResource(ResourceFault::HugeLimit {
            name: Arc::clone(name),
            limit,
        })),
    }
}

/// Checks the lanes of a resource with a limit of at least `limit`.
pub(super) fn check_lanes(
    lanes: &Lanes,
    name: &Arc<str>,
    limit: u32,
) -> Result<(), InvalidResource> {
    let fault = |fault| {
        InvalidResource(ResourceFault::Lanes {
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
    let mut declared = lanes.declared.iter();
    if let Some(duplicate) = declared.find(|lane| !names.insert(&lane.name)) {
        return Err(fault(format!(
            "two lanes are named \"{}\"; give each its own name",
            duplicate.name
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

/// Checks one lane.
pub(super) fn check_lane(lane: &Lane, name: &Arc<str>) -> Result<(), InvalidResource> {
    let fault = |fault: String| {
        Err(InvalidResource(ResourceFault::Lanes {
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
