//! A method cannot be called: the compiler prints the line of the type, and that names the cure.

use tower::{Layer, Service};
use tower_concurrency_limiter::{Limiter, Resource};

fn main() {
    let api = Resource::new("api", 10);
    let limiter = Limiter::new(std::time::Duration::ZERO, [&api]);
    let layer = limiter.resources([&api]).for_any_service();
    let mut client = layer.layer(reqwest::Client::new());
    let request = reqwest::Request::new(reqwest::Method::GET, "http://localhost".parse().unwrap());
    let _call = client.call(request);
}
