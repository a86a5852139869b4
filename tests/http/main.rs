//! The middleware around HTTP services, in process and by real connections.

#[path = "../common/mod.rs"]
mod common;

mod any_service;
#[cfg(feature = "axum")]
mod axum_feature;
mod client_services;
mod grpc;
mod permit_handle;
mod permit_life;
mod placements;
mod refusal;
mod route_options;
mod slow_peers;
mod stacking;
