//! The error of reqwest cannot be made from a rejection.

use tower::{Service, ServiceBuilder};
use tower_concurrency_limiter::{Limiter, Resource};

fn client(limiter: &Limiter, api: &Resource) -> impl Service<reqwest::Request> {
    ServiceBuilder::new()
        .layer(limiter.resources([api]).for_any_service())
        .service(reqwest::Client::new())
}

fn main() {}
