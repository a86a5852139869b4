//! What the user holds.

mod handle;

use std::{fmt, sync::Arc};

#[cfg(feature = "axum")]
pub use handle::MissingPermit;
pub use handle::PermitHandle;

use crate::{admission::Demands, gate::Gate, resource::Resource};

/// Ownership of a granted set of resources.
///
/// Keep it for as long as the work lasts: move it into the `spawn_blocking` closure that runs the
/// query, or the task that writes the stream.
///
/// # Drop
///
/// Dropping the permit returns the whole set and wakes those who can go now. It never blocks on
/// anything but a short lock, and takes that only if somebody waits. There is no other way to return
/// a permit, so none can be returned twice.
#[must_use = "dropping a permit returns its resources at once"]
pub struct Permit {
    gate: Arc<Gate>,
    demands: Demands,
}

impl Permit {
    /// Ownership of a set that the gate has granted.
    #[inline]
    pub(crate) fn new(gate: Arc<Gate>, demands: Demands) -> Self {
        Self { gate, demands }
    }

    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }

    pub(crate) fn demands(&self) -> &Demands {
        &self.demands
    }

    /// What is held: each resource with its units.
    pub fn claims(&self) -> impl Iterator<Item = (&Resource, usize)> {
        self.demands.iter().map(|demand| {
            let resource = &self.gate.resources()[demand.resource as usize];
            (resource, demand.units as usize)
        })
    }
}

impl Drop for Permit {
    #[inline]
    fn drop(&mut self) {
        self.gate.leave(&self.demands);
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Permit ")?;
        f.debug_map()
            .entries(self.claims().map(|(r, units)| (r.name(), units)))
            .finish()
    }
}
