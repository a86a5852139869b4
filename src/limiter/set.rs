//! Validated sets of claims.

use std::sync::Arc;

use super::{InvalidSet, Limiter, LimiterInner, error::SetFault};
use crate::{
    admission::{Demand, Demands},
    core::{Claimant, Gate, GateSet},
    resource::{Claim, Resource},
};

/// A valid set, and its limiter.
#[derive(Clone)]
pub(crate) struct ResourceSet {
    limiter: Arc<LimiterInner>,
    demands: Demands,
}

impl Limiter {
    /// Validates a set.
    pub(crate) fn set<I>(&self, set: I) -> Result<ResourceSet, InvalidSet>
    where
        I: IntoIterator,
        I::Item: Into<Claim>,
    {
        let mut fault = None;
        let demands =
            Demands::collect(
                set.into_iter()
                    .map_while(|claim| match self.demand(&claim.into()) {
                        Ok(demand) => Some(demand),
                        Err(error) => {
                            fault = Some(error);
                            None
                        }
                    }),
            );
        if let Some(fault) = fault {
            return Err(InvalidSet(fault));
        }
        Ok(ResourceSet {
            demands: self.ordered(demands).map_err(InvalidSet)?,
            limiter: Arc::clone(&self.0),
        })
    }

    fn demand(&self, claim: &Claim) -> Result<Demand, SetFault> {
        let resource = claim.resource();
        let name = || Arc::clone(resource.shared_name());
        let index = resource
            .usage()
            .index()
            .filter(|&index| {
                let registered = self.0.gate.resources().get(index as usize);
                registered.is_some_and(|r| r.is(resource))
            })
            .ok_or_else(|| self.unregistered(resource))?;
        match (claim.units(), resource.usage().widest_claim()) {
            (0, _) => Err(SetFault::ZeroUnits { name: name() }),
            (units, widest) if units > widest => Err(match resource.floor() {
                Some(floor) => SetFault::AboveFloor {
                    name: name(),
                    units,
                    floor,
                },
                None => SetFault::TooWide {
                    name: name(),
                    units,
                    limit: widest,
                },
            }),
            (units, _) => Ok(Demand::new(index, units as u32)),
        }
    }

    /// The fault of a resource that is not registered with this limiter.
    #[cold]
    fn unregistered(&self, resource: &Resource) -> SetFault {
        let name = Arc::clone(resource.shared_name());
        let mut registered = self.0.gate.resources().iter();
        if registered.any(|r| r.name() == &*name) {
            return SetFault::Namesake { name };
        }
        match resource.usage().index() {
            Some(_) => SetFault::Elsewhere { name },
            None => SetFault::Unregistered { name },
        }
    }

    fn ordered(&self, demands: Demands) -> Result<Demands, SetFault> {
        if demands.is_empty() {
            return Err(SetFault::Empty);
        }
        if demands
            .windows(2)
            .all(|pair| pair[0].resource < pair[1].resource)
        {
            return Ok(demands);
        }
        let sorted = demands.sorted();
        let name =
            |demand: &Demand| self.0.gate.resources()[demand.resource as usize].shared_name();
        if let Some(pair) = sorted
            .windows(2)
            .find(|pair| pair[0].resource == pair[1].resource)
        {
            return Err(SetFault::Repeated {
                name: Arc::clone(name(&pair[0])),
            });
        }
        if self.0.allows_any_order {
            return Ok(sorted);
        }
        let names: Vec<&str> = sorted.iter().map(|demand| &**name(demand)).collect();
        Err(SetFault::OutOfOrder {
            order: names.join(", "),
        })
    }
}

impl ResourceSet {
    pub(crate) fn limiter(&self) -> &Arc<LimiterInner> {
        &self.limiter
    }

    /// Acquires the set if it is available and no request waits for it: the fast path of a request.
    #[inline]
    pub(crate) fn try_acquire(&self) -> bool {
        self.gate().try_acquire(&self.demands)
    }

    /// Whether the grant is always recorded, because more than the usage of the resources decides.
    pub(crate) fn is_recorded(&self) -> bool {
        self.gate().records(&self.demands) || self.is_shared()
    }

    /// Whether a resource of the set is shared between processes.
    pub(crate) fn is_shared(&self) -> bool {
        self.gate().has_remote(&self.demands)
    }

    /// The resources by name, as logs show them: `db+fs`.
    pub(crate) fn names(&self) -> String {
        let resources = self.gate().resources();
        let names: Vec<&str> = self
            .demands
            .iter()
            .map(|demand| resources[demand.resource as usize].name())
            .collect();
        names.join("+")
    }
}

impl From<ResourceSet> for GateSet {
    #[inline]
    fn from(set: ResourceSet) -> Self {
        Self {
            gate: Arc::clone(set.gate()),
            demands: set.demands,
        }
    }
}

/// A claimant with a set.
pub(crate) trait HasSet {
    fn set(&self) -> &ResourceSet;

    /// Releases a set that was granted without a record.
    #[inline]
    fn release(&self) {
        let set = self.set();
        set.gate().release(&set.demands);
    }
}

impl HasSet for ResourceSet {
    fn set(&self) -> &ResourceSet {
        self
    }
}

impl<T: HasSet> Claimant for T {
    #[inline]
    fn gate(&self) -> &Arc<Gate> {
        &self.set().limiter.gate
    }

    #[inline]
    fn demands(&self) -> &Demands {
        &self.set().demands
    }

    #[inline]
    fn release(&self) {
        HasSet::release(self);
    }
}
