//! Events of limits that are shared between processes.

use tracing::{info, warn};

use super::TARGET;

/// The server responds, for the first time or again.
pub(crate) fn shared_limit_enforced(resource: &str, processes: u64, epoch: u64) {
    info!(target: TARGET, resource, processes, epoch, "a shared limit is enforced");
}

/// The server has not responded for too long.
pub(crate) fn shared_limit_unavailable(resource: &str, policy: &str) {
    warn!(target: TARGET, resource, policy, "a shared limit is unavailable");
}

/// The server responds with an error.
pub(crate) fn shared_limit_fails(resource: &str, error: &str) {
    warn!(target: TARGET, resource, error, "a shared limit cannot be served");
}

/// The server has to learn what all processes hold before it grants anything.
pub(crate) fn shared_limit_state_lost(resource: &str, epoch: u64) {
    warn!(target: TARGET, resource, epoch, "the state of a shared limit was lost");
}

/// The units that this process holds may have been granted to other processes.
pub(crate) fn shared_limit_lease_lost(resource: &str, units: u64) {
    warn!(target: TARGET, resource, units, "a lease was lost");
}

/// Another process has other settings for the resource, and those apply.
pub(crate) fn shared_limit_differs(resource: &str, own_revision: u64, revision: u64, limit: u32) {
    warn!(
        target: TARGET,
        resource,
        own_revision,
        revision,
        limit,
        "processes disagree about a shared limit: raise the revision with every change"
    );
}
