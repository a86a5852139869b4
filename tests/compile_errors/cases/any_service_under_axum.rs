//! Services of axum never fail, so a rejection cannot be their error.

use axum::{Router, routing::get};
use tower_concurrency_limiter::{Limiter, Resource};

fn main() {
    let api = Resource::new("api", 10);
    let limiter = Limiter::new(std::time::Duration::ZERO, [&api]);
    let layer = limiter.resources([&api]).for_any_service();
    let _app: Router = Router::new().route("/", get(|| async {})).layer(layer);
}
