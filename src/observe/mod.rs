//! What the limiter says about itself, through `tracing`.
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
//! | `WARN` | `a lease was lost` | `resource`, `units` in the hands of this process |
//! | `WARN` | `processes disagree about a shared limit` | `resource`, `own_revision`, `revision`, `limit` in force |
//! | `INFO` | `a shared limit is enforced` | `resource`, `processes`, `epoch` |
//! | `WARN` | `waits for a resource that it holds` (debug builds) | `resource` |
//! | `WARN` | `a permit was taken after its request had ended`, once for each layer | `resource` |
//! | `WARN` | `the body of a refusal was not ready`, once for each `on_reject` | `resource` |
//!
//! The first two are told of a [dry run](crate::resource::ResourceBuilder::dry_run), too, with the
//! field `dry_run`: outside the request that they are about, and not before the next request or
//! return of a permit.
//!
//! A request that waited or was rejected also records these fields on the span it runs in, where
//! that span has them: declare them as [`Empty`](tracing::field::Empty) on the request span. Other
//! fields of the span are left alone.
//!
//! | span field | value |
//! |---|---|
//! | `limit.resource` | the resource that was short; of a request that was admitted, its set as `db+fs` |
//! | `limit.waited` | in seconds |
//! | `limit.reason` | [`Reason::as_str`], if it was rejected |
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
//! Rejections are at `DEBUG` because in an overload there are thousands of them; count them through
//! the response's status or its [`Rejection`] extension.
//!
//! A request that is admitted at once says nothing. Nothing is formatted when nobody listens.

#[cfg(feature = "redis")]
mod shared;

use std::time::Duration;

use tracing::{Level, Span, debug, event_enabled, level_filters::LevelFilter, trace, warn};

use crate::rejection::{Reason, Rejection};

#[cfg(feature = "redis")]
pub(crate) use shared::*;

/// The target of all events.
pub const TARGET: &str = "tower_concurrency_limiter";

// On the span of a user, so they have a prefix of their own.
const RESOURCE: &str = "limit.resource";
const WAITED: &str = "limit.waited";
const REASON: &str = "limit.reason";

pub(crate) fn rejected(rejection: &Rejection) {
    if nobody_listens() {
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
    if nobody_listens() {
        return;
    }
    let span = Span::current();
    let span_asks = span.has_field(RESOURCE) || span.has_field(WAITED);
    if !span_asks && !event_enabled!(target: TARGET, Level::TRACE, resource, waited) {
        return;
    }
    let (resource, waited) = (resource(), waited().as_secs_f64());
    span.record(RESOURCE, &*resource).record(WAITED, waited);
    trace!(target: TARGET, resource, waited, "request admitted after waiting");
}

/// A rejection that was not carried out.
pub(crate) fn would_be_rejected(resource: &str, waited: Duration, reason: Reason) {
    if nobody_listens() {
        return;
    }
    let (waited, reason) = (waited.as_secs_f64(), reason.as_str());
    debug!(target: TARGET, resource, waited, reason, dry_run = true, "request rejected");
}

/// An admission that nobody has waited for.
pub(crate) fn would_be_admitted(resource: impl FnOnce() -> String, waited: Duration) {
    if nobody_listens() || !event_enabled!(target: TARGET, Level::TRACE, resource, waited, dry_run)
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
    if nobody_listens() {
        return;
    }
    warn!(
        target: TARGET,
        resource = resource(),
        "waits for a resource that it holds: it may wait for itself until its deadline; pass the \
         permit on, or claim all units at once"
    );
}

/// The handler let go of the permit before the work began that was to hold it.
pub(crate) fn permit_taken_too_late(resource: &str) {
    warn!(
        target: TARGET,
        resource,
        "a permit was taken after its request had ended: the limit does not hold for work that goes on; \
         call `take()` in the handler, before `on_upgrade` or `spawn`, and move the permit there"
    );
}

/// Its body cannot be sent.
pub(crate) fn refusal_is_not_ready(resource: &str) {
    warn!(
        target: TARGET,
        resource,
        "the body of a refusal was not ready, and the default was sent: return bytes or text from \
         `on_reject`, or use `reject_with` on the layer for a body that streams"
    );
}

fn nobody_listens() -> bool {
    LevelFilter::current() == LevelFilter::OFF
}
