//! Run with: cargo run --example any_service
//!
//! A service that does not speak HTTP, limited by the same layer.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::sleep;
use tower::{BoxError, Service, ServiceBuilder, ServiceExt};
use tower_concurrency_limiter::{Limiter, Reason, Rejection, Resource};

/// A picture to shrink.
struct Picture {
    name: &'static str,
    width: u32,
}

struct Thumbnail {
    name: &'static str,
    width: u32,
}

/// Shrinks two pictures at once. A third one waits for up to a second.
fn app() -> impl Service<Picture, Response = Thumbnail, Error = BoxError> + Clone {
    let cpu = Resource::new("cpu", 2);
    let limiter = Limiter::new(Duration::from_secs(1), [&cpu]);
    ServiceBuilder::new()
        .layer(limiter.resources([&cpu]).for_any_service())
        .service_fn(shrink)
}

async fn shrink(picture: Picture) -> Result<Thumbnail, BoxError> {
    if picture.width == 0 {
        return Err("an empty picture".into());
    }
    sleep(Duration::from_millis(800)).await;
    Ok(Thumbnail {
        name: picture.name,
        width: picture.width.min(128),
    })
}

/// Describes the outcome. A rejection arrives as an error of the service, which is a `BoxError`.
fn tell(outcome: Result<Thumbnail, BoxError>) -> String {
    match outcome {
        Ok(Thumbnail { name, width }) => format!("{name}: {width} pixels wide"),
        Err(error) => match error.downcast_ref::<Rejection>() {
            Some(busy) if busy.reason() == Reason::Timeout => {
                format!("too busy for another one: {busy}")
            }
            Some(rejection) => format!("turned away: {rejection}"),
            None => format!("failed: {error}"),
        },
    }
}

async fn run() -> Vec<String> {
    let app = app();
    let names = ["ant", "bee", "cat", "dog", "elk", "fox"];
    let pictures = names.map(|name| Picture { name, width: 1024 });
    let outcomes = pictures.map(|picture| app.clone().oneshot(picture));
    join_all(outcomes).await.into_iter().map(tell).collect()
}

#[tokio::main]
async fn main() {
    for line in run().await {
        println!("{line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn four_are_served_and_two_are_told_why_not() {
        let busy = "too busy for another one: timed out waiting for resource \"cpu\" after 1";
        let expected = ["ant: ", "bee: ", "cat: ", "dog: ", busy, busy];
        let lines = run().await;
        assert_eq!(lines.len(), expected.len());
        for (line, start) in lines.iter().zip(expected) {
            assert!(
                line.starts_with(start),
                "{line:?} should start with {start:?}"
            );
        }
    }

    #[tokio::test]
    async fn errors_of_the_service_stay_what_they_are() {
        let empty = Picture {
            name: "gnu",
            width: 0,
        };
        assert_eq!(tell(app().oneshot(empty).await), "failed: an empty picture");
    }
}
