//! The Tower skin: a layer, its service, the response future and the response body.
//!
//! * [`ConcurrencyLimitLayer`], made by [`Limiter::resources`](crate::Limiter::resources): what a route
//!   claims, and how it waits.
//! * [`ConcurrencyLimit`]: the service. `poll_ready` only forwards; waiting happens in the
//!   [`ResponseFuture`], for one request, with its own deadline.
//! * [`ending`]: how a call ends. When the permit is returned, and what a rejection becomes.
//! * [`Reject`]: what a rejection becomes, as a policy of yours.
//! * [`ResponseBody`]: carries the permit until the body ends.
//!
//! This is the only module that knows `http::Request`.

mod asks;
mod body;
mod deadline;
pub mod ending;
mod future;
mod head;
mod held;
mod layer;
mod reject;
mod service;
#[cfg(all(test, not(tcl_loom)))]
mod shared_tests;

pub use asks::Http;
pub use body::ResponseBody;
pub use future::ResponseFuture;
pub use head::{RequestHead, ResponseHead};
pub use held::Held;
pub use layer::ConcurrencyLimitLayer;
#[doc(hidden)]
pub use reject::Refuse;
pub use reject::{Custom, GrpcStatus, OnReject, ProblemDetails, Reject, ServerBusy};
pub use service::{ConcurrencyLimit, InnerService};
