//! Resources that are shared between processes.

use std::{fmt, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use super::{Lanes, Priority, Rate, Resource};
use crate::{admission::By, shared::SharedLimit};

/// Whom a resource shares its limit with is told this about it.
#[cfg_attr(
    not(feature = "redis"),
    allow(dead_code, reason = "read by the feature `redis`")
)]
pub(crate) struct SharedSpec<'a> {
    pub(crate) name: &'a Arc<str>,
    pub(crate) limit: u32,
    pub(crate) max_waiting: usize,
    /// For how long a waiter can be overtaken by priority, if not until its deadline.
    pub(crate) credit: Option<Duration>,
    pub(crate) lanes: Option<&'a Lanes>,
    /// So many units for this priority and above. Those of lanes are said by the lanes.
    pub(crate) reserves: &'a [(usize, Priority)],
    pub(crate) rates: &'a [(By, Rate)],
}

/// Opens the shared limit of a resource, whenever that is registered with a limiter. What is wrong is told as a
/// sentence of its own, with the cure.
pub(crate) type Open =
    dyn Fn(&SharedSpec<'_>) -> Result<Arc<dyn SharedLimit>, String> + Send + Sync;

/// Errors and permits travel through `catch_unwind`. Whoever opens a limit is not seen half-way: it is asked
/// once, and what it gave is not used if it panicked.
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

/// The rules of a shared resource: this process decides on none of them.
pub(super) struct SharedRules {
    pub(super) opener: Opener,
    pub(super) lanes: Option<Lanes>,
    pub(super) reserves: Vec<(usize, Priority)>,
    pub(super) rates: Vec<(By, Rate)>,
}

impl Resource {
    /// Whether its limit is shared between processes.
    pub(crate) fn is_shared(&self) -> bool {
        self.0.shared.is_some()
    }

    /// Opens its shared limit, if it has one, for a limiter that says so much for resources that do not.
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
