//! Pages of the guide, a topic each. The [front page](crate) has the other chapters.
//!
//! * [`grpc`]: what rejected gRPC calls get.
//! * [`placement`]: where to put the layer, and what it stacks with.
//! * [`services`]: clients, proxies and services that are not axum's.
//! * [`slow_peers`]: clients that send or read slowly, and connections with many streams.
//! * [`testing`]: how to test services with limits.

pub mod grpc;
pub mod placement;
pub mod services;
pub mod slow_peers;
pub mod testing;
