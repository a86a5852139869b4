//! What a request asks of which resources.

use std::{ops::Deref, sync::Arc};

/// `units` of the resource with this index in the limiter's canonical order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    pub resource: u32,
    pub units: u32,
    /// The lane of the resource, which the queue assigns on arrival. 0 without lanes.
    pub lane: u32,
}

impl Demand {
    pub const fn new(resource: u32, units: u32) -> Self {
        Self {
            resource,
            units,
            lane: 0,
        }
    }
}

/// Sets up to this size are stored inline, so that claiming them allocates nothing.
const INLINE: usize = 3;

/// The demands of one request, in canonical order, each resource at most once. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Demands {
    Few(u8, [Demand; INLINE]),
    Many(Arc<[Demand]>),
}

impl Demands {
    /// Collects demands; the caller has checked that no resource is repeated.
    pub fn collect(mut demands: impl Iterator<Item = Demand>) -> Self {
        let mut few = [Demand::new(0, 0); INLINE];
        let mut len = 0;
        while let Some(demand) = demands.next() {
            if len == INLINE {
                return Self::Many(few.into_iter().chain([demand]).chain(demands).collect());
            }
            few[len] = demand;
            len += 1;
        }
        Self::Few(len as u8, few)
    }

    /// The same demands in canonical order.
    pub fn sorted(mut self) -> Self {
        match &mut self {
            Self::Few(len, few) => few[..usize::from(*len)].sort_by_key(|d| d.resource),
            Self::Many(many) => {
                let mut sorted = many.to_vec();
                sorted.sort_by_key(|d| d.resource);
                *many = sorted.into();
            }
        }
        self
    }

    /// What is asked of `resource`.
    pub fn of(&self, resource: u32) -> Option<&Demand> {
        self.iter().find(|d| d.resource == resource)
    }

    /// Whether both ask for the same resources in the same lanes, whatever the units.
    pub fn same_flow(&self, other: &Self) -> bool {
        let same = |(a, b): (&Demand, &Demand)| a.resource == b.resource && a.lane == b.lane;
        self.len() == other.len() && self.iter().zip(&**other).all(same)
    }

    /// Puts each demand into a lane.
    pub fn set_lanes(&mut self, mut lane: impl FnMut(u32) -> u32) {
        match self {
            Self::Few(len, few) => few[..usize::from(*len)]
                .iter_mut()
                .for_each(|d| d.lane = lane(d.resource)),
            Self::Many(many) => {
                let in_lanes = many.iter().map(|d| Demand {
                    lane: lane(d.resource),
                    ..*d
                });
                *many = in_lanes.collect();
            }
        }
    }
}

impl Deref for Demands {
    type Target = [Demand];

    #[inline]
    fn deref(&self) -> &[Demand] {
        match self {
            Self::Few(len, few) => &few[..usize::from(*len)],
            Self::Many(many) => many,
        }
    }
}
