//! The Tower middleware: a layer, its service, the response future and the response body.
//!
//! * [`ConcurrencyLimitLayer`], created by [`Limiter::resources`](crate::Limiter::resources): the
//!   resources that a route claims, and how its requests wait.
//! * [`ConcurrencyLimit`]: the service. `poll_ready` only forwards; a request waits in its
//!   [`ResponseFuture`], with its own deadline.
//! * [`release`]: the release points, which set when the permit is returned.
//! * [`Reject`]: the rejection policies, which set what a rejected request gets.
//! * [`ResponseBody`]: holds the permit until the body ends.
//!
//! This is the only module that uses `http::Request`.

mod body;
mod deadline;
mod error;
mod future;
mod head;
mod held;
mod layer;
mod options;
mod rejection_policy;
pub mod release;
mod route;
mod service;
mod service_policy;
#[cfg(all(test, not(tcl_loom)))]
mod shared_tests;

pub use body::ResponseBody;
#[doc(hidden)]
pub use error::FromRejection;
pub use error::LimitError;
pub use future::ResponseFuture;
pub use head::{RequestHead, ResponseHead};
pub use layer::ConcurrencyLimitLayer;
pub use rejection_policy::{
    Custom, DefaultRejection, GrpcStatus, OnReject, ProblemDetails, Reject,
};
pub use service::{ConcurrencyLimit, InnerService};
#[doc(hidden)]
pub use service_policy::ServicePolicy;
pub use service_policy::{MapRejection, WrapErrors};
