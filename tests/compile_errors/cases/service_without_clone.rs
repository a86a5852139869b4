//! A queued request keeps a clone of the inner service.

use std::convert::Infallible;

use axum::body::Body;
use http::{Request, Response};
use tower::{Layer, util::BoxService};
use tower_concurrency_limiter::{Limiter, Resource};

type Boxed = BoxService<Request<Body>, Response<Body>, Infallible>;

fn main() {
    let db = Resource::new("db", 10);
    let limiter = Limiter::new(std::time::Duration::ZERO, [&db]);
    let boxed: Boxed = BoxService::new(tower::service_fn(async |_| Ok(Response::default())));
    let _limited = limiter.resources([&db]).layer(boxed);
}
