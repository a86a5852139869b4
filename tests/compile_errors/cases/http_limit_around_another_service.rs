//! The limit speaks HTTP by default.

use std::convert::Infallible;

use tower::{Layer, Service, service_fn};
use tower_concurrency_limiter::{Limiter, Resource};

fn main() {
    let db = Resource::new("db", 10);
    let limiter = Limiter::new(std::time::Duration::ZERO, [&db]);
    let service = service_fn(async |word: &'static str| Ok::<_, Infallible>(word.len()));
    is_service(limiter.resources([&db]).layer(service));
}

fn is_service<S: Service<&'static str>>(_: S) {}
