//! Resources that are shared between processes.

use std::{fmt, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use super::{Lanes, Priority, Rate, Resource};
use crate::{admission::By, shared::SharedLimit};

/// The settings of a resource, for the shared limit that enforces them.
#[cfg_attr(
    not(feature = "redis"),
    allow(dead_code, reason = "read by the feature `redis`")
)]
pub(crate) struct SharedSpec<'a> {
    pub(crate) name: &'a Arc<str>,
    pub(crate) limit: u32,
    pub(crate) max_waiting: usize,
    /// How long a waiter can be overtaken by priority, if not until its deadline.
    pub(crate) credit: Option<Duration>,
    pub(crate) lanes: Option<&'a Lanes>,
    /// Units for requests of a priority and above. The reserves of lanes are in the lanes.
    pub(crate) reserves: &'a [(usize, Priority)],
    pub(crate) rates: &'a [(By, Rate)],
}

/// Opens the shared limit of a resource each time the resource is registered with a limiter. The
/// error is a message that names the cure, without the resource.
pub(crate) type Open =
    dyn Fn(&SharedSpec<'_>) -> Result<Arc<dyn SharedLimit>, String> + Send + Sync;

/// `AssertUnwindSafe`, because resources pass through `catch_unwind`. A panic in the closure leaves
/// nothing half-done here: its result is not used.
pub(super) struct Opener(AssertUnwindSafe<Box<Open>>);

impl Opener {
    pub(super) fn new(open: Box<Open>) -> Self {
        Self(AssertUnwindSafe(open))
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("shared")
    }
}

/// The rules of a shared resource. This process decides on none of them.
pub(super) struct SharedRules {
    pub(super) opener: Opener,
    pub(super) lanes: Option<Lanes>,
    pub(super) reserves: Vec<(usize, Priority)>,
    pub(super) rates: Vec<(By, Rate)>,
}

impl Resource {
    /// Returns `true` if the limit is shared between processes.
    pub(crate) fn is_shared(&self) -> bool {
        self.0.shared.is_some()
    }

    /// Opens the shared limit, if there is one, for a limiter with these defaults.
    pub(crate) fn open(
        &self,
        max_waiting: usize,
        credit: Option<Duration>,
    ) -> Option<Result<Arc<dyn SharedLimit>, String>> {
        let rules = self.0.shared.as_ref()?;
        let spec = SharedSpec {
            name: self.shared_name(),
            limit: self.usage().load().limit(),
            max_waiting: self.max_waiting().unwrap_or(max_waiting),
            credit,
            lanes: rules.lanes.as_ref(),
            reserves: &rules.reserves,
            rates: &rules.rates,
        };
        Some(rules.opener.0(&spec))
    }
}
