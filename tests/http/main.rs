//! The middleware around HTTP services, in process and by real connections.

mod any_service;
#[cfg(feature = "axum")]
mod axum_feature;
mod client_services;
mod deadline;
mod grpc;
mod permit_handle;
mod permit_life;
mod placements;
mod refusal;
mod route_options;
mod slow_peers;
mod stacking;
mod tracing_events;

use std::time::Duration;

use tower_concurrency_limiter::{ConcurrencyLimitLayer, Limiter, Resource};

/// One resource with limit 1, and a layer of it.
fn limited() -> (Resource, Limiter, ConcurrencyLimitLayer) {
    let db = Resource::new("db", 1);
    let limiter = Limiter::new(Duration::from_secs(5), [&db]);
    let layer = limiter.resources([&db]);
    (db, limiter, layer)
}
