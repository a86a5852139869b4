//! A refusal is made of bytes.

use http::Response;
use tower_concurrency_limiter::{Limiter, Resource};

fn main() {
    let db = Resource::new("db", 10);
    let _limiter = Limiter::builder()
        .resources([&db])
        .on_reject(|_| Response::new(7))
        .build();
}
