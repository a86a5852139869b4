//! Concurrency limits on named resources.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod admission;
mod gate;
pub mod limiter;
pub mod middleware;
pub mod observe;
pub mod permit;
pub mod rejection;
pub mod resource;
mod sync;

pub use limiter::Limiter;
pub use middleware::{ConcurrencyLimit, ConcurrencyLimitLayer};
pub use permit::{Permit, PermitHandle};
pub use rejection::{Reason, Rejection};
pub use resource::{Claim, Resource};
