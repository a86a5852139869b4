//! Events and span fields, through `tracing`.
//!
//! All events have the target `tower_concurrency_limiter`:
//!
//! | level | message | fields |
//! |---|---|---|
//! | `DEBUG` | `request rejected` | `resource`, `waited` in seconds, `reason` |
//! | `TRACE` | `request admitted after waiting` | `resource` (a set as `db+fs`), `waited` in seconds |
//! | `WARN` | `a shared limit is unavailable` | `resource`, `policy` |
//! | `WARN` | `a shared limit cannot be served` | `resource`, `error` |
//! | `WARN` | `the state of a shared limit was lost` | `resource`, `epoch` |
//! | `WARN` | `a lease was lost` | `resource`, `units` held by this process |
//! | `WARN` | `processes disagree about a shared limit` | `resource`, `own_revision`, `revision`, `limit` in force |
//! | `INFO` | `a shared limit is enforced` | `resource`, `processes`, `epoch` |
//! | `WARN` | `waits for a resource that it holds` (debug builds) | `resource` |
//! | `WARN` | `a permit was taken after its request had ended`, once for each layer | `resource` |
//! | `WARN` | `the body of a refusal was not ready`, once for each `on_reject` | `resource` |
//!
//! A [dry run](crate::resource::ResourceBuilder::dry_run) logs the first two with the field
//! `dry_run`. They are logged outside of the request's span, at the next request or release.
//!
//! A request that waited or was rejected also records these fields on its current span, if the span
//! declares them as [`Empty`](tracing::field::Empty):
//!
//! | span field | value |
//! |---|---|
//! | `limit.resource` | the resource that was short; if admitted, the whole set as `db+fs` |
//! | `limit.waited` | the time in the queue, in seconds |
//! | `limit.reason` | [`Reason::as_str`], if the request was rejected |
//!
//! ```
//! use tracing::field::Empty;
//!
//! let span = tracing::info_span!(
//!     "request",
//!     limit.resource = Empty,
//!     limit.waited = Empty,
//!     limit.reason = Empty,
//! );
//! ```
//!
//! Rejections have the level `DEBUG` because in an overload there are thousands of them. Count them
//! by the status of the responses, or by the [`Rejection`] in their extensions.
//!
//! A request that is admitted at once logs nothing. Without a subscriber nothing is formatted.

#[cfg(feature = "redis")]
mod shared;

use std::time::Duration;

use tracing::{Level, Span, debug, event_enabled, level_filters::LevelFilter, trace, warn};

use crate::rejection::{Reason, Rejection};

#[cfg(feature = "redis")]
pub(crate) use shared::*;

/// The target of all events.
pub const TARGET: &str = "tower_concurrency_limiter";

// Prefixed, because they are on a span of the user.
const RESOURCE: &str = "limit.resource";
const WAITED: &str = "limit.waited";
const REASON: &str = "limit.reason";

pub(crate) fn rejected(rejection: &Rejection) {
    if has_no_subscriber() {
        return;
    }
    let (resource, waited) = (rejection.resource(), rejection.waited().as_secs_f64());
    let reason = rejection.reason().as_str();
    Span::current()
        .record(RESOURCE, resource)
        .record(WAITED, waited)
        .record(REASON, reason);
    debug!(target: TARGET, resource, waited, reason, "request rejected");
}

pub(crate) fn admitted(resource: impl FnOnce() -> String, waited: impl FnOnce() -> Duration) {
    if has_no_subscriber() {
        return;
    }
    let span = Span::current();
    let is_declared = span.has_field(RESOURCE) || span.has_field(WAITED);
    if !is_declared && !event_enabled!(target: TARGET, Level::TRACE, resource, waited) {
        return;
    }
    let (resource, waited) = (resource(), waited().as_secs_f64());
    span.record(RESOURCE, &*resource).record(WAITED, waited);
    trace!(target: TARGET, resource, waited, "request admitted after waiting");
}

/// A rejection in a dry run.
pub(crate) fn would_be_rejected(resource: &str, waited: Duration, reason: Reason) {
    if has_no_subscriber() {
        return;
    }
    let (waited, reason) = (waited.as_secs_f64(), reason.as_str());
    debug!(target: TARGET, resource, waited, reason, dry_run = true, "request rejected");
}

/// An admission after waiting, in a dry run.
pub(crate) fn would_be_admitted(resource: impl FnOnce() -> String, waited: Duration) {
    if has_no_subscriber()
        || !event_enabled!(target: TARGET, Level::TRACE, resource, waited, dry_run)
    {
        return;
    }
    let (resource, waited) = (resource(), waited.as_secs_f64());
    trace!(target: TARGET, resource, waited, dry_run = true, "request admitted after waiting");
}

#[cfg_attr(
    not(debug_assertions),
    allow(dead_code, reason = "a debug-build check")
)]
pub(crate) fn waits_for_itself(resource: impl FnOnce() -> String) {
    if has_no_subscriber() {
        return;
    }
    warn!(
        target: TARGET,
        resource = resource(),
        "waits for a resource that it holds: it may wait for itself until its deadline; pass the \
         permit on, or claim all units at once"
    );
}

/// The handler took its permit after the request had ended and released it.
pub(crate) fn permit_taken_too_late(resource: &str) {
    warn!(
        target: TARGET,
        resource,
        "a permit was taken after its request had ended: the limit does not hold for work that goes on; \
         call `take()` in the handler, before `on_upgrade` or `spawn`, and move the permit there"
    );
}

/// The body of a response of `on_reject` is not available at once.
pub(crate) fn refusal_is_not_ready(resource: &str) {
    warn!(
        target: TARGET,
        resource,
        "the body of a refusal was not ready, and the default was sent: return bytes or text from \
         `on_reject`, or use `reject_with` on the layer for a body that streams"
    );
}

fn has_no_subscriber() -> bool {
    LevelFilter::current() == LevelFilter::OFF
}
